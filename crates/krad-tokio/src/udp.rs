//! RADIUS over UDP (RFC 2865 §3).

use std::{net::SocketAddr, sync::Arc, time::Duration};

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

/// Serves RADIUS on a bound socket until `shutdown`, then lets the requests in flight finish within
/// [`Settings::drain`].
///
/// A reply leaves from the socket's own address. On a host with several addresses bind one socket per
/// address: replies of a socket bound to the wildcard address can leave from another one than the client
/// asked.
pub async fn serve_udp<S: RadiusService>(
    socket: UdpSocket,
    service: Arc<S>,
    settings: Settings,
    shutdown: CancellationToken,
) {
    let settings = Arc::new(settings);
    let capacity = settings.duplicate_capacity;
    let exchange = Arc::new(Exchange::new(service, Arc::clone(&settings), capacity));
    let socket = Arc::new(socket);
    let mut requests = JoinSet::new();
    let receiving = receive(&socket, &exchange, &mut requests);
    shutdown.run_until_cancelled(receiving).await;
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
async fn receive<S: RadiusService>(
    socket: &Arc<UdpSocket>,
    exchange: &Arc<Exchange<S, Key>>,
    requests: &mut JoinSet<()>,
) {
    // Longer datagrams are cut: what is beyond the longest packet is padding.
    let mut buffer = Zeroizing::new(vec![0; MAX_PACKET_LENGTH]);
    loop {
        let (length, source) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An ICMP error about an earlier reply, or a lack of memory: nothing that ends a listener.
                tracing::debug!(%error, "receiving failed");
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let received_at = Instant::now();
        while requests.try_join_next().is_some() {}
        let peer = Peer::Udp(source);
        let octets = buffer.get(..length).unwrap_or_default();
        let Some(packet) = exchange.decode(&peer, octets) else {
            continue;
        };
        if requests.len() >= exchange.settings().datagrams_in_flight {
            exchange.discard(&peer, None, Discard::Overloaded);
            continue;
        }
        let key = (source, packet.identifier());
        let octets = Zeroizing::new(packet.octets().to_vec());
        let (socket, exchange) = (Arc::clone(socket), Arc::clone(exchange));
        requests.spawn(async move {
            let arrival = Arrival {
                peer,
                key,
                octets,
                received_at,
            };
            let Some(reply) = exchange.answer(arrival).await else {
                return;
            };
            if let Err(error) = socket.send_to(&reply, source).await {
                tracing::debug!(%source, %error, "sending a reply failed");
            }
        });
    }
}
