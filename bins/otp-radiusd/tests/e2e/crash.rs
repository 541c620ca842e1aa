//! SIGKILL under load, again and again: nothing is accepted twice, and whoever was right is let in.
//!
//! Honest clients send the same octets until they have a verdict, through as many deaths of the daemon as it takes: each of
//! their codes must be accepted, whether the daemon died before the commit, after it, or after the answer. Every code
//! that was accepted is then offered again in a new packet, and must be refused.
//!
//! `cargo test` runs a few kills, `cargo xtask crash` hundreds ([`KILLS`]).

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::SocketAddr,
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
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    campaign::{self, Ledger},
    clients::{AGAIN, PATIENCE, UdpClient, User, system_with_users},
    system::{Daemon, System},
};

/// How often the daemon is killed.
const KILLS: &str = "CRASH_KILLS";
/// Users per client thread; each thread has its own.
const USERS: usize = 120;
const UDP_CLIENTS: usize = 6;
const KDC_CLIENTS: usize = 2;

#[test]
fn sigkill_under_load_loses_nothing_and_repeats_nothing() {
    let kills = campaign::scale(KILLS, 12);
    let seed = campaign::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let (system, secret) = system_with_users(USERS * (UDP_CLIENTS + KDC_CLIENTS));
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
    offered += world.offer_all(&std::mem::take(&mut *world.accepted.lock().unwrap()));
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
    let (system, secret) = system_with_users(USERS * (UDP_CLIENTS + KDC_CLIENTS));
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
        .args(["-D", "-f", "-qq", "-e", "trace=sendto,sendmsg,sendmmsg", "-e"])
        .arg("inject=sendto,sendmsg,sendmmsg:error=EIO:signal=KILL:when=1")
        .args(["-o", "/dev/null"]);
    system.daemon_under(command)
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
        let offered = self.offer_all(&std::mem::take(&mut *self.accepted.lock().unwrap()));
        self.pause.store(false, Ordering::Relaxed);
        self.at_rest.wait();
        offered
    }

    /// In packets of their own: all must be refused.
    fn offer_all(&self, codes: &[(usize, u64)]) -> u64 {
        UdpClient::to(*self.udp.lock().unwrap(), &self.secret).offer_again(codes)
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
