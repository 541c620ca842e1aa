//! Packets that are wrong in every way there is, beside traffic that is valid: each is discarded or gets one answer, none is
//! accepted twice, the valid traffic does not notice, and no memory is lost.
//!
//! `cargo test` sends a sample, `cargo xtask malformed` ten million packets ([`PACKETS`]).

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use krad::{Code, Identifier, RequestAuthenticator, RequestBuilder, SharedSecret};

use crate::{
    campaign::{self, Ledger},
    clients::{UdpClient, User, system_with_users},
    metrics::{self, metrics},
    mutations::{Malformed, is_framed},
    system::{Daemon, PATIENCE, System},
    wire::{Connection, Verdict, uninterrupted},
};

/// How many packets; a quarter of them on streams.
const PACKETS: &str = "MALFORMED_PACKETS";
/// Octets that are sent before the server is asked whether it still answers: less than a socket keeps.
const BURST: usize = 128 * 1024;
/// The same on a stream, where a client that writes and does not read is cut off: less than both ends keep of replies.
const STREAM_BURST: usize = 16 * 1024;
/// Between two questions whether the server answers; one that has too much in flight takes none.
const AGAIN: Duration = Duration::from_millis(500);
/// What a datagram costs the kernel beside its octets.
const OVERHEAD: usize = 1024;
/// Users whose logins go on all the time.
const USERS: usize = 50;
/// The number of the first of them. Their names are more than one mutation away from the victim's: at a socket without a secret, what
/// is altered into somebody's name is a guess at their codes, and enough of these lock.
const FIRST: usize = 1000;
/// A valid login may take so long beside them, on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(4);
/// Memory that the last three quarters of a long run may add, in kilobytes.
const GROWTH: usize = 16 * 1024;

/// The client that sends them is at an address of its own, and another one that need not sign.
const ROGUE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const OLD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// What came back.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    sent: usize,
    answered: usize,
    /// Questions whether the server answers.
    asked: usize,
    /// Their answers.
    told: usize,
    /// Connections that were given up, by either side.
    closed: usize,
}

impl Seen {
    fn take(&mut self) {
        self.answered += 1;
    }
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.asked += other.asked;
        self.told += other.told;
        self.closed += other.closed;
    }
}

/// Sends datagrams from one port, a burst at a time.
struct Datagrams {
    socket: UdpSocket,
    secret: SharedSecret,
    seen: Seen,
    unasked: usize,
    buffer: Box<[u8; 65_536]>,
}

impl Datagrams {
    fn from(address: Ipv4Addr, server: SocketAddr, secret: &str) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.connect(server).unwrap();
        Self {
            socket,
            secret: SharedSecret::new(secret.as_bytes()),
            seen: Seen::default(),
            unasked: 0,
            buffer: Box::new([0; 65_536]),
        }
    }

    fn send(&mut self, packet: &[u8]) {
        self.socket.send(packet).unwrap();
        self.seen.sent += 1;
        self.unasked += packet.len() + OVERHEAD;
        if self.unasked > BURST {
            self.ask();
        }
    }

    /// Waits until the server has taken everything: the answer to Status-Server comes after it.
    fn ask(&mut self) {
        self.unasked = 0;
        let question = status_server(&self.secret);
        let started = Instant::now();
        loop {
            assert!(
                started.elapsed() < PATIENCE,
                "the server does not answer any more"
            );
            self.socket.send(&question).unwrap();
            self.seen.asked += 1;
            while let Some(reply) = self.receive(AGAIN) {
                if answers(&reply, &question) {
                    self.seen.told += 1;
                    return;
                }
            }
        }
    }

    fn receive(&mut self, patience: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = uninterrupted(|| self.socket.recv(&mut self.buffer[..])).ok()?;
        let reply = self.buffer[..length].to_vec();
        self.seen.take();
        Some(reply)
    }

    /// Takes what comes until nothing does.
    fn finish(mut self) -> Seen {
        self.ask();
        while self.receive(Duration::from_secs(2)).is_some() {}
        // The answers to the questions themselves.
        self.seen.answered -= self.seen.told;
        self.seen
    }
}

fn status_server(secret: &SharedSecret) -> Vec<u8> {
    let authenticator = RequestAuthenticator::random(&mut rand::rng());
    let request = RequestBuilder::status_server(Identifier(255), authenticator, secret);
    request.build().unwrap().octets().to_vec()
}

/// Whether `reply` answers this Status-Server; others of Identifier 255 are as long, but nobody else asks for it.
fn answers(reply: &[u8], question: &[u8]) -> bool {
    reply.first() == Some(&Code::ACCESS_ACCEPT.0) && reply.get(1) == question.get(1)
}

/// A connection on any kind of stream.
trait Stream: std::io::Read + std::io::Write {
    fn patience(&self, patience: Duration);
    fn end(&self);
}

impl Stream for UnixStream {
    fn patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }
    fn end(&self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

impl Stream for TcpStream {
    fn patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }
    fn end(&self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

/// Sends over connections of one kind; opens another one when the framing is lost.
struct Streams<'a> {
    connect: &'a dyn Fn() -> Box<dyn Stream>,
    stream: Box<dyn Stream>,
    secret: SharedSecret,
    seen: Seen,
    unasked: usize,
}

impl<'a> Streams<'a> {
    fn new(connect: &'a dyn Fn() -> Box<dyn Stream>, secret: &str) -> Self {
        Self {
            connect,
            stream: connect(),
            secret: SharedSecret::new(secret.as_bytes()),
            seen: Seen::default(),
            unasked: 0,
        }
    }

    fn send(&mut self, packet: &[u8]) {
        self.seen.sent += 1;
        if is_framed(packet) {
            self.stream.write_all(packet).unwrap();
            self.unasked += packet.len();
            if self.unasked > STREAM_BURST {
                self.ask();
            }
        } else {
            // What comes after it cannot be found any more: a connection of its own, which ends on both sides.
            let mut stream = (self.connect)();
            let _ = stream.write_all(packet);
            stream.end();
            stream.patience(PATIENCE);
            let mut rest = Vec::new();
            // An end or a reset, but no silence.
            if let Err(error) = stream.read_to_end(&mut rest) {
                assert_ne!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock,
                    "the connection stays open"
                );
            }
            self.seen.closed += 1;
            // A packet that is shorter than its datagram is one, and has its answer.
            self.seen.answered += count_replies(&rest);
        }
    }

    fn ask(&mut self) {
        self.unasked = 0;
        let question = status_server(&self.secret);
        self.stream.write_all(&question).unwrap();
        self.seen.asked += 1;
        loop {
            let reply = self
                .receive()
                .expect("the server closed a connection whose framing is intact");
            if answers(&reply, &question) {
                self.seen.told += 1;
                return;
            }
            self.seen.take();
        }
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.stream.patience(PATIENCE);
        let mut reply = vec![0; 4];
        self.stream.read_exact(&mut reply).ok()?;
        reply.resize(usize::from(u16::from_be_bytes([reply[2], reply[3]])), 0);
        self.stream.read_exact(&mut reply[4..]).ok()?;
        Some(reply)
    }

    fn finish(mut self) -> Seen {
        self.ask();
        self.stream.end();
        while self.receive().is_some() {
            self.seen.take();
        }
        self.seen
    }
}

fn count_replies(mut octets: &[u8]) -> usize {
    let mut replies = 0;
    while let [_, _, high, low, ..] = octets {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        octets = octets.get(length.max(20)..).unwrap_or_default();
        replies += 1;
    }
    replies
}

/// Logins of honest users until `stop`; how many there were, and how long the slowest one took.
fn honest(server: SocketAddr, kdc: &Path, secret: &str, stop: &AtomicBool) -> (u64, Duration) {
    let mut vpn = UdpClient::to(server, secret);
    let mut kdc = Connection::to(kdc);
    let (mut logins, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let user = User::new(FIRST + usize::try_from(logins).unwrap() % USERS);
        let counter = logins / u64::try_from(USERS).unwrap();
        let (name, code) = (&user.name, user.code(counter));
        let started = Instant::now();
        if logins % 2 == 0 {
            assert_eq!(
                vpn.ask(name, &code),
                Some(Code::ACCESS_ACCEPT),
                "{name} {counter}"
            );
        } else {
            assert_eq!(kdc.ask(name, &code), Verdict::Accept, "{name} {counter}");
        }
        slowest = slowest.max(started.elapsed());
        logins += 1;
        thread::sleep(Duration::from_millis(2));
    }
    (logins, slowest)
}

/// A daemon on all transports that need no certificates, with metrics and without a line for each decision.
fn start(system: &System) -> (Daemon, SocketAddr) {
    let config = system.dir().join("otp-radiusd.toml");
    fs::write(&config, "[metrics]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let mut command = system.command("otp-radiusd");
    command
        .env("OTP_RADIUSD_LOG", "info,otp_radiusd::report=warn")
        .arg("--config")
        .arg(config)
        .arg("--listen")
        .arg(format!("unix:{}", system.kdc_socket().display()))
        .args(["--listen", "udp://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0"]);
    let daemon = Daemon::spawn(command);
    let endpoint = metrics::endpoint(&daemon);
    (daemon, endpoint)
}

/// How much of it, and how much is done.
struct Campaign {
    packets: usize,
    sent: AtomicUsize,
}

impl Campaign {
    /// Hands `eighths` of all packets to `send`.
    fn run(&self, mut malformed: Malformed, eighths: usize, mut send: impl FnMut(&[u8])) {
        let share = self.packets * eighths / 8;
        // Odd, because every second one is signed.
        let step = (malformed.singles() / share.max(1)).saturating_sub(1) | 1;
        for number in 0..share {
            let (_, packet) = malformed.nth(number * step);
            send(&packet);
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks at the daemon until it is over; how much memory it had after a quarter.
    fn watch(&self, daemon: &Daemon, is_over: impl Fn() -> bool) -> usize {
        let started = Instant::now();
        let (mut quarter, mut told) = (0, 0);
        while !is_over() {
            let percent = self.sent.load(Ordering::Relaxed) * 100 / self.packets.max(1);
            if percent <= 25 {
                quarter = daemon.resident_kilobytes();
            }
            if percent > told && self.packets >= 1_000_000 {
                told = percent;
                println!(
                    "{percent} % after {:?}, {} KiB",
                    started.elapsed(),
                    daemon.resident_kilobytes()
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
        quarter
    }
}

#[test]
fn malformed_packets_harm_nobody() {
    let (packets, seed) = (campaign::scale(PACKETS, 12_000), campaign::seed());
    let packets = usize::try_from(packets).unwrap();
    let started = Instant::now();
    let (system, secret) = system_with_users(FIRST + USERS);
    let exempt = ["--dangerous-allow-missing-message-authenticator"];
    let secrets = BTreeMap::from([
        (ROGUE, client(&system, "rogue", ROGUE, &[])),
        (OLD, client(&system, "old", OLD, &exempt)),
    ]);
    let (daemon, endpoint) = start(&system);
    let (udp, tcp) = (daemon.udp(), daemon.address("tcp"));
    let victim = User::new(0);

    let stop = AtomicBool::new(false);
    // Datagrams three quarters, streams the rest; a sample is taken from all over the single mutations.
    let campaign = Campaign {
        packets,
        sent: AtomicUsize::new(0),
    };
    let kdc_socket = system.kdc_socket();
    let to_tcp = || Box::new(TcpStream::connect(tcp).unwrap()) as Box<dyn Stream>;
    let to_kdc = || Box::new(UnixStream::connect(&kdc_socket).unwrap()) as Box<dyn Stream>;
    let (seen, logins, slowest, growth) = thread::scope(|scope| {
        let beside = scope.spawn(|| honest(udp, &kdc_socket, &secret, &stop));
        let sources = [
            scope.spawn(|| {
                let mut rogue = Datagrams::from(ROGUE, udp, &secrets[&ROGUE]);
                let malformed = of(&secrets[&ROGUE], &victim, seed);
                campaign.run(malformed, 3, |packet| rogue.send(packet));
                rogue.finish()
            }),
            scope.spawn(|| {
                let mut old = Datagrams::from(OLD, udp, &secrets[&OLD]);
                let malformed = of(&secrets[&OLD], &victim, seed ^ 1);
                campaign.run(malformed, 3, |packet| old.send(packet));
                old.finish()
            }),
            scope.spawn(|| {
                let mut kdc = Streams::new(&to_kdc, "");
                campaign.run(of("", &victim, seed ^ 2), 1, |packet| kdc.send(packet));
                kdc.finish()
            }),
            // From the address of the honest client, with its secret.
            scope.spawn(|| {
                let mut nas = Streams::new(&to_tcp, &secret);
                campaign.run(of(&secret, &victim, seed ^ 3), 1, |packet| nas.send(packet));
                nas.finish()
            }),
        ];
        let quarter = campaign.watch(&daemon, || {
            sources.iter().all(thread::ScopedJoinHandle::is_finished)
        });
        let mut seen = Seen::default();
        for source in sources {
            seen += source.join().unwrap();
        }
        let growth = daemon.resident_kilobytes().saturating_sub(quarter);
        stop.store(true, Ordering::Relaxed);
        let (logins, slowest) = beside.join().unwrap();
        (seen, logins, slowest, growth)
    });

    let text = metrics(endpoint);
    let discarded = metrics::count(&text, "otp_radiusd_discarded_packets_total", "");
    let accepted = metrics::count(&text, "otp_radiusd_decisions_total", "reason=\"accepted\"") - logins;
    println!(
        "{seen:?}, {discarded} discarded, {accepted} accepted, {logins} logins beside, slowest {slowest:?}, {growth} KiB more"
    );
    assert!(accepted <= 1, "the victim has one code");
    assert!(
        seen.answered > seen.sent / 50,
        "authentic ones are answered: {seen:?}"
    );
    // A datagram has one end or the other. A connection that was given up has one cause for all that was on it.
    let accounted = seen.answered + usize::try_from(discarded).unwrap();
    assert!(
        accounted + seen.closed >= seen.sent
            && accounted <= seen.sent + seen.closed + (seen.asked - seen.told),
        "{accounted} have an answer or a cause: {seen:?}\n{text}"
    );
    assert!(slowest < LONGEST, "a login took {slowest:?}");
    assert!(growth < GROWTH, "{growth} KiB more than after a quarter");
    assert_eq!(daemon.count("panic"), 0);
    let (status, _) = daemon.signal("TERM");
    assert!(status.success());
    Ledger::new("malformed", seed)
        .count("packets", seen.sent as u64)
        .count("answered", seen.answered as u64)
        .count("discarded", discarded)
        .count("accepted", accepted)
        .count("logins beside", logins)
        .count("slowest ms", u64::try_from(slowest.as_millis()).unwrap())
        .count("KiB more", growth as u64)
        .finish(started);
}

/// A client at this address, which is told at once what is refused; its secret.
fn client(system: &System, name: &str, address: Ipv4Addr, options: &[&str]) -> String {
    let address = address.to_string();
    let mut arguments = vec![
        "--json",
        "client",
        "add",
        name,
        "--address",
        &address,
        "--reject-delay",
        "0",
    ];
    arguments.extend(options);
    let added: serde_json::Value = serde_json::from_str(&system.otpctl(&arguments, "")).unwrap();
    added["secret"].as_str().unwrap().to_owned()
}

fn of(secret: &str, victim: &User, seed: u64) -> Malformed {
    Malformed::new(secret, &victim.name, &victim.code(0), seed)
}
