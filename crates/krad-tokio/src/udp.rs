//! RADIUS over UDP (RFC 2865 §3).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use krad::{Identifier, MAX_PACKET_LENGTH, radius11::Version};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    Discard, LiveSettings, Peer, RadiusService,
    exchange::{Arrival, Exchange},
    tasks::Tasks,
    udp_socket::Local,
};

/// A socket that carries whole datagrams: a [`UdpListener`](crate::UdpListener), or a network inside of a test.
pub trait DatagramSocket: Send + Sync + 'static {
    /// Waits for a datagram: its length, and its way here. What does not fit `buffer` is cut off.
    ///
    /// Dropping the future loses no datagram.
    fn receive(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<(usize, Route)>> + Send;

    /// Sends a datagram to the source of `route`, from where that one was received.
    fn send(&self, octets: &[u8], route: Route) -> impl Future<Output = io::Result<()>> + Send;
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
/// Each wake-up takes in all that waits, a hundred datagrams or so at a time, before other tasks have their turn.
///
/// Several sockets of one address ([`bind_udp`](crate::bind_udp)) are served by a call each.
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
    let socket = Arc::new(socket);
    let mut in_flight = Tasks::default();
    let receiving = receive(&socket, &exchange, &mut in_flight);
    shutdown.run_until_cancelled(receiving).await;
    let requests = in_flight.finish(settings.get().drain).await;
    if requests > 0 {
        tracing::warn!(requests, "requests in flight did not finish before the end");
    }
}

type Key = (SocketAddr, Identifier);

/// Receives for ever. It holds nothing across an await that would be lost when it is dropped.
async fn receive<S: RadiusService, D: DatagramSocket>(
    socket: &Arc<D>,
    exchange: &Arc<Exchange<S, Key>>,
    in_flight: &mut Tasks,
) {
    // Longer datagrams are cut: what is beyond the longest packet is padding.
    let mut buffer = Zeroizing::new(vec![0; MAX_PACKET_LENGTH]);
    loop {
        let (length, route) = match socket.receive(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An ICMP error about an earlier reply, or a lack of memory: nothing that ends a listener.
                tracing::debug!(%error, "receiving failed");
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let received_at = Instant::now();
        let source = route.source;
        let peer = Peer::Udp(source);
        let octets = buffer.get(..length).unwrap_or_default();
        let Some(packet) = exchange.decode(&peer, octets) else {
            continue;
        };
        let (limit, per_source) = {
            let settings = exchange.settings();
            (
                settings.datagrams_in_flight.max(1),
                settings.datagrams_in_flight_per_source.max(1),
            )
        };
        if !in_flight.has_room(peer.ip(), limit, per_source) {
            exchange.discard(&peer, None, Discard::Overloaded);
            continue;
        }
        let key = (source, packet.identifier());
        let arrival = Arrival {
            peer,
            key,
            octets: Zeroizing::new(packet.octets().to_vec()),
            received_at,
        };
        let (socket, exchange) = (Arc::clone(socket), Arc::clone(exchange));
        in_flight.spawn(arrival.peer.ip(), async move {
            let Some(reply) = exchange.answer(arrival).await else {
                return;
            };
            if let Err(error) = socket.send(&reply, route).await {
                tracing::debug!(%source, %error, "sending a reply failed");
            }
        });
    }
}
