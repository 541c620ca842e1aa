//! Thousands of connections on which nothing happens, and a login beside them.
//!
//! `cargo test` opens ten thousand on the KDC's socket and a few hundred on TLS, `cargo xtask idle` ten thousand on each
//! ([`CONNECTIONS`]).

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use krad::{
    Code, Identifier, MessageAuthenticatorRule, Packet, RequestAuthenticator, RequestBuilder, SharedSecret,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

use crate::{
    campaign::{self, Ledger},
    radsec::{certificates, configuration, daemon, system},
    system::hotp,
    wire::{Connection, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// How many on TLS, where each costs two signatures on both sides.
const CONNECTIONS: &str = "IDLE_CONNECTIONS";
/// How many on the KDC's socket.
const ON_UNIX: usize = 10_000;
/// A login beside them may take so long, on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(1);

/// Lets this process, and the daemons that it starts, open as many files as it may.
fn open_many_files(needed: usize) {
    let (limit, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(
        hard > u64::try_from(needed).unwrap(),
        "this needs a hard limit of open files above {needed}: ulimit -Hn"
    );
    if limit < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}

fn limits(connections: usize) -> String {
    let some = connections + 100;
    format!("[limits]\nconnections = {some}\nconnections_per_address = {some}\n")
}

#[test]
fn on_the_socket_of_a_kdc() {
    open_many_files(ON_UNIX + 2_000);
    let system = system();
    let socket = system.kdc_socket();
    let file = system.dir().join("otp-radiusd.toml");
    let text = format!("listen = [\"unix:{}\"]\n{}", socket.display(), limits(ON_UNIX));
    std::fs::write(&file, text).unwrap();
    let daemon = daemon(&system, &file);
    let before = daemon.resident_kilobytes();
    let idle: Vec<_> = (0..ON_UNIX)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    let mut kdc = Connection::to(&socket);
    let begun = Instant::now();
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Accept);
    let took = begun.elapsed();
    let each = (daemon.resident_kilobytes() - before) * 1024 / idle.len();
    println!("{ON_UNIX} idle connections: {each} octets each, a login beside them in {took:?}");
    assert!(each < 8 * 1024, "{each} octets for each connection");
    assert!(took < LONGEST, "{took:?}");
}

/// Connections with certificates.
struct Tls {
    config: Arc<ClientConfig>,
    server: SocketAddr,
}

impl Tls {
    fn to(server: SocketAddr, certificates: &Path) -> Self {
        let file = |name: &str| certificates.join(name);
        let mut authorities = RootCertStore::empty();
        authorities
            .add(CertificateDer::from_pem_file(file("ca.pem")).unwrap())
            .unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(authorities)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(file("vpn1.pem")).unwrap()],
                PrivateKeyDer::from_pem_file(file("vpn1.key")).unwrap(),
            )
            .unwrap();
        Self {
            config: Arc::new(config),
            server,
        }
    }

    /// Connects, and waits until both sides have seen the other's certificate.
    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("radius.example.com").unwrap();
        let client = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut stream = StreamOwned::new(client, TcpStream::connect(self.server).unwrap());
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        stream
    }
}

#[test]
fn on_tls() {
    let connections = usize::try_from(campaign::scale(CONNECTIONS, 300)).unwrap();
    let started = Instant::now();
    open_many_files(connections + 2_000);
    let (system, certificates) = (system(), certificates());
    let file = configuration(
        &system,
        certificates.path(),
        "\"tls://127.0.0.1:0\"",
        &limits(connections),
    );
    let daemon = daemon(&system, &file);
    let tls = Tls::to(daemon.address("tls"), certificates.path());
    let mut beside = tls.connect();
    let before = daemon.resident_kilobytes();
    // What this side needs of TLS is dropped; the connection stays open.
    let idle: Vec<TcpStream> = (0..connections).map(|_| tls.connect().sock).collect();
    let opened = started.elapsed();

    let secret = SharedSecret::new(b"radsec");
    let authenticator = RequestAuthenticator::random(&mut rand::rng());
    let request = RequestBuilder::access_request(Identifier(1), authenticator, &secret)
        .user_name(b"alice")
        .and_then(|request| request.user_password(hotp(SECRET, 0).as_bytes()))
        .and_then(RequestBuilder::build)
        .unwrap();
    let begun = Instant::now();
    beside.write_all(request.octets()).unwrap();
    let mut reply = vec![0; 4];
    beside.read_exact(&mut reply).unwrap();
    reply.resize(usize::from(u16::from_be_bytes([reply[2], reply[3]])), 0);
    beside.read_exact(&mut reply[4..]).unwrap();
    let took = begun.elapsed();
    let reply = request
        .verify(
            Packet::decode(&reply).unwrap(),
            MessageAuthenticatorRule::Required,
        )
        .unwrap();
    assert_eq!(reply.code(), Code::ACCESS_ACCEPT);

    let each = (daemon.resident_kilobytes() - before) * 1024 / connections;
    println!(
        "{connections} idle connections on TLS in {opened:?}: {each} octets each, a login beside them in {took:?}"
    );
    assert!(each < 64 * 1024, "{each} octets for each connection");
    assert!(took < LONGEST, "{took:?}");
    drop(idle);
    Ledger::new("idle", 0)
        .count("connections on TLS", connections as u64)
        .count("octets each", each as u64)
        .count("login beside ms", u64::try_from(took.as_millis()).unwrap())
        .finish(started);
}
