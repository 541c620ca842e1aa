//! Both listeners on several threads and real time: every request gets its own answer, and is decided once.

use std::{collections::HashMap, sync::Arc};

use krad::{Code, PendingRequest, ReplyStyle};
use krad_tokio::{Settings, bind_unix, serve_udp, serve_unix};
use tokio::{
    net::{UdpSocket, UnixStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Kdc, SECRET, kdc_terms, network_terms, request, service, verified};

const PEERS: usize = 8;
const ROUNDS: u8 = 4;
const USERS: [(&str, Code); 3] = [
    ("accept", Code::ACCESS_ACCEPT),
    ("reject", Code::ACCESS_REJECT),
    ("challenge", Code::ACCESS_CHALLENGE),
];

/// A request for each Identifier, with the answer that it must get.
fn round_of_requests(secret: &[u8], round: u8) -> Vec<(PendingRequest, Code)> {
    let users = USERS.iter().cycle();
    (0..=255)
        .zip(users)
        .map(|(id, (user, code))| (request(secret, user, id, round), *code))
        .collect()
}

/// Writes every Identifier at once and reads the replies in whatever order they come.
async fn pipeline(kdc: &mut Kdc, requests: &[(PendingRequest, Code)]) -> HashMap<u8, Vec<u8>> {
    let octets: Vec<u8> = requests
        .iter()
        .flat_map(|(pending, _)| pending.octets().to_vec())
        .collect();
    kdc.send(&octets).await;
    let mut replies = HashMap::new();
    for _ in requests {
        let reply = kdc.receive().await.unwrap();
        let (pending, code) = &requests[usize::from(reply[1])];
        assert_eq!(verified(pending, &reply, ReplyStyle::Libkrad), *code);
        assert_eq!(replies.insert(reply[1], reply), None, "one reply to each request");
    }
    replies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn streams() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let (service, _observed) = service(Some(kdc_terms()));
    let shutdown = CancellationToken::new();
    let socket = bind_unix(&path, 0o600).unwrap();
    let serving = serve_unix(
        socket,
        "kdc",
        Arc::clone(&service),
        Settings::default(),
        shutdown.clone(),
    );
    let server = tokio::spawn(serving);
    let mut peers = JoinSet::new();
    for _ in 0..PEERS {
        let mut kdc = Kdc(UnixStream::connect(&path).await.unwrap());
        peers.spawn(async move {
            for round in 0..ROUNDS {
                let requests = round_of_requests(b"", round);
                let replies = pipeline(&mut kdc, &requests).await;
                assert_eq!(
                    pipeline(&mut kdc, &requests).await,
                    replies,
                    "duplicates get the same octets"
                );
            }
        });
    }
    peers.join_all().await;
    assert_eq!(service.decisions(), PEERS * usize::from(ROUNDS) * 256);
    shutdown.cancel();
    server.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn datagrams() {
    let (service, _observed) = service(Some(network_terms()));
    let shutdown = CancellationToken::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = serve_udp(
        socket,
        Arc::clone(&service),
        Settings::default(),
        shutdown.clone(),
    );
    let server = tokio::spawn(serving);
    let mut peers = JoinSet::new();
    for _ in 0..PEERS {
        let nas = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        nas.connect(address).await.unwrap();
        peers.spawn(async move {
            let mut buffer = [0; 4096];
            for (pending, code) in round_of_requests(SECRET, 0) {
                for _ in 0..2 {
                    nas.send(pending.octets()).await.unwrap();
                    let length = nas.recv(&mut buffer).await.unwrap();
                    assert_eq!(verified(&pending, &buffer[..length], ReplyStyle::Network), code);
                }
            }
        });
    }
    peers.join_all().await;
    assert_eq!(service.decisions(), PEERS * 256);
    shutdown.cancel();
    server.await.unwrap();
}
