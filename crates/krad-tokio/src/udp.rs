//! RADIUS over UDP (RFC 2865 §3).

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use krad::{Identifier, MAX_PACKET_LENGTH};
use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    Discard, Peer, RadiusService, Settings,
    exchange::{Arrival, Exchange},
};

/// A socket that carries whole datagrams: a bound [`UdpSocket`], or a network inside of a test.
pub trait DatagramSocket: Send + Sync + 'static {
    /// Waits for a datagram: its length, and its source. What does not fit `buffer` is cut off.
    ///
    /// Dropping the future loses no datagram.
    fn receive(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;

    /// Sends a datagram to `target`.
    fn send(&self, octets: &[u8], target: SocketAddr) -> impl Future<Output = io::Result<()>> + Send;
}

impl DatagramSocket for UdpSocket {
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buffer).await
    }

    async fn send(&self, octets: &[u8], target: SocketAddr) -> io::Result<()> {
        self.send_to(octets, target).await.map(drop)
    }
}

/// Serves RADIUS on a bound socket until `shutdown`, then lets the requests in flight finish within
/// [`Settings::drain`].
///
/// A reply leaves from the socket's own address. On a host with several addresses bind one socket per
/// address: replies of a socket bound to the wildcard address can leave from another one than the client
/// asked.
pub async fn serve_udp<S: RadiusService, D: DatagramSocket>(
    socket: D,
    service: Arc<S>,
    settings: Settings,
    shutdown: CancellationToken,
) {
    let settings = Arc::new(settings);
    let capacity = settings.duplicate_capacity;
    let exchange = Arc::new(Exchange::new(service, Arc::clone(&settings), capacity));
    let socket = Arc::new(socket);
    let mut in_flight = InFlight::default();
    let receiving = receive(&socket, &exchange, &mut in_flight);
    shutdown.run_until_cancelled(receiving).await;
    let mut requests = in_flight.requests;
    let finished = timeout(settings.drain, async {
        while requests.join_next().await.is_some() {}
    });
    if finished.await.is_err() {
        tracing::warn!(
            requests = requests.len(),
            "requests in flight did not finish before the end"
        );
        requests.shutdown().await;
    }
}

type Key = (SocketAddr, Identifier);

/// Receives for ever. It holds nothing across an await that would be lost when it is dropped.
async fn receive<S: RadiusService, D: DatagramSocket>(
    socket: &Arc<D>,
    exchange: &Arc<Exchange<S, Key>>,
    in_flight: &mut InFlight,
) {
    // Longer datagrams are cut: what is beyond the longest packet is padding.
    let mut buffer = Zeroizing::new(vec![0; MAX_PACKET_LENGTH]);
    loop {
        let (length, source) = match socket.receive(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An ICMP error about an earlier reply, or a lack of memory: nothing that ends a listener.
                tracing::debug!(%error, "receiving failed");
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let received_at = Instant::now();
        let peer = Peer::Udp(source);
        let octets = buffer.get(..length).unwrap_or_default();
        let Some(packet) = exchange.decode(&peer, octets) else {
            continue;
        };
        if !in_flight.has_room(source.ip(), exchange.settings()) {
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
        in_flight.spawn(source.ip(), async move {
            let Some(reply) = exchange.answer(arrival).await else {
                return;
            };
            if let Err(error) = socket.send(&reply, source).await {
                tracing::debug!(%source, %error, "sending a reply failed");
            }
        });
    }
}

/// Requests that are being decided, counted by source address.
#[derive(Default)]
struct InFlight {
    requests: JoinSet<IpAddr>,
    by_source: HashMap<IpAddr, usize>,
}

impl InFlight {
    fn has_room(&mut self, source: IpAddr, settings: &Settings) -> bool {
        self.reap();
        let of_source = self.by_source.get(&source).copied().unwrap_or_default();
        self.requests.len() < settings.datagrams_in_flight.max(1)
            && of_source < settings.datagrams_in_flight_per_source.max(1)
    }

    fn spawn(&mut self, source: IpAddr, request: impl Future<Output = ()> + Send + 'static) {
        let of_source = self.by_source.entry(source).or_default();
        *of_source = of_source.saturating_add(1);
        self.requests.spawn(async move {
            request.await;
            source
        });
    }

    /// Forgets the requests that have ended. None ends by a panic: those of the application are caught.
    fn reap(&mut self) {
        while let Some(ended) = self.requests.try_join_next() {
            let Ok(Entry::Occupied(mut of_source)) = ended.map(|source| self.by_source.entry(source)) else {
                continue;
            };
            *of_source.get_mut() = of_source.get().saturating_sub(1);
            if *of_source.get() == 0 {
                of_source.remove();
            }
        }
    }
}
