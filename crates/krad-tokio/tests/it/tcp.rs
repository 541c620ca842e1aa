//! RADIUS over TCP (RFC 6613).

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use krad::{Code, FramingError, Identifier, PendingRequest, RequestBuilder, SharedSecret, VerifyError};
use krad_tokio::{Discard, Settings, bind_tcp, serve_tcp};
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Kdc, Observed, SECRET, TestService, network_terms, request, service};

struct Server {
    address: SocketAddr,
    service: Arc<TestService>,
    observed: Observed,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    fn start(settings: Settings) -> Self {
        Self::of(Some(network_terms()), (Ipv4Addr::LOCALHOST, 0).into(), settings)
    }

    fn of(terms: Option<krad_tokio::ClientTerms>, address: SocketAddr, settings: Settings) -> Self {
        let (service, observed) = service(terms);
        let shutdown = CancellationToken::new();
        let listener = bind_tcp(address).unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve_tcp(
            listener,
            Arc::clone(&service),
            settings,
            shutdown.clone(),
        ));
        Self {
            address,
            service,
            observed,
            shutdown,
            task,
        }
    }

    async fn connect(&self) -> Kdc<TcpStream> {
        Kdc(TcpStream::connect(self.address).await.unwrap())
    }
}

fn ask(user: &str, identifier: u8) -> PendingRequest {
    request(SECRET, user, identifier, identifier)
}

#[tokio::test]
async fn requests_are_answered_in_any_order_and_signed() {
    let mut server = Server::start(Settings::default());
    let mut client = server.connect().await;
    let [held, quick] = [ask("hold", 1), ask("accept", 2)];
    client.send(&[held.octets(), quick.octets()].concat()).await;
    assert_eq!(client.signed_reply_to(&quick).await, Code::ACCESS_ACCEPT);
    server.service.release(b"hold");
    assert_eq!(client.signed_reply_to(&held).await, Code::ACCESS_ACCEPT);
    assert_eq!(server.service.open.load(Ordering::SeqCst), 1);

    // The same octets again are answered by the same octets, and not decided again.
    client.send(quick.octets()).await;
    assert_eq!(client.signed_reply_to(&quick).await, Code::ACCESS_ACCEPT);
    assert_eq!(server.service.decisions(), 2);
    // On another connection they are another request.
    let mut other = server.connect().await;
    other.send(quick.octets()).await;
    assert_eq!(other.signed_reply_to(&quick).await, Code::ACCESS_ACCEPT);
    assert_eq!(server.service.decisions(), 3);

    server.shutdown.cancel();
    server.task.await.unwrap();
    assert_eq!(client.receive().await, None);
    assert_eq!(server.service.open.load(Ordering::SeqCst), 0);
    assert!(server.observed.discards.try_recv().is_err());
}

#[tokio::test]
async fn status_server() {
    let server = Server::start(Settings::default());
    let mut client = server.connect().await;
    let secret = SharedSecret::new(SECRET);
    let status = RequestBuilder::status_server(Identifier(9), [9; 16].into(), &secret)
        .build()
        .unwrap();
    client.send(status.octets()).await;
    assert_eq!(client.signed_reply_to(&status).await, Code::ACCESS_ACCEPT);
}

#[tokio::test]
async fn what_is_not_authentic_is_discarded_alone() {
    let mut server = Server::start(Settings::default());
    let mut client = server.connect().await;
    let forged = request(b"another secret", "accept", 1, 1);
    let honest = ask("accept", 2);
    client.send(&[forged.octets(), honest.octets()].concat()).await;
    assert_eq!(client.signed_reply_to(&honest).await, Code::ACCESS_ACCEPT);
    let wrong = Discard::Verify(VerifyError::WrongMessageAuthenticator);
    assert_eq!(server.observed.discard().await, (wrong, true));
}

#[tokio::test]
async fn lost_boundaries_end_the_connection() {
    for length in [0_u16, 19, 4097, u16::MAX] {
        let mut server = Server::start(Settings::default());
        let mut client = server.connect().await;
        let honest = ask("accept", 2);
        let [high, low] = length.to_be_bytes();
        client
            .send(&[honest.octets(), &[1, 1, high, low], &[0; 16]].concat())
            .await;
        assert_eq!(
            client.signed_reply_to(&honest).await,
            Code::ACCESS_ACCEPT,
            "what came before"
        );
        assert_eq!(client.receive().await, None);
        let framing = Discard::Framing(FramingError::Length(length));
        assert_eq!(server.observed.discard().await, (framing, false));
    }
}

#[tokio::test]
async fn strangers_are_not_even_listened_to() {
    let mut server = Server::of(None, (Ipv4Addr::LOCALHOST, 0).into(), Settings::default());
    let mut client = server.connect().await;
    assert_eq!(client.receive().await, None);
    assert_eq!(server.observed.discard().await, (Discard::UnknownClient, false));
    assert_eq!(server.service.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections() {
    let mut server = Server::start(Settings {
        connections_per_source: 2,
        ..Settings::default()
    });
    let [mut first, mut second] = [server.connect().await, server.connect().await];
    let mut third = server.connect().await;
    assert_eq!(third.receive().await, None);
    assert_eq!(
        server.observed.discard().await,
        (Discard::TooManyConnections, false)
    );
    for (identifier, client) in [(1, &mut first), (2, &mut second)] {
        let pending = ask("accept", identifier);
        client.send(pending.octets()).await;
        assert_eq!(client.signed_reply_to(&pending).await, Code::ACCESS_ACCEPT);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = Server::start(Settings::default());
    let mut client = server.connect().await;
    for identifier in 0..5 {
        sleep(Duration::from_secs(14 * 60)).await;
        let pending = ask("accept", identifier);
        client.send(pending.octets()).await;
        assert_eq!(client.signed_reply_to(&pending).await, Code::ACCESS_ACCEPT);
    }
    let answered = Instant::now();
    let closed = timeout(Duration::from_secs(3600), client.receive()).await;
    assert_eq!(closed.unwrap(), None);
    assert_eq!(answered.elapsed().as_secs(), 15 * 60);
}

/// An octet every five seconds would keep a packet incomplete for hours.
#[tokio::test(start_paused = true)]
async fn octet_by_octet_a_packet_has_no_more_time() {
    let mut server = Server::start(Settings::default());
    let mut client = server.connect().await;
    let begun = Instant::now();
    let pending = ask("accept", 1);
    let dripping = tokio::spawn(async move {
        for octet in pending.octets() {
            if tokio::io::AsyncWriteExt::write_all(&mut client.0, &[*octet])
                .await
                .is_err()
            {
                break;
            }
            sleep(Duration::from_secs(5)).await;
        }
    });
    let discarded = timeout(Duration::from_secs(3600), server.observed.discard()).await;
    assert_eq!(discarded.unwrap(), (Discard::Stalled, false));
    assert!(
        (30..=35).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
    dripping.abort();
}

#[tokio::test]
async fn the_wildcard_of_ipv6_takes_both() {
    let server = Server::of(
        Some(network_terms()),
        (Ipv6Addr::UNSPECIFIED, 0).into(),
        Settings::default(),
    );
    let port = server.address.port();
    for address in [
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port)),
        (Ipv6Addr::LOCALHOST, port).into(),
    ] {
        let mut client = Kdc(TcpStream::connect(address).await.unwrap());
        let pending = ask("accept", 1);
        client.send(pending.octets()).await;
        assert_eq!(
            client.signed_reply_to(&pending).await,
            Code::ACCESS_ACCEPT,
            "{address}"
        );
    }
}
