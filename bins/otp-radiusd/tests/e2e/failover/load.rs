//! People who log in while the cluster fails: each code comes to both daemons at about the same time, in two packets.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use krad::{Code, PendingRequest};

use super::replica::Replica;
use crate::clients::{AGAIN, PATIENCE, UdpClient, User};

pub const CLIENTS: usize = 6;
/// Users of each client.
pub const USERS: usize = 60;
/// Between two logins of a client: the cluster shares the machine.
const PAUSE: Duration = Duration::from_millis(4);
/// How long a daemon may be without a database when there is a primary.
const NO_DATABASE: Duration = Duration::from_secs(60);

/// Where and when a code was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    /// The daemon that its packet was sent to first.
    pub replica: usize,
    pub at: Instant,
}

/// A code that was accepted a second time.
pub struct Twice {
    /// User and counter.
    pub code: (usize, u64),
    pub first: Acceptance,
    /// The daemon that accepted it again, why, and how much later.
    pub again: usize,
    pub reason: Option<String>,
    pub later: Duration,
}

impl fmt::Display for Twice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code: (user, counter),
            first,
            again,
            reason,
            later,
        } = self;
        write!(
            f,
            "user{user}, counter {counter}: by daemon {}, and {later:?} later by daemon {again}, {reason:?}",
            first.replica
        )
    }
}

/// What the clients have seen.
#[derive(Default)]
pub struct Seen {
    pub logins: AtomicU64,
    /// Neither packet was accepted: nobody can say whether the code is spent.
    pub in_vain: AtomicU64,
    /// Packets that were sent again, to the other daemon, after their Accept, and accepted there.
    pub confirmed: AtomicU64,
    /// The same while the other daemon had no database: refused for that.
    pub unconfirmed: AtomicU64,
    /// Both packets with a code were accepted.
    pub twice: Mutex<Vec<(usize, u64)>>,
    /// An accepted packet was refused by the other daemon for another reason than that it had no database.
    pub lost: Mutex<Vec<String>>,
    pub accepts: Mutex<Vec<Instant>>,
    /// Since they were offered again last.
    pub accepted: Mutex<BTreeMap<(usize, u64), Acceptance>>,
}

pub struct Load {
    pub replicas: [Replica; 2],
    secret: String,
    pub seen: Seen,
    stop: AtomicBool,
    pause: AtomicBool,
    at_rest: Barrier,
}

impl Load {
    pub fn new(replicas: [Replica; 2], secret: String) -> Self {
        Self {
            replicas,
            secret,
            seen: Seen::default(),
            stop: AtomicBool::new(false),
            pause: AtomicBool::new(false),
            at_rest: Barrier::new(CLIENTS + 1),
        }
    }

    /// One client, until [`stop`](Self::stop).
    pub fn run(&self, number: usize) {
        let mut clients = self
            .replicas
            .each_ref()
            .map(|replica| UdpClient::to(replica.address, &self.secret));
        let mut next = [0_u64; USERS];
        let mut failures = [0_u64; USERS];
        for turn in (0..USERS).cycle() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if self.pause.load(Ordering::Relaxed) {
                self.at_rest.wait();
                self.at_rest.wait();
            }
            let user = number * USERS + turn;
            // What could not be said to be spent is tried again, and the codes after it, within the window.
            let counter = next[turn] + failures[turn] % 3;
            if self.log_in(&mut clients, user, counter) {
                next[turn] = counter + 1;
                failures[turn] = 0;
            } else {
                failures[turn] += 1;
            }
            thread::sleep(PAUSE);
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Runs `work` while the clients rest.
    pub fn at_rest<T>(&self, work: impl FnOnce() -> T) -> T {
        self.pause.store(true, Ordering::Relaxed);
        self.at_rest.wait();
        let done = work();
        self.pause.store(false, Ordering::Relaxed);
        self.at_rest.wait();
        done
    }

    /// Offers what was accepted since the last time to both daemons, in new packets: how many codes, and which were accepted.
    pub fn offer_again(&self) -> (u64, Vec<Twice>) {
        let codes = std::mem::take(&mut *self.seen.accepted.lock().unwrap());
        let mut twice = Vec::new();
        for (again, replica) in self.replicas.iter().enumerate() {
            let mut client = UdpClient::to(replica.address, &self.secret);
            let mut left: Vec<_> = codes.keys().copied().collect();
            let began = Instant::now();
            while !left.is_empty() {
                let verdicts = client.ask_all(&left);
                Replica::let_log_catch_up();
                let reason = |user: usize| replica.reason(&User::new(user).name);
                for (&code, verdict) in left.iter().zip(verdicts) {
                    if verdict == Code::ACCESS_ACCEPT {
                        twice.push(Twice {
                            code,
                            first: codes[&code],
                            again,
                            reason: reason(code.0),
                            later: codes[&code].at.elapsed(),
                        });
                    }
                }
                // A daemon without a database refuses everything: it is asked until it has one.
                left.retain(|(user, _)| has_no_database(reason(*user).as_deref()));
                assert!(
                    began.elapsed() < NO_DATABASE,
                    "{} codes without a database",
                    left.len()
                );
            }
        }
        (u64::try_from(codes.len()).unwrap(), twice)
    }

    /// The longest time without an Accept since `from`.
    pub fn longest_gap(&self, from: Instant) -> Duration {
        let accepts = self.seen.accepts.lock().unwrap();
        let mut times: Vec<_> = accepts.iter().filter(|at| **at >= from).collect();
        times.sort_unstable();
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in times {
            longest = longest.max(at.duration_since(last));
            last = *at;
        }
        longest
    }

    /// The same code in a packet for each daemon; whether one of them was accepted.
    fn log_in(&self, clients: &mut [UdpClient; 2], user: usize, counter: u64) -> bool {
        self.seen.logins.fetch_add(1, Ordering::Relaxed);
        let who = User::new(user);
        let code = who.code(counter);
        let packets = clients.each_mut().map(|client| {
            let packet = client.compose(&who.name, &code);
            client.send(&packet);
            packet
        });
        let verdicts = [0, 1].map(|which| self.verdict(&mut clients[which], &packets[which]));
        let accepted: Vec<_> = [0, 1]
            .into_iter()
            .filter(|which| verdicts[*which] == Some(Code::ACCESS_ACCEPT))
            .collect();
        let spent = (user, counter);
        if accepted.len() == 2 {
            self.seen.twice.lock().unwrap().push(spent);
        }
        let Some(&which) = accepted.first() else {
            self.seen.in_vain.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let acceptance = Acceptance {
            replica: which,
            at: Instant::now(),
        };
        self.seen.accepts.lock().unwrap().push(acceptance.at);
        if self
            .seen
            .accepted
            .lock()
            .unwrap()
            .insert(spent, acceptance)
            .is_some()
        {
            self.seen.twice.lock().unwrap().push(spent);
        }
        self.confirm(&mut clients[which], &packets[which], which, spent);
        true
    }

    /// The same octets until there is a verdict, to both daemons in turns.
    fn verdict(&self, client: &mut UdpClient, packet: &PendingRequest) -> Option<Code> {
        let began = Instant::now();
        let home = client.server();
        let mut away = self.replicas.iter().map(|replica| replica.address).cycle();
        loop {
            let verdict = client.verdict(packet, AGAIN);
            if verdict.is_some() || began.elapsed() > PATIENCE {
                client.connect(home);
                return verdict;
            }
            client.connect(away.next().unwrap());
            client.send(packet);
        }
    }

    /// The accepted packet again, to the other daemon.
    fn confirm(&self, client: &mut UdpClient, packet: &PendingRequest, which: usize, spent: (usize, u64)) {
        let home = client.server();
        let other = &self.replicas[1 - which];
        client.connect(other.address);
        client.send(packet);
        let verdict = client.verdict(packet, Duration::from_secs(5));
        client.connect(home);
        if verdict == Some(Code::ACCESS_ACCEPT) {
            self.seen.confirmed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Replica::let_log_catch_up();
        let user = User::new(spent.0).name;
        let reason = other.reason(&user);
        if verdict.is_none() || has_no_database(reason.as_deref()) {
            self.seen.unconfirmed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let decisions = self.replicas.each_ref().map(|replica| replica.decisions(&user));
        let what = format!("{spent:?}, by daemon {which}, refused by the other: {decisions:#?}");
        self.seen.lost.lock().unwrap().push(what);
    }
}

/// Whether a daemon refuses because it cannot ask or tell the database anything.
fn has_no_database(reason: Option<&str>) -> bool {
    matches!(reason, Some("store-failure" | "deadline-exceeded"))
}
