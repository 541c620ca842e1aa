//! RADIUS over UDP (RFC 2865 §3).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

pub use batch::Batch;
use krad::{Identifier, radius11::Version};
use outbox::Outbox;
pub use outbox::Outgoing;
use socket::Local;
pub use socket::{UdpListener, bind_udp};
use tokio::{
    net::UdpSocket,
    task::yield_now,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use zeroize::Zeroizing;

use crate::{
    Discard, LiveSettings, Peer, RadiusService,
    exchange::{Arrival, Exchange},
    tasks::Tasks,
};

mod batch;
mod outbox;
mod socket;

/// A socket that carries whole datagrams: a [`UdpListener`](crate::UdpListener), or a network inside of a test.
pub trait DatagramSocket: Send + Sync + 'static {
    /// Waits for a datagram: its length, and its way here. What does not fit `buffer` is cut off.
    ///
    /// Dropping the future loses no datagram.
    fn receive(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<(usize, Route)>> + Send;

    /// Sends a datagram to the source of `route`, from where that one was received.
    fn send(&self, octets: &[u8], route: Route) -> impl Future<Output = io::Result<()>> + Send;

    /// Waits for a datagram, and takes in what has come along with it, as many as there is room for. By default, one.
    ///
    /// Dropping the future loses no datagram.
    fn receive_batch(&self, batch: &mut Batch) -> impl Future<Output = io::Result<()>> + Send {
        async move {
            let (mut rooms, received) = batch.empty();
            received.push(self.receive(rooms.next().unwrap_or_default()).await?);
            Ok(())
        }
    }

    /// Sends all of `replies`, of which those that cannot be sent are lost. By default, one after the other.
    fn send_batch(&self, replies: &[Outgoing]) -> impl Future<Output = ()> + Send {
        async move {
            for (octets, route) in replies {
                if let Err(error) = self.send(octets, *route).await {
                    tracing::debug!(source = %route.source, %error, "sending a reply failed");
                }
            }
        }
    }
}

/// The way of a datagram from a client, which its reply goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub(crate) source: SocketAddr,
    /// Which address of this machine was asked; `None` if the socket has only one.
    pub(crate) local: Option<Local>,
}

impl Route {
    /// Where the datagram came from.
    #[must_use]
    pub const fn source(&self) -> SocketAddr {
        self.source
    }
}

/// A datagram to the only address of a socket.
impl From<SocketAddr> for Route {
    fn from(source: SocketAddr) -> Self {
        Self { source, local: None }
    }
}

/// A socket as the operating system has it. Bound to the wildcard address it answers from whichever address the kernel
/// prefers: [`UdpListener`](crate::UdpListener) does better.
impl DatagramSocket for UdpSocket {
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Route)> {
        let (length, source) = self.recv_from(buffer).await?;
        Ok((length, Route::from(source)))
    }

    async fn send(&self, octets: &[u8], route: Route) -> io::Result<()> {
        self.send_to(octets, route.source).await.map(drop)
    }
}

/// Serves RADIUS on a bound socket until `shutdown`, then lets the requests in flight finish within
/// [`Settings::drain`](crate::Settings::drain).
///
/// Datagrams are taken in as many at a time as wait, up to sixteen by one call, and replies that are there at the same time leave by
/// one call, too. After a hundred or so that came in, other tasks have their turn.
///
/// Several sockets of one address ([`bind_udp`]) are served by a call each.
pub async fn serve_udp<S: RadiusService, D: DatagramSocket>(
    socket: D,
    service: Arc<S>,
    settings: impl Into<LiveSettings> + Send,
    shutdown: CancellationToken,
) {
    let settings = settings.into();
    let capacity = settings.glance().duplicate_capacity;
    let exchange = Arc::new(Exchange::new(
        service,
        settings.clone(),
        Version::Historic,
        capacity,
    ));
    let (socket, outbox) = (Arc::new(socket), Arc::new(Outbox::default()));
    let all_answered = CancellationToken::new();
    // A task of its own, so that another core may send while this one receives.
    let mut sending = AbortOnDropHandle::new(tokio::spawn({
        let (socket, outbox, end) = (Arc::clone(&socket), Arc::clone(&outbox), all_answered.clone());
        async move { outbox.send_to(&*socket, end).await }
    }));
    let mut in_flight = Tasks::default();
    let receiving = receive(&*socket, &exchange, &outbox, &mut in_flight);
    shutdown.run_until_cancelled(receiving).await;
    let requests = in_flight.finish(settings.get().drain).await;
    if requests > 0 {
        tracing::warn!(requests, "requests in flight did not finish before the end");
    }
    all_answered.cancel();
    if timeout(FAREWELL, &mut sending).await.is_err() {
        tracing::warn!("the network takes no replies any more");
    }
}

/// How long the last replies may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

type Key = (SocketAddr, Identifier);

/// Datagrams that one call takes in.
const RECEIVED_TOGETHER: usize = 16;
/// Datagrams after which others have their turn.
const TURN: usize = 128;

/// Receives for ever. It holds nothing across an await that would be lost when it is dropped.
async fn receive<S: RadiusService, D: DatagramSocket>(
    socket: &D,
    exchange: &Arc<Exchange<S, Key>>,
    outbox: &Arc<Outbox>,
    in_flight: &mut Tasks,
) {
    let mut batch = Batch::new(RECEIVED_TOGETHER);
    let mut of_this_turn = 0_usize;
    loop {
        if let Err(error) = socket.receive_batch(&mut batch).await {
            // An ICMP error about an earlier reply, or a lack of memory: nothing that ends a listener.
            tracing::debug!(%error, "receiving failed");
            sleep(Duration::from_millis(10)).await;
            continue;
        }
        let received_at = Instant::now();
        for (octets, route) in batch.datagrams() {
            begin(octets, route, received_at, exchange, outbox, in_flight);
            of_this_turn = of_this_turn.saturating_add(1);
        }
        if of_this_turn >= TURN {
            of_this_turn = 0;
            yield_now().await;
        }
    }
}

/// Begins the request of a datagram, unless it is none or too many are in flight.
fn begin<S: RadiusService>(
    octets: &[u8],
    route: Route,
    received_at: Instant,
    exchange: &Arc<Exchange<S, Key>>,
    outbox: &Arc<Outbox>,
    in_flight: &mut Tasks,
) {
    let peer = Peer::Udp(route.source);
    let Some(packet) = exchange.decode(&peer, octets) else {
        return;
    };
    let limits = exchange.settings().datagram_limits();
    if !in_flight.has_room(peer.ip(), packet.octets().len(), limits) {
        exchange.discard(&peer, None, Discard::Overloaded);
        return;
    }
    let arrival = Arrival {
        key: (route.source, packet.identifier()),
        octets: Zeroizing::new(packet.octets().to_vec()),
        received_at,
        peer,
    };
    let (outbox, exchange) = (Arc::clone(outbox), Arc::clone(exchange));
    in_flight.spawn(arrival.peer.ip(), arrival.octets.len(), async move {
        if let Some(reply) = exchange.answer(arrival).await {
            outbox.push(reply, route);
        }
    });
}
