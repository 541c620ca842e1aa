//! SIGKILL under load, again and again: nothing is accepted twice, and whoever was right is let in.
//!
//! Honest clients send the same octets until they have a verdict, through as many deaths of the daemon as it takes: each of
//! their codes must be accepted, whether the daemon died before the commit, after it, or after the answer. Every code
//! that was accepted is then offered again in a new packet, and must be refused.
//!
//! `cargo test` runs a few kills, `cargo xtask crash` hundreds ([`KILLS`]).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, UdpSocket},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, RequestAuthenticator,
    RequestBuilder, SharedSecret,
};
use otp_core::{Hotp, TokenKey};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    campaign::{self, Ledger},
    system::{Daemon, System},
};

/// How often the daemon is killed.
const KILLS: &str = "CRASH_KILLS";
/// Users per client thread; each thread has its own.
const USERS: usize = 120;
const UDP_CLIENTS: usize = 6;
const KDC_CLIENTS: usize = 2;
/// How long a client waits before it sends the same octets again.
const AGAIN: Duration = Duration::from_millis(400);
/// How long after its first packet a client is entitled to its verdict: for so long the store keeps it.
const PATIENCE: Duration = Duration::from_secs(25);

#[test]
fn sigkill_under_load_loses_nothing_and_repeats_nothing() {
    let kills = campaign::scale(KILLS, 12);
    let seed = campaign::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let (system, secret) = system_with_users();
    let mut daemon = system.start();
    let world = Arc::new(World {
        udp: Mutex::new(daemon.udp()),
        kdc: system.kdc_socket(),
        secret,
        stop: AtomicBool::new(false),
        pause: AtomicBool::new(false),
        at_rest: Barrier::new(UDP_CLIENTS + KDC_CLIENTS + 1),
        accepted: Mutex::default(),
        refused: Mutex::default(),
        resent: AtomicU64::new(0),
    });
    let clients: Vec<_> = (0..UDP_CLIENTS + KDC_CLIENTS)
        .map(|number| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.client(number))
        })
        .collect();

    let (mut offered, started) = (0, Instant::now());
    for kill in 1..=kills {
        thread::sleep(Duration::from_millis(rng.random_range(1..150)));
        daemon.kill();
        daemon = system.start();
        *world.udp.lock().unwrap() = daemon.udp();
        if kill % 4 == 0 || kill == kills {
            offered += world.offer_again();
        }
    }
    world.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    offered += world.offer_all(std::mem::take(&mut *world.accepted.lock().unwrap()));
    let refused = world.refused.lock().unwrap();
    assert!(
        refused.is_empty(),
        "honest packets were refused: {:?}",
        &refused[..refused.len().min(5)]
    );
    let resent = world.resent.load(Ordering::Relaxed);
    assert!(resent > 0, "no kill met a request: {kills} kills");
    Ledger::new("crash", seed)
        .count("kills", kills)
        .count("codes accepted once", offered)
        .count("accepted twice", 0)
        .count("packets sent again until they had a verdict", resent)
        .count("of these refused", 0)
        .finish(started);
}

/// `strace` ends the daemon exactly where it would have sent its answer: the code is spent, nobody knows.
#[test]
fn sigkill_between_commit_and_answer_is_made_up_for() {
    let rounds = campaign::scale(KILLS, 12).div_ceil(4);
    let (system, secret) = system_with_users();
    let (mut made_up, started) = (0, Instant::now());
    for round in 0..rounds {
        let mut daemon = Daemon::spawn(dies_at_its_first_answer(&system));
        let user = User::new(usize::try_from(round).unwrap() % USERS);
        let counter = round / u64::try_from(USERS).unwrap();
        let mut client = UdpClient::to(daemon.udp(), &secret);
        let request = client.compose(&user.name, &user.code(counter));
        client.send(&request);
        daemon.wait_for_death();
        assert_eq!(
            client.verdict(&request, Duration::from_millis(1)),
            None,
            "it has died before it could answer"
        );
        drop(daemon);

        let daemon = system.start();
        let mut again = UdpClient::to(daemon.udp(), &secret);
        again.send(&request);
        let verdict = again.verdict(&request, Duration::from_secs(10));
        assert_eq!(
            verdict,
            Some(Code::ACCESS_ACCEPT),
            "round {round}: the same octets"
        );
        daemon.wait_for("same-packet");
        assert_eq!(
            again.ask(&user.name, &user.code(counter)),
            Some(Code::ACCESS_REJECT),
            "another packet"
        );
        made_up += 1;
    }
    Ledger::new("crash between commit and answer", 0)
        .count("kills", rounds)
        .count("packets that got their Accept afterwards", made_up)
        .count("accepted twice", 0)
        .finish(started);
}

/// The daemon under `strace`, which kills it when it begins to send its first datagram.
fn dies_at_its_first_answer(system: &System) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-qq", "-e", "trace=sendto,sendmsg", "-e"])
        .arg("inject=sendto,sendmsg:error=EIO:signal=KILL:when=1")
        .args(["-o", "/dev/null"]);
    system.daemon_under(command)
}

fn system_with_users() -> (System, String) {
    let system = System::new();
    let mut file = String::from("user,label,type,secret\n");
    for number in 0..USERS * (UDP_CLIENTS + KDC_CLIENTS) {
        let user = User::new(number);
        writeln!(file, "{},ring,hotp,{}", user.name, user.key.to_base32().as_str()).unwrap();
    }
    system.otpctl(&["token", "import", "--create-users", "-"], &file);
    let secret = system.radius_client("vpn", &[]);
    (system, secret)
}

struct User {
    name: String,
    key: TokenKey,
}

impl User {
    fn new(number: usize) -> Self {
        let mut key = [0x42; 20];
        key[..8].copy_from_slice(&number.to_be_bytes());
        Self {
            name: format!("user{number}"),
            key: TokenKey::from(key),
        }
    }

    fn code(&self, counter: u64) -> String {
        Hotp::default().generate(&self.key, counter).as_str().to_owned()
    }
}

struct World {
    udp: Mutex<SocketAddr>,
    kdc: PathBuf,
    secret: String,
    stop: AtomicBool,
    /// Clients rest while accepted codes are offered again, so that these are not far behind.
    pause: AtomicBool,
    at_rest: Barrier,
    accepted: Mutex<Vec<(usize, u64)>>,
    refused: Mutex<Vec<String>>,
    resent: AtomicU64,
}

impl World {
    fn client(&self, number: usize) {
        let mut counters = BTreeMap::new();
        let mut turn = 0_usize;
        while !self.stop.load(Ordering::Relaxed) {
            if self.pause.load(Ordering::Relaxed) {
                self.at_rest.wait();
                self.at_rest.wait();
            }
            let user = number * USERS + turn % USERS;
            turn += 1;
            let counter = counters.entry(user).or_insert(0);
            let is_kdc = number >= UDP_CLIENTS;
            match self.log_in(is_kdc, &User::new(user), *counter) {
                Some(Code::ACCESS_ACCEPT) => self.accepted.lock().unwrap().push((user, *counter)),
                verdict => {
                    let what = format!("user{user}, counter {counter}, kdc {is_kdc}: {verdict:?}");
                    self.refused.lock().unwrap().push(what);
                }
            }
            *counter += 1;
        }
    }

    /// The same octets until there is a verdict.
    fn log_in(&self, is_kdc: bool, user: &User, counter: u64) -> Option<Code> {
        let code = user.code(counter);
        let began = Instant::now();
        let mut tries = 0_u64;
        let verdict = if is_kdc {
            let request = kdc_request(&user.name, &code);
            loop {
                tries += 1;
                let verdict = ask_kdc(&self.kdc, &request);
                if verdict.is_some() || began.elapsed() > PATIENCE {
                    break verdict;
                }
                thread::sleep(Duration::from_millis(20));
            }
        } else {
            let mut client = UdpClient::to(*self.udp.lock().unwrap(), &self.secret);
            let request = client.compose(&user.name, &code);
            loop {
                tries += 1;
                client.connect(*self.udp.lock().unwrap());
                client.send(&request);
                let verdict = client.verdict(&request, AGAIN);
                if verdict.is_some() || began.elapsed() > PATIENCE {
                    break verdict;
                }
            }
        };
        self.resent.fetch_add(u64::from(tries > 1), Ordering::Relaxed);
        verdict
    }

    /// While the clients rest.
    fn offer_again(&self) -> u64 {
        self.pause.store(true, Ordering::Relaxed);
        self.at_rest.wait();
        let offered = self.offer_all(std::mem::take(&mut *self.accepted.lock().unwrap()));
        self.pause.store(false, Ordering::Relaxed);
        self.at_rest.wait();
        offered
    }

    /// Every one of `codes` in a packet of its own: all must be refused.
    fn offer_all(&self, codes: Vec<(usize, u64)>) -> u64 {
        let mut client = UdpClient::to(*self.udp.lock().unwrap(), &self.secret);
        // As many at once as there are Identifiers.
        for some in codes.chunks(200) {
            let mut waiting: BTreeMap<u8, (PendingRequest, (usize, u64))> = BTreeMap::new();
            for &(user, counter) in some {
                let who = User::new(user);
                let request = client.compose(&who.name, &who.code(counter));
                waiting.insert(request.identifier().0, (request, (user, counter)));
            }
            let began = Instant::now();
            while !waiting.is_empty() {
                assert!(
                    began.elapsed() < PATIENCE,
                    "{} codes without a verdict",
                    waiting.len()
                );
                waiting.values().for_each(|(request, _)| client.send(request));
                client.verdicts(AGAIN, |packet| {
                    let Some((request, code)) = waiting.get(&packet.identifier().0) else {
                        return;
                    };
                    let Ok(reply) = request.verify(packet, MessageAuthenticatorRule::Required) else {
                        return;
                    };
                    assert_eq!(reply.code(), Code::ACCESS_REJECT, "{code:?} was accepted twice");
                    waiting.remove(&packet.identifier().0);
                });
            }
        }
        u64::try_from(codes.len()).unwrap()
    }
}

struct UdpClient {
    socket: UdpSocket,
    server: SocketAddr,
    secret: SharedSecret,
    next: u8,
}

impl UdpClient {
    fn to(server: SocketAddr, secret: &str) -> Self {
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
            server,
            secret: SharedSecret::new(secret.as_bytes()),
            next: 0,
        }
    }

    /// After a restart the daemon listens on another port.
    fn connect(&mut self, server: SocketAddr) {
        self.server = server;
    }

    fn compose(&mut self, user: &str, code: &str) -> PendingRequest {
        self.next = self.next.wrapping_add(1);
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        RequestBuilder::access_request(Identifier(self.next), authenticator, &self.secret)
            .user_name(user.as_bytes())
            .and_then(|request| request.user_password(code.as_bytes()))
            .and_then(RequestBuilder::build)
            .unwrap()
    }

    fn send(&self, request: &PendingRequest) {
        // Nobody there: as if it were lost.
        let _ = self.socket.send_to(request.octets(), self.server);
    }

    fn ask(&mut self, user: &str, code: &str) -> Option<Code> {
        let request = self.compose(user, code);
        self.send(&request);
        self.verdict(&request, Duration::from_secs(10))
    }

    /// The verdict on `request`, if it comes in time.
    fn verdict(&self, request: &PendingRequest, within: Duration) -> Option<Code> {
        let end = Instant::now() + within;
        let mut buffer = [0; 4096];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            let Ok(packet) = Packet::decode(&buffer[..length]) else {
                continue;
            };
            if let Ok(reply) = request.verify(packet, MessageAuthenticatorRule::Required) {
                return Some(reply.code());
            }
        }
    }

    /// Every packet that comes until none has come for `quiet`.
    fn verdicts(&self, quiet: Duration, mut each: impl FnMut(Packet<'_>)) {
        self.socket.set_read_timeout(Some(quiet)).unwrap();
        let mut buffer = [0; 4096];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            if let Ok(packet) = Packet::decode(&buffer[..length]) {
                each(packet);
            }
        }
    }
}

fn kdc_request(user: &str, code: &str) -> PendingRequest {
    let authenticator = RequestAuthenticator::random(&mut rand::rng());
    RequestBuilder::access_request(Identifier(1), authenticator, &SharedSecret::empty())
        .dangerous_omit_message_authenticator()
        .with(AttributeType::NAS_IDENTIFIER, b"kdc.example.com")
        .and_then(|request| request.user_password(code.as_bytes()))
        .and_then(|request| request.user_name(user.as_bytes()))
        .and_then(RequestBuilder::build)
        .unwrap()
}

/// Over a connection of its own; `None` if the daemon is not there, or dies before it answers.
fn ask_kdc(socket: &PathBuf, request: &PendingRequest) -> Option<Code> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(request.octets()).ok()?;
    let mut octets = [0; 20];
    stream.read_exact(&mut octets).ok()?;
    let rule = MessageAuthenticatorRule::IfPresent {
        limit_proxy_state: true,
    };
    let reply = request.verify(Packet::decode(&octets).ok()?, rule).ok()?;
    Some(reply.code())
}
