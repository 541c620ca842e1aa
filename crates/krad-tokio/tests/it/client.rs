//! The client against the listeners of this crate, and against servers that do not behave.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use krad::{Code, NoReply, RequestTemplate, RetrySchedule, SharedSecret};
use krad_tokio::{
    Settings, bind_unix,
    client::{Answered, Client, Server},
    serve_udp, serve_unix,
};
use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    io::AsyncReadExt,
    net::{UdpSocket, UnixListener},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    support::{Observed, SECRET, TestService, network_terms, service},
    unix,
};

struct Udp {
    address: SocketAddr,
    service: Arc<TestService>,
    observed: Observed,
}

async fn udp_server() -> Udp {
    let (service, observed) = service(Some(network_terms()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(serve_udp(
        socket,
        Arc::clone(&service),
        Settings::default(),
        shutdown,
    ));
    Udp {
        address,
        service,
        observed,
    }
}

/// An address where nobody listens.
async fn dead() -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp(socket.local_addr().unwrap())
}

/// A server that receives and says nothing.
async fn silent() -> (UdpSocket, Server) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = udp(socket.local_addr().unwrap());
    (socket, server)
}

fn udp(address: SocketAddr) -> Server {
    Server::udp(address, SharedSecret::new(SECRET))
}

fn client(servers: Vec<Server>) -> Client {
    Client::new(servers, RetrySchedule::new(Duration::from_secs(4), 1))
}

async fn ask(client: &Client, user: &str) -> Result<Answered, NoReply> {
    let template = RequestTemplate::access_request()
        .user_name(user.as_bytes())
        .and_then(|t| t.user_password(b"755224"))
        .unwrap();
    client.request(template, &mut StdRng::seed_from_u64(1)).await
}

/// Code and server of a reply.
async fn answer(client: &Client, user: &str) -> Result<(Code, usize), NoReply> {
    ask(client, user)
        .await
        .map(|answered| (answered.reply.code(), answered.server))
}

const OUTCOMES: [(&str, Code); 3] = [
    ("accept", Code::ACCESS_ACCEPT),
    ("reject", Code::ACCESS_REJECT),
    ("challenge", Code::ACCESS_CHALLENGE),
];

#[tokio::test(start_paused = true)]
async fn each_outcome_over_udp() {
    let server = udp_server().await;
    let client = client(vec![udp(server.address)]);
    for (user, code) in OUTCOMES {
        assert_eq!(answer(&client, user).await, Ok((code, 0)));
    }
}

#[tokio::test(start_paused = true)]
async fn each_outcome_over_a_unix_socket() {
    let server = unix::server_with(Settings::default());
    let client = client(vec![Server::unix(&server.path)]);
    for (user, code) in OUTCOMES {
        assert_eq!(answer(&client, user).await, Ok((code, 0)));
    }
    let challenge = ask(&client, "challenge").await.unwrap();
    assert_eq!(challenge.reply.as_reply().state(), Some(&b"state"[..]));
}

#[tokio::test(start_paused = true)]
async fn many_requests_share_one_socket() {
    let (udp_server, unix_server) = (udp_server().await, unix::server_with(Settings::default()));
    for server in [udp(udp_server.address), Server::unix(&unix_server.path)] {
        let client = client(vec![server]);
        let mut requests = JoinSet::new();
        for number in 0..200 {
            let client = client.clone();
            let (user, code) = OUTCOMES[number % 3];
            requests.spawn(async move { (answer(&client, user).await, Ok((code, 0))) });
        }
        let outcomes = requests.join_all().await;
        assert!(
            outcomes.iter().all(|(outcome, expected)| outcome == expected),
            "{outcomes:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_256_at_once_are_refused_and_the_rest_is_answered() {
    let server = udp_server().await;
    let client = client(vec![udp(server.address)]);
    let mut requests = JoinSet::new();
    for _ in 0..257 {
        let client = client.clone();
        requests.spawn(async move { answer(&client, "accept").await });
    }
    let outcomes = requests.join_all().await;
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(NoReply::IdentifiersExhausted(_))));
    assert_eq!(refused.count(), 1);
    let accepted = outcomes
        .iter()
        .filter(|outcome| **outcome == Ok((Code::ACCESS_ACCEPT, 0)));
    assert_eq!(accepted.count(), 256);
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_costs_no_time() {
    let live = udp_server().await;
    let nowhere = Server::unix("/nonexistent/radius.socket");
    let client = client(vec![dead().await, nowhere, udp(live.address)]);
    let start = Instant::now();
    assert_eq!(answer(&client, "accept").await, Ok((Code::ACCESS_ACCEPT, 2)));
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_costs_its_share_and_is_sent_the_same_octets_again() {
    let (socket, silent) = silent().await;
    let live = udp_server().await;
    let client = client(vec![silent, udp(live.address)]);
    let start = Instant::now();
    assert_eq!(answer(&client, "accept").await, Ok((Code::ACCESS_ACCEPT, 1)));
    assert!(
        (2000..2100).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );
    let mut datagrams = [vec![0; 4096], vec![0; 4096]];
    for datagram in &mut datagrams {
        let (length, _) = socket.recv_from(datagram).await.unwrap();
        datagram.truncate(length);
    }
    assert_eq!(datagrams[0], datagrams[1]);
    assert!(socket.try_recv(&mut [0; 1]).is_err(), "and no third time");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_it() {
    let (_socket, silent) = silent().await;
    let start = Instant::now();
    assert_eq!(
        answer(&client(vec![silent]), "accept").await,
        Err(NoReply::TimedOut)
    );
    assert!(
        (4000..4100).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );

    assert_eq!(
        answer(&client(Vec::new()), "accept").await,
        Err(NoReply::Unreachable)
    );
    let nowhere = client(vec![Server::unix("/nonexistent/radius.socket")]);
    let start = Instant::now();
    assert_eq!(answer(&nowhere, "accept").await, Err(NoReply::Unreachable));
    assert!(start.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_of_the_first_server_counts() {
    let mut first = udp_server().await;
    let (_socket, second) = silent().await;
    let client = client(vec![udp(first.address), second]);
    let asking = tokio::spawn(async move { answer(&client, "hold").await });
    assert_eq!(first.observed.begun.recv().await.unwrap(), b"hold");
    tokio::time::sleep(Duration::from_secs(3)).await; // the second one is being asked
    first
        .service
        .released
        .send_replace(BTreeSet::from([b"hold".to_vec()]));
    assert_eq!(asking.await.unwrap(), Ok((Code::ACCESS_ACCEPT, 0)));
}

#[tokio::test(start_paused = true)]
async fn replies_with_another_secret_are_no_replies() {
    let server = udp_server().await;
    let (mut observed, address) = (server.observed, server.address);
    let stranger = Server::udp(address, SharedSecret::new(b"another secret"));
    assert_eq!(
        answer(&client(vec![stranger]), "accept").await,
        Err(NoReply::TimedOut)
    );
    assert_eq!(observed.discard().await.0.label(), "wrong_message_authenticator");

    // A server that answers with rubbish, and with the request itself.
    let (socket, rubbish) = silent().await;
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, source) = socket.recv_from(&mut buffer).await.unwrap();
            for octets in [&buffer[..0], &buffer[..1], &buffer[..19], &buffer[..length]] {
                socket.send_to(octets, source).await.unwrap();
            }
        }
    });
    assert_eq!(
        answer(&client(vec![rubbish]), "accept").await,
        Err(NoReply::TimedOut)
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_leaves_nothing_behind() {
    let (mut udp_server, mut unix_server) = (udp_server().await, unix::server_with(Settings::default()));
    let ends = [
        (udp(udp_server.address), &mut udp_server.observed),
        (Server::unix(&unix_server.path), &mut unix_server.observed),
    ];
    for (server, observed) in ends {
        let client = client(vec![server]);
        // More than there are Identifiers, one after the other.
        for _ in 0..300 {
            let given_up = tokio::time::timeout(Duration::from_millis(10), ask(&client, "never")).await;
            assert!(given_up.is_err());
        }
        assert_eq!(
            observed.begun.recv().await.unwrap(),
            b"never",
            "whole packets have arrived"
        );
        if let Ok(answered) = ask(&client, "accept").await {
            assert_eq!(answered.reply.code(), Code::ACCESS_ACCEPT);
        } else {
            // The connection may have as many requests in flight as it is allowed; those end at their deadline.
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(answer(&client, "accept").await, Ok((Code::ACCESS_ACCEPT, 0)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_ends_what_waited_and_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("radius.socket");
    let listener = UnixListener::bind(&path).unwrap();
    let client = client(vec![Server::unix(&path)]);

    let asking = tokio::spawn({
        let client = client.clone();
        async move { answer(&client, "accept").await }
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.read_exact(&mut [0; 20]).await.unwrap();
    let start = Instant::now();
    drop((stream, listener));
    assert_eq!(asking.await.unwrap(), Err(NoReply::Unreachable));
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "it does not wait for the deadline"
    );
    assert_eq!(
        answer(&client, "accept").await,
        Err(NoReply::Unreachable),
        "nobody listens"
    );

    let (service, _observed) = service(Some(crate::support::kdc_terms()));
    std::fs::remove_file(&path).unwrap();
    let socket = bind_unix(&path, 0o600).unwrap();
    tokio::spawn(serve_unix(
        socket,
        "kdc",
        service,
        Settings::default(),
        CancellationToken::new(),
    ));
    assert_eq!(answer(&client, "accept").await, Ok((Code::ACCESS_ACCEPT, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_starts_late_is_found_by_a_retry() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let asking = tokio::spawn(async move { answer(&client(vec![udp(address)]), "accept").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (service, _observed) = service(Some(network_terms()));
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(serve_udp(
        socket,
        service,
        Settings::default(),
        CancellationToken::new(),
    ));
    assert_eq!(asking.await.unwrap(), Ok((Code::ACCESS_ACCEPT, 0)));
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let client = client(vec![Server::udp(
        "192.0.2.1:1812".parse().unwrap(),
        SharedSecret::new(b"hush"),
    )]);
    let text = format!("{client:?}");
    assert!(
        text.contains("192.0.2.1:1812") && !text.contains("hush"),
        "{text}"
    );
}
