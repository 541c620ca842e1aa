//! RADIUS over UDP.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use krad::{
    AttributeType, Code, DecodeError, Identifier, PendingRequest, ReplyStyle, RequestBuilder, SharedSecret,
    VerifyError,
};
use krad_tokio::{ClientTerms, DatagramSocket, Discard, Proof, Route, Settings, serve_udp};
use tokio::{
    net::UdpSocket,
    task::JoinHandle,
    time::{Instant, advance, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Observed, SECRET, TestService, network_terms, request, service, soon, verified};

struct Server {
    address: SocketAddr,
    service: Arc<TestService>,
    observed: Observed,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn server_with(settings: Settings) -> Server {
    let (service, observed) = service(Some(network_terms()));
    start(service, observed, settings).await
}

async fn start(service: Arc<TestService>, observed: Observed, settings: Settings) -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    serve(socket, address, service, observed, settings)
}

fn serve(
    socket: impl DatagramSocket,
    address: SocketAddr,
    service: Arc<TestService>,
    observed: Observed,
    settings: Settings,
) -> Server {
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve_udp(
        socket,
        Arc::clone(&service),
        settings,
        shutdown.clone(),
    ));
    Server {
        address,
        service,
        observed,
        shutdown,
        task,
    }
}

struct Nas(UdpSocket);

impl Nas {
    async fn of(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server.address).await.unwrap();
        Self(socket)
    }

    async fn send(&self, octets: &[u8]) {
        self.0.send(octets).await.unwrap();
    }

    async fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 4096];
        let length = soon(self.0.recv(&mut buffer)).await.unwrap();
        buffer[..length].to_vec()
    }

    async fn reply_to(&self, pending: &PendingRequest) -> Code {
        verified(pending, &self.receive().await, ReplyStyle::Network)
    }

    async fn ask(&self, user: &str, identifier: u8) -> Code {
        let pending = request(SECRET, user, identifier, identifier);
        self.send(pending.octets()).await;
        self.reply_to(&pending).await
    }

    /// Nothing arrived before the reply to a last request.
    async fn expect_silence(&self) {
        assert_eq!(self.ask("accept", 255).await, Code::ACCESS_ACCEPT);
    }
}

#[tokio::test(start_paused = true)]
async fn answers() {
    let server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    for (identifier, (user, code)) in (0..).zip([
        ("accept", Code::ACCESS_ACCEPT),
        ("reject", Code::ACCESS_REJECT),
        ("challenge", Code::ACCESS_CHALLENGE),
        ("panic", Code::ACCESS_REJECT),
        ("oversize", Code::ACCESS_REJECT),
        ("accept", Code::ACCESS_ACCEPT),
    ]) {
        assert_eq!(nas.ask(user, identifier).await, code, "{user}");
        let told = server.service.answered.lock().unwrap().pop();
        assert_eq!(told, Some(code), "{user}: what is counted is what leaves");
    }
}

#[tokio::test(start_paused = true)]
async fn while_two_secrets_hold_the_one_that_proved_the_request_makes_the_reply() {
    const OLD: &[u8] = b"the secret of before";
    let (service, observed) = service(Some(ClientTerms {
        old_secret: Some(SharedSecret::new(OLD)),
        ..network_terms()
    }));
    let mut server = start(service, observed, Settings::default()).await;
    let nas = Nas::of(&server).await;
    for (identifier, secret) in (0..).zip([SECRET, OLD, OLD, SECRET]) {
        let pending = request(secret, "accept", identifier, identifier);
        nas.send(pending.octets()).await;
        assert_eq!(nas.reply_to(&pending).await, Code::ACCESS_ACCEPT, "{identifier}");
    }
    // A duplicate gets the same octets, and its proof is told of, too.
    let again = request(OLD, "accept", 2, 2);
    nas.send(again.octets()).await;
    assert_eq!(nas.reply_to(&again).await, Code::ACCESS_ACCEPT);

    nas.send(request(b"a third", "accept", 9, 9).octets()).await;
    let wrong = Discard::Verify(VerifyError::WrongMessageAuthenticator);
    assert_eq!(server.observed.discard().await, (wrong, true));
    let old = SharedSecret::new(OLD);
    let status = RequestBuilder::status_server(Identifier(7), [7; 16].into(), &old);
    let status = status.build().unwrap();
    nas.send(status.octets()).await;
    assert_eq!(nas.reply_to(&status).await, Code::ACCESS_ACCEPT);
    let proofs = server.service.proofs.lock().unwrap().clone();
    let (new, old) = (Proof::Secret, Proof::OldSecret);
    assert_eq!(proofs, [new, old, old, new, old, old]);
    assert_eq!(server.service.decisions(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_authentic_is_discarded() {
    let mut server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    let good = request(SECRET, "accept", 1, 1);
    let without_mac =
        RequestBuilder::access_request(Identifier(3), [3; 16].into(), &SharedSecret::new(SECRET))
            .dangerous_omit_message_authenticator()
            .build()
            .unwrap();
    let mut other_code = good.octets().to_vec();
    other_code[0] = 4;
    for (octets, cause, known) in [
        (&b""[..], Discard::Decode(DecodeError::Header(0)), false),
        (
            b"GET / HTTP/1.1\r\n\r\n123",
            Discard::Decode(DecodeError::Length(0x5420)),
            false,
        ),
        (
            &[1, 1, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
            Discard::Decode(DecodeError::Attribute(20)),
            false,
        ),
        (
            request(b"another secret", "accept", 2, 2).octets(),
            Discard::Verify(VerifyError::WrongMessageAuthenticator),
            true,
        ),
        (
            without_mac.octets(),
            Discard::Verify(VerifyError::MissingMessageAuthenticator),
            true,
        ),
        (
            &other_code,
            Discard::Verify(VerifyError::UnexpectedCode(Code::ACCOUNTING_REQUEST)),
            true,
        ),
    ] {
        nas.send(octets).await;
        assert_eq!(server.observed.discard().await, (cause, known));
    }
    nas.expect_silence().await;
    assert_eq!(server.service.decisions(), 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_clients_are_discarded() {
    let (service, observed) = service(None);
    let mut server = start(service, observed, Settings::default()).await;
    let nas = Nas::of(&server).await;
    nas.send(request(SECRET, "accept", 1, 1).octets()).await;
    assert_eq!(server.observed.discard().await, (Discard::UnknownClient, false));
    assert_eq!(server.service.decisions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_panics_costs_one_packet() {
    let mut server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    server.service.lookup_panics.store(true, Ordering::SeqCst);
    nas.send(request(SECRET, "accept", 1, 1).octets()).await;
    assert_eq!(server.observed.discard().await, (Discard::ClientLookup, false));
    nas.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn duplicates_are_decided_once() {
    let mut server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    let held = request(SECRET, "hold", 7, 7);
    nas.send(held.octets()).await;
    server.observed.begun.recv().await.unwrap();
    for _ in 0..3 {
        nas.send(held.octets()).await;
        assert_eq!(server.observed.discard().await, (Discard::InFlight, true));
    }
    server.service.release(b"hold");
    let reply = nas.receive().await;
    assert_eq!(verified(&held, &reply, ReplyStyle::Network), Code::ACCESS_ACCEPT);

    // Answered: the same octets, as long as they live.
    for _ in 0..2 {
        nas.send(held.octets()).await;
        assert_eq!(nas.receive().await, reply);
        advance(Duration::from_secs(14)).await;
    }
    assert_eq!(server.service.repeated.load(Ordering::SeqCst), 2);
    assert_eq!(server.service.decisions(), 1);

    // Another port is another request, and so is another authenticator.
    let other_nas = Nas::of(&server).await;
    other_nas.send(held.octets()).await;
    assert_eq!(other_nas.reply_to(&held).await, Code::ACCESS_ACCEPT);
    assert_eq!(server.service.decisions(), 2);
    let next = request(SECRET, "reject", 7, 8);
    nas.send(next.octets()).await;
    assert_eq!(nas.reply_to(&next).await, Code::ACCESS_REJECT);
    nas.send(next.octets()).await;
    assert_eq!(nas.reply_to(&next).await, Code::ACCESS_REJECT);
    assert_eq!(server.service.decisions(), 3);

    advance(Duration::from_secs(31)).await;
    nas.send(next.octets()).await;
    assert_eq!(nas.reply_to(&next).await, Code::ACCESS_REJECT);
    assert_eq!(server.service.decisions(), 4);
}

/// A client whose generator repeats an authenticator must not hand one user's Accept to another.
#[tokio::test(start_paused = true)]
async fn the_same_authenticator_is_not_the_same_request() {
    let server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    for (user, code) in [("accept", Code::ACCESS_ACCEPT), ("reject", Code::ACCESS_REJECT)] {
        let pending = request(SECRET, user, 7, 7);
        nas.send(pending.octets()).await;
        assert_eq!(nas.reply_to(&pending).await, code);
    }
    assert_eq!(server.service.decisions(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_forged_packet_does_not_touch_the_table() {
    let mut server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    let honest = request(SECRET, "accept", 7, 7);
    nas.send(honest.octets()).await;
    let reply = nas.receive().await;
    nas.send(request(b"forged", "accept", 7, 8).octets()).await;
    let (cause, _) = server.observed.discard().await;
    assert_eq!(cause, Discard::Verify(VerifyError::WrongMessageAuthenticator));
    nas.send(honest.octets()).await;
    assert_eq!(nas.receive().await, reply);
    assert_eq!(server.service.decisions(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_answers() {
    let server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    for (identifier, (user, seconds)) in (0..).zip([
        ("never", 4),
        ("late-reject", 4),
        ("slow-reject", 1),
        ("accept", 0),
    ]) {
        let sent = Instant::now();
        nas.ask(user, identifier).await;
        let elapsed = sent.elapsed();
        let expected = Duration::from_secs(seconds);
        // A timer fires up to a millisecond late.
        assert!(
            elapsed >= expected && elapsed < expected + Duration::from_millis(10),
            "{user}: {elapsed:?}"
        );
    }
}

/// A socket that panics over every Access-Reject.
struct Fragile(UdpSocket);

impl DatagramSocket for Fragile {
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Route)> {
        self.0.receive(buffer).await
    }

    async fn send(&self, octets: &[u8], route: Route) -> io::Result<()> {
        assert_ne!(octets[0], Code::ACCESS_REJECT.0);
        DatagramSocket::send(&self.0, octets, route).await
    }
}

/// A panic of the socket costs what was to be sent by that call, never the listener.
#[tokio::test(start_paused = true)]
async fn a_socket_that_panics_goes_on() {
    let (service, observed) = service(Some(network_terms()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = serve(Fragile(socket), address, service, observed, Settings::default());
    let nas = Nas::of(&server).await;
    nas.send(request(SECRET, "reject", 1, 1).octets()).await;
    while server.service.answered.lock().unwrap().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_millis(1)).await;
    nas.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn overload_is_discarded() {
    let mut server = server_with(Settings {
        datagrams_in_flight: 2,
        ..Settings::default()
    })
    .await;
    let nas = Nas::of(&server).await;
    let held = [request(SECRET, "hold1", 1, 1), request(SECRET, "hold2", 2, 2)];
    for pending in &held {
        nas.send(pending.octets()).await;
        server.observed.begun.recv().await.unwrap();
    }
    nas.send(request(SECRET, "accept", 3, 3).octets()).await;
    assert_eq!(server.observed.discard().await, (Discard::Overloaded, false));
    for (user, pending) in [&b"hold1"[..], b"hold2"].into_iter().zip(&held) {
        server.service.release(user);
        assert_eq!(nas.reply_to(pending).await, Code::ACCESS_ACCEPT);
    }
    nas.expect_silence().await;
}

/// However few they are: what one source has in flight is also counted in octets.
#[tokio::test(start_paused = true)]
async fn large_requests_are_fewer() {
    let mut server = server_with(Settings {
        datagram_octets_in_flight_per_source: 5_000,
        ..Settings::default()
    })
    .await;
    let nas = Nas::of(&server).await;
    let large = |user: &str, identifier| {
        let secret = SharedSecret::new(SECRET);
        let builder =
            RequestBuilder::access_request(Identifier(identifier), [identifier; 16].into(), &secret)
                .user_name(user.as_bytes())
                .unwrap();
        let builder = (0..10).fold(builder, |builder, _| {
            builder.with(AttributeType::PROXY_STATE, &[7; 240]).unwrap()
        });
        builder.build().unwrap()
    };
    let held = large("hold", 1);
    assert!((2_400..2_500).contains(&held.octets().len()));
    nas.send(held.octets()).await;
    server.observed.begun.recv().await.unwrap();
    let second = large("accept", 2);
    nas.send(second.octets()).await;
    assert_eq!(nas.reply_to(&second).await, Code::ACCESS_ACCEPT);
    let also_held = large("hold2", 3);
    nas.send(also_held.octets()).await;
    server.observed.begun.recv().await.unwrap();
    nas.send(request(SECRET, "accept", 4, 4).octets()).await;
    assert_eq!(
        nas.reply_to(&request(SECRET, "accept", 4, 4)).await,
        Code::ACCESS_ACCEPT
    );
    nas.send(large("accept", 5).octets()).await;
    assert_eq!(server.observed.discard().await, (Discard::Overloaded, false));
    server.service.release(b"hold");
    assert_eq!(nas.reply_to(&held).await, Code::ACCESS_ACCEPT);
    nas.send(large("accept", 5).octets()).await;
    assert_eq!(nas.reply_to(&large("accept", 5)).await, Code::ACCESS_ACCEPT);
}

/// 127.0.0.2 is a source address of its own, and gets its turn.
#[tokio::test(start_paused = true)]
async fn one_source_does_not_keep_the_others_out() {
    let mut server = server_with(Settings {
        datagrams_in_flight_per_source: 1,
        ..Settings::default()
    })
    .await;
    let nas = Nas::of(&server).await;
    let other = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    other.connect(server.address).await.unwrap();
    let other = Nas(other);
    let held = request(SECRET, "hold", 1, 1);
    nas.send(held.octets()).await;
    server.observed.begun.recv().await.unwrap();
    // Another port of the same address.
    Nas::of(&server)
        .await
        .send(request(SECRET, "accept", 2, 2).octets())
        .await;
    assert_eq!(server.observed.discard().await, (Discard::Overloaded, false));
    other.expect_silence().await;
    server.service.release(b"hold");
    assert_eq!(nas.reply_to(&held).await, Code::ACCESS_ACCEPT);
    nas.expect_silence().await;
}

/// Times that no clock can say are as good as none.
#[tokio::test(start_paused = true)]
async fn endless_times() {
    let (deadline, duplicate_life) = (Duration::MAX, Duration::MAX);
    let server = server_with(Settings {
        deadline,
        duplicate_life,
        ..Settings::default()
    })
    .await;
    let nas = Nas::of(&server).await;
    for _ in 0..2 {
        assert_eq!(nas.ask("accept", 1).await, Code::ACCESS_ACCEPT);
    }
    assert_eq!(server.service.decisions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_table_full_of_work_takes_no_more() {
    let mut server = server_with(Settings {
        duplicate_capacity: 1,
        ..Settings::default()
    })
    .await;
    let nas = Nas::of(&server).await;
    let held = request(SECRET, "hold", 1, 1);
    nas.send(held.octets()).await;
    server.observed.begun.recv().await.unwrap();
    nas.send(request(SECRET, "accept", 2, 2).octets()).await;
    assert_eq!(
        server.observed.discard().await,
        (Discard::DuplicateTableFull, true)
    );
    server.service.release(b"hold");
    assert_eq!(nas.reply_to(&held).await, Code::ACCESS_ACCEPT);
    nas.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn status_server() {
    let mut server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    let secret = SharedSecret::new(SECRET);
    let status = RequestBuilder::status_server(Identifier(0), [9; 16].into(), &secret)
        .build()
        .unwrap();
    for _ in 0..2 {
        nas.send(status.octets()).await;
        assert_eq!(nas.reply_to(&status).await, Code::ACCESS_ACCEPT);
    }
    server.service.available.store(false, Ordering::SeqCst);
    nas.send(status.octets()).await;
    assert_eq!(server.observed.discard().await, (Discard::Unavailable, true));
    nas.expect_silence().await;
    assert_eq!(server.service.decisions(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_answers_what_is_in_flight() {
    let mut server = server_with(Settings::default()).await;
    let nas = Nas::of(&server).await;
    let held = request(SECRET, "hold", 1, 1);
    nas.send(held.octets()).await;
    server.observed.begun.recv().await.unwrap();
    server.shutdown.cancel();
    tokio::task::yield_now().await;
    nas.send(request(SECRET, "accept", 2, 2).octets()).await;
    server.service.release(b"hold");
    assert_eq!(nas.reply_to(&held).await, Code::ACCESS_ACCEPT);
    server.task.await.unwrap();
    assert_eq!(server.service.decisions(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded() {
    let settings = Settings {
        deadline: Duration::from_secs(60),
        drain: Duration::from_secs(2),
        ..Settings::default()
    };
    let mut server = server_with(settings).await;
    let nas = Nas::of(&server).await;
    nas.send(request(SECRET, "never", 1, 1).octets()).await;
    server.observed.begun.recv().await.unwrap();
    let cancelled = Instant::now();
    server.shutdown.cancel();
    server.task.await.unwrap();
    assert_eq!(cancelled.elapsed().as_secs(), 2);
}
