//! A UDP listener on several addresses, and several sockets on one.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use krad::{Code, ReplyStyle};
use krad_tokio::{Settings, UdpListener, bind_udp, serve_udp};
use tokio::{net::UdpSocket, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{Observed, SECRET, TestService, network_terms, request, service, verified};

/// Serves all of them with one service.
fn serve(sockets: Vec<UdpListener>) -> (Arc<TestService>, Observed, CancellationToken) {
    let (service, observed) = service(Some(network_terms()));
    let shutdown = CancellationToken::new();
    for socket in sockets {
        let (service, settings) = (Arc::clone(&service), Settings::default());
        tokio::spawn(serve_udp(socket, service, settings, shutdown.clone()));
    }
    (service, observed, shutdown)
}

/// Asks from a socket of its own that takes answers from `server` alone.
async fn ask(server: SocketAddr) -> Option<Code> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    let pending = request(SECRET, "accept", 1, 1);
    socket.send(pending.octets()).await.unwrap();
    let mut buffer = [0; 4096];
    let received = timeout(Duration::from_secs(5), socket.recv(&mut buffer))
        .await
        .ok()?;
    Some(verified(
        &pending,
        &buffer[..received.unwrap()],
        ReplyStyle::Network,
    ))
}

/// The kernel would answer from 127.0.0.1, whichever of its addresses was asked.
#[tokio::test]
async fn replies_leave_from_the_address_that_was_asked() {
    let v4 = [1, 2, 3].map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last)));
    for (bound, asked) in [
        (IpAddr::from(Ipv4Addr::UNSPECIFIED), &v4[..]),
        (
            Ipv6Addr::UNSPECIFIED.into(),
            &[v4[0], v4[1], v4[2], Ipv6Addr::LOCALHOST.into()],
        ),
        (v4[1], &v4[1..2]),
        (Ipv6Addr::LOCALHOST.into(), &[Ipv6Addr::LOCALHOST.into()]),
    ] {
        let sockets = bind_udp((bound, 0).into(), 1).unwrap();
        let port = sockets[0].local_addr().unwrap().port();
        let (service, _observed, _shutdown) = serve(sockets);
        for address in asked {
            let answer = ask((*address, port).into()).await;
            assert_eq!(answer, Some(Code::ACCESS_ACCEPT), "{bound} asked as {address}");
        }
        assert_eq!(service.decisions(), asked.len());
    }
}

/// A client stays with one socket, so that its repetitions are known there; a hundred clients do not all have the same one.
#[tokio::test]
async fn duplicates_are_found_on_several_sockets() {
    const CLIENTS: u8 = 100;
    let sockets = bind_udp((Ipv4Addr::LOCALHOST, 0).into(), 4).unwrap();
    let address = sockets[0].local_addr().unwrap();
    let (service, _observed, _shutdown) = serve(sockets);
    for fill in 0..CLIENTS {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        client.connect(address).await.unwrap();
        // A later client can have the port of an earlier one, but never its authenticator.
        let pending = request(SECRET, "accept", 7, fill);
        let mut replies = Vec::new();
        for _ in 0..3 {
            client.send(pending.octets()).await.unwrap();
            let mut buffer = [0; 4096];
            let length = client.recv(&mut buffer).await.unwrap();
            replies.push(buffer[..length].to_vec());
        }
        replies.dedup();
        assert_eq!(replies.len(), 1, "the same octets again");
    }
    assert_eq!(service.decisions(), usize::from(CLIENTS));
    assert_eq!(service.repeated.load(Ordering::SeqCst), 2 * usize::from(CLIENTS));
}

/// All of them are used: without one of them, some clients get no answer.
#[tokio::test]
async fn clients_are_spread_over_the_sockets() {
    let mut sockets = bind_udp((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
    let address = sockets[0].local_addr().unwrap();
    let silent = sockets.pop();
    let (service, _observed, _shutdown) = serve(sockets);
    let mut clients = Vec::new();
    for _ in 0..64 {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        client.connect(address).await.unwrap();
        client
            .send(request(SECRET, "accept", 1, 1).octets())
            .await
            .unwrap();
        clients.push(client);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!((8..=56).contains(&service.decisions()), "{}", service.decisions());
    drop(silent);
}
