//! A clock that jumps: no code is accepted twice, before, in or after any jump, and nobody is kept out by one that is over.
//!
//! The daemon runs under libfaketime, which shows it another wall clock and leaves the monotonic one alone. In every excursion
//! the clock jumps away and back again: by a second, a time step, a day, a year, to the beginning of time, to the ends of
//! 32-bit times, or to where it was when a twin would have been let in. People log in before, with what their own
//! devices show, and with what a device shows that is as wrong as the daemon; every code that is accepted is offered
//! again at once, after the jump, and after the jump back.
//!
//! `cargo test` runs some jumps, `cargo xtask clock` a thousand ([`JUMPS`]).

use std::{
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use krad::Code;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    campaign::{self, Ledger},
    clients::{UdpClient, User},
    system::{Daemon, System},
};

/// How often the clock jumps, there and back.
const JUMPS: &str = "CLOCK_JUMPS";
/// Seconds of a time step.
const STEP: u64 = 30;
const DAY: i64 = 86_400;
const YEAR: i64 = 31_557_600;
/// HOTP users, who log in again and again.
const HOTP_USERS: usize = 50;
/// TOTP users of an excursion: each logs in at two moments at most.
const TOTP_USERS: usize = 3 + 3 + 2 + 1;
/// The grace of the client that has twins, and a second more.
const GRACE: Duration = Duration::from_millis(3100);
/// The same for `otpctl`, in seconds.
const GRACE_SECONDS: &str = "2";
/// That client's address.
const TWINS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[derive(Clone, Copy, Debug)]
enum Jump {
    By(i64),
    /// To so many seconds after the Unix epoch.
    To(u64),
    /// To the last acceptance at the client that has twins, when these are too late.
    ToAcceptance,
}

const EXCURSIONS: [Jump; 14] = [
    Jump::By(1),
    Jump::By(-1),
    Jump::By(30),
    Jump::By(-30),
    Jump::By(DAY),
    Jump::By(-DAY),
    Jump::By(YEAR),
    Jump::By(-YEAR),
    Jump::To(0),
    Jump::ToAcceptance,
    Jump::To((1 << 31) - 2),
    Jump::To((1 << 32) - 2),
    Jump::To(1 << 31),
    Jump::To(1 << 32),
];

#[test]
fn no_jump_of_the_clock_lets_a_code_in_twice_or_keeps_anybody_out() {
    let jumps = campaign::scale(JUMPS, 28);
    let seed = campaign::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let excursions = usize::try_from(jumps.div_ceil(2)).unwrap();
    let started = Instant::now();
    let mut campaign = Campaign::new(excursions);
    for number in 0..excursions {
        // Each in its turn, so that a short run has most of them, a long one each from many moments of a step.
        let jump = EXCURSIONS[(number + usize::try_from(seed % 14).unwrap()) % EXCURSIONS.len()];
        campaign.excursion(number, jump, rng.random_range(0..STEP));
    }
    campaign.finish();
    let seen = campaign.seen;
    assert!(
        seen.accepted_elsewhen > 0 && seen.refused_elsewhen > 0,
        "{seen:?}"
    );
    Ledger::new("clock that jumps", seed)
        .count("jumps", seen.jumps)
        .count("codes accepted once", seen.accepted)
        .count("of these by a wrong clock", seen.accepted_elsewhen)
        .count("offered again", seen.offered_again)
        .count("accepted twice", 0)
        .count("acceptances that a clock came back to", seen.came_back)
        .count("refused by a wrong clock", seen.refused_elsewhen)
        .count("of these let in when it was right", seen.let_in)
        .finish(started);
}

#[derive(Debug, Default)]
struct Seen {
    jumps: u64,
    accepted: u64,
    accepted_elsewhen: u64,
    offered_again: u64,
    came_back: u64,
    refused_elsewhen: u64,
    let_in: u64,
}

/// A user and a counter or time step.
type Spent = (usize, u64);

struct Campaign {
    system: System,
    daemon: Option<Daemon>,
    clock: FakeClock,
    vpn: UdpClient,
    twins: UdpClient,
    /// The next counters of the HOTP users, who have the first numbers.
    counters: Vec<u64>,
    turn: usize,
    /// What the client with twins has had accepted last, when, and at which time by the right clock.
    acceptance: Option<(Spent, Instant, u64)>,
    /// Accepted in the last excursion.
    accepted: Vec<Spent>,
    seen: Seen,
}

impl Campaign {
    fn new(excursions: usize) -> Self {
        let system = System::new();
        let totp = HOTP_USERS..HOTP_USERS + excursions * TOTP_USERS;
        for file in [
            User::import_file("hotp", 0..HOTP_USERS),
            User::import_file("totp", totp),
        ] {
            system.otpctl(&["token", "import", "--create-users", "-"], &file);
        }
        let secret = system.radius_client("vpn", &[]);
        let twins = system.otpctl(
            &[
                "--json",
                "client",
                "add",
                "twins",
                "--address",
                "127.0.0.2",
                "--reject-delay",
                "50",
                "--repeat-grace",
                GRACE_SECONDS,
            ],
            "",
        );
        let twins: serde_json::Value = serde_json::from_str(&twins).unwrap();
        let clock = FakeClock::new(&system);
        let daemon = clock.start(&system);
        Self {
            vpn: UdpClient::to(daemon.udp(), &secret),
            twins: UdpClient::from(TWINS, daemon.udp(), twins["secret"].as_str().unwrap()),
            system,
            daemon: Some(daemon),
            clock,
            counters: vec![0; HOTP_USERS],
            turn: 0,
            acceptance: None,
            accepted: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn excursion(&mut self, number: usize, jump: Jump, second: u64) {
        let users = HOTP_USERS + number * TOTP_USERS;
        let (before, honest, wrong) = (users, users + 3, users + 6);
        let twin = users + 8;
        self.accepted.clear();

        self.all_are_let_in(&self.codes(before, 3), jump);
        self.hotp(2, jump);
        let first = (twin, self.clock.step());
        let unix_time = self.clock.unix_time();
        assert_eq!(self.twins.ask_all(&[first]), [Code::ACCESS_ACCEPT], "{jump:?}");
        self.acceptance = Some((first, Instant::now(), unix_time));
        self.offer_again();

        self.jump(jump, second);
        self.offer_again();
        // Devices that are right meet a clock that is wrong.
        let right: Vec<_> = (honest..honest + 3).map(|user| (user, true_step())).collect();
        let verdicts = self.vpn.ask_all(&right);
        let let_in = |verdict: &Code| *verdict == Code::ACCESS_ACCEPT;
        let now_spent = right.iter().zip(&verdicts).filter(|(_, verdict)| let_in(verdict));
        self.accepted.extend(now_spent.map(|(code, _)| *code));
        // Devices that are wrong with it are right for it.
        let elsewhen = self.codes(wrong, 2);
        self.all_are_let_in(&elsewhen, jump);
        self.seen.accepted_elsewhen += 2;
        self.hotp(2, jump);
        self.offer_again();

        self.set(0);
        self.offer_again();
        // The right clock keeps nobody out: one more step at most for those who were let in by the wrong one.
        let later = right.iter().zip(&verdicts).map(|(&(user, spent), verdict)| {
            let next = if let_in(verdict) { spent + 1 } else { 0 };
            (user, next.max(true_step()))
        });
        let later: Vec<_> = later.collect();
        self.all_are_let_in(&later, jump);
        let refused = verdicts.iter().filter(|verdict| !let_in(verdict)).count();
        self.seen.refused_elsewhen += u64::try_from(refused).unwrap();
        self.seen.let_in += u64::try_from(refused).unwrap();
        self.seen.accepted += u64::try_from(self.accepted.len() + 1).unwrap();
    }

    /// The daemon dies; what the last excursion had accepted is refused by the next one, under a clock that is right from its start.
    fn finish(&mut self) {
        self.daemon.take().unwrap().kill();
        let daemon = self.clock.start(&self.system);
        self.vpn.connect(daemon.udp());
        self.daemon = Some(daemon);
        self.offer_again();
    }

    fn jump(&mut self, jump: Jump, second: u64) {
        match jump {
            Jump::By(seconds) => self.set(seconds),
            Jump::To(unix_time) => self.set_to(unix_time + second),
            Jump::ToAcceptance => {
                let (spent, accepted, unix_time) = self.acceptance.take().unwrap();
                // With the right clock its twins would come too late.
                thread::sleep(GRACE.saturating_sub(accepted.elapsed()));
                self.set_to(unix_time + second % 3);
                let verdict = self.twins.ask_all(&[spent]);
                assert_eq!(
                    verdict,
                    [Code::ACCESS_REJECT],
                    "{spent:?} came back with the clock"
                );
                self.seen.came_back += 1;
            }
        }
    }

    fn set(&mut self, offset: i64) {
        self.clock.set(offset);
        self.seen.jumps += 1;
    }

    fn set_to(&mut self, unix_time: u64) {
        self.set(i64::try_from(unix_time).unwrap() - i64::try_from(true_time()).unwrap());
    }

    /// The codes of so many TOTP users, by the clock of the daemon.
    fn codes(&self, first: usize, count: usize) -> Vec<Spent> {
        let step = self.clock.step();
        (first..first + count).map(|user| (user, step)).collect()
    }

    /// HOTP does not depend on clocks: they are always let in.
    fn hotp(&mut self, count: usize, jump: Jump) {
        let users = (self.turn..self.turn + count).map(|turn| turn % HOTP_USERS);
        let codes: Vec<_> = users.map(|user| (user, self.counters[user])).collect();
        self.turn += count;
        self.all_are_let_in(&codes, jump);
        for (user, counter) in codes {
            self.counters[user] = counter + 1;
        }
    }

    fn all_are_let_in(&mut self, codes: &[Spent], jump: Jump) {
        let verdicts = self.vpn.ask_all(codes);
        assert!(
            verdicts.iter().all(|verdict| *verdict == Code::ACCESS_ACCEPT),
            "{jump:?}, clock {:+} s: {codes:?}: {verdicts:?}",
            self.clock.offset
        );
        self.accepted.extend(codes);
    }

    /// Everything that was accepted in this excursion.
    fn offer_again(&mut self) {
        self.seen.offered_again += self.vpn.offer_again(&self.accepted);
    }
}

/// The wall clock that the daemon sees.
struct FakeClock {
    file: PathBuf,
    /// Its distance from the true time, in seconds.
    offset: i64,
}

impl FakeClock {
    fn new(system: &System) -> Self {
        let mut clock = Self {
            file: system.dir().join("faketime"),
            offset: 0,
        };
        clock.set(0);
        clock
    }

    fn set(&mut self, offset: i64) {
        self.offset = offset;
        // In one go: the daemon reads it whenever it asks for the time.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{offset:+}\n")).unwrap();
        fs::rename(&next, &self.file).unwrap();
    }

    fn unix_time(&self) -> u64 {
        true_time().checked_add_signed(self.offset).unwrap()
    }

    fn step(&self) -> u64 {
        self.unix_time() / STEP
    }

    fn start(&self, system: &System) -> Daemon {
        let mut command = Command::new("env");
        command
            // The dynamic linker knows what $LIB is on this machine.
            .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DISABLE_SHM", "1");
        Daemon::spawn(system.daemon_under(command))
    }
}

fn true_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn true_step() -> u64 {
    true_time() / STEP
}
