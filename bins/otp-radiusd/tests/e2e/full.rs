//! A file system that fills up and is freed, again and again, while the daemon serves: no Accept that is not durable, no
//! silence, and service again without a person when there is space again.
//!
//! In each round the space is used up, to the last octet or not quite, or the inodes are, or both; people log in all the
//! while. In some rounds the daemon is killed or ended, and must start, or say why it does not, while the disk is full. Whoever was
//! refused is let in afterwards, and every code that was accepted is offered to the next daemon and must be refused.
//!
//! `cargo test` runs a few rounds, `cargo xtask full` hundreds ([`ROUNDS`]).

use std::{
    thread,
    time::{Duration, Instant},
};

use krad::Code;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    campaign::{self, Ledger},
    clients::{UdpClient, User},
    small_disk::SmallDisk,
    system::Daemon,
};

/// How often the file system is filled.
const ROUNDS: &str = "FULL_ROUNDS";
const USERS: usize = 120;
/// Logins at once while it is full.
const BURST: usize = 12;
/// From space to service.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long an answer to Status-Server is waited for; an answer takes a thousandth of that.
const STATUS: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Not an octet is left.
    Space,
    /// So many octets are left: too few for something that has begun.
    Almost(u64),
    Inodes,
    Both,
}

#[derive(Clone, Copy, Debug)]
enum Restart {
    Kill,
    Terminate,
}

#[test]
fn a_file_system_that_is_filled_and_freed_makes_no_false_accept() {
    let rounds = campaign::scale(ROUNDS, 8);
    let seed = campaign::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let started = Instant::now();
    let mut campaign = Campaign::new();
    for round in 0..rounds {
        let fault = match round % 4 {
            0 => Fault::Space,
            1 => Fault::Almost(rng.random_range(1..96) << 10),
            2 => Fault::Inodes,
            _ => Fault::Both,
        };
        let restart = match rng.random_range(0..8) {
            0 => Some(Restart::Kill),
            1 => Some(Restart::Terminate),
            _ => None,
        };
        campaign.round(fault, restart);
    }
    campaign.check_what_was_accepted();
    let (seen, kind) = (campaign.seen, campaign.disk.kind());
    assert!(
        seen.refused > 0 && seen.recovered > 0 && seen.silent > 0,
        "{seen:?}"
    );
    let slowest = u64::try_from(seen.slowest.as_millis()).unwrap();
    Ledger::new(
        if kind == "ext4" {
            "full file system (ext4)"
        } else {
            "full file system (tmpfs)"
        },
        seed,
    )
    .count("rounds", rounds)
    .count("accepted once", seen.accepted)
    .count("accepted twice", 0)
    .count("of these while it was full", seen.accepted_while_full)
    .count("refused while it was full", seen.refused)
    .count("spent without an Accept", seen.spent)
    .count("Status-Server silent as it had to be", seen.silent)
    .count("deaths while it was full", seen.restarts)
    .count("starts refused while it was full", seen.refused_to_start)
    .count("integrity checks", seen.integrity_checks)
    .count("recoveries by itself", seen.recovered)
    .count("slowest recovery in ms", slowest)
    .finish(started);
}

#[derive(Debug, Default)]
struct Seen {
    accepted: u64,
    accepted_while_full: u64,
    refused: u64,
    spent: u64,
    silent: u64,
    restarts: u64,
    refused_to_start: u64,
    integrity_checks: u64,
    recovered: u64,
    slowest: Duration,
}

struct Campaign {
    disk: SmallDisk,
    daemon: Option<Daemon>,
    vpn: UdpClient,
    /// The next counter of each user.
    counters: Vec<u64>,
    turn: usize,
    /// Accepted since codes were offered again last.
    accepted: Vec<(usize, u64)>,
    seen: Seen,
}

impl Campaign {
    fn new() -> Self {
        let disk = SmallDisk::ext4_or_tmpfs();
        disk.otpctl(&["init"], "");
        disk.otpctl(
            &["token", "import", "--create-users", "-"],
            &User::import_file("hotp", 0..USERS),
        );
        let secret = disk.radius_client("vpn");
        let mut daemon = disk.start();
        assert!(daemon.is_ready());
        let vpn = UdpClient::to(daemon.udp(), &secret);
        Self {
            disk,
            daemon: Some(daemon),
            vpn,
            counters: vec![0; USERS],
            turn: 0,
            accepted: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn round(&mut self, fault: Fault, restart: Option<Restart>) {
        let all_well = self.next_users(2);
        assert_eq!(
            self.log_in(&all_well),
            [Code::ACCESS_ACCEPT; 2],
            "control: before {fault:?}"
        );
        match fault {
            Fault::Space => self.disk.fill(0),
            Fault::Almost(slack) => self.disk.fill(slack),
            Fault::Inodes => self.disk.fill_inodes(),
            Fault::Both => {
                self.disk.fill_inodes();
                self.disk.fill(0);
            }
        }
        let mut refused = self.while_full(fault);
        let mut is_up = true;
        if let Some(how) = restart {
            is_up = self.restart(how);
            if is_up {
                refused.extend(self.while_full(fault));
            }
        }
        self.disk.free();
        let freed = Instant::now();
        if !is_up {
            // Whoever supervises it tries again.
            self.start();
        }
        self.recover(fault, freed, refused);
        if restart.is_some() || self.accepted.len() > 3 * USERS {
            self.check_what_was_accepted();
        }
    }

    /// Logins on a full file system, until it shows; who was refused.
    fn while_full(&mut self, fault: Fault) -> Vec<usize> {
        // There may be space in files that are there already, for a while.
        let mut refused = Vec::new();
        for _ in 0..USERS / BURST {
            let users = self.next_users(BURST);
            refused.extend(self.refused(&users));
            if !refused.is_empty() || matches!(fault, Fault::Inodes) {
                break;
            }
        }
        refused.extend(self.tells_whether_it_commits(fault));
        if matches!(fault, Fault::Inodes) {
            assert!(refused.is_empty(), "a running daemon makes no files: {refused:?}");
        }
        refused
    }

    /// Status-Server is answered after a login that went well, and not after one that was refused; who was refused.
    fn tells_whether_it_commits(&mut self, fault: Fault) -> Vec<usize> {
        let mut refused = Vec::new();
        // Once a second the store tries by itself, which may go well where there is space for that and for no login.
        for _ in 0..3 {
            let alone = self.next_users(1);
            let is_refused = !self.refused(&alone).is_empty();
            let answers = self.vpn.status(STATUS);
            if !is_refused {
                assert!(answers, "{fault:?}: it commits, and does not say so");
                return refused;
            }
            refused.extend(alone);
            if !answers {
                self.seen.silent += 1;
                return refused;
            }
        }
        panic!("{fault:?}: it does not commit, and says that it works");
    }

    /// Those of `users` who log in in vain.
    fn refused(&mut self, users: &[usize]) -> Vec<usize> {
        let verdicts = self.log_in(users).into_iter();
        let refused: Vec<_> = users
            .iter()
            .zip(verdicts)
            .filter(|(_, verdict)| *verdict == Code::ACCESS_REJECT)
            .map(|(&user, _)| user)
            .collect();
        self.seen.refused += u64::try_from(refused.len()).unwrap();
        self.seen.accepted_while_full += u64::try_from(users.len() - refused.len()).unwrap();
        refused
    }

    /// The daemon ends, and another one tries to start on what is there; whether it does.
    fn restart(&mut self, how: Restart) -> bool {
        self.seen.restarts += 1;
        match how {
            Restart::Kill => self.kill(),
            Restart::Terminate => {
                let (status, log) = self.daemon.take().unwrap().signal("TERM");
                assert!(status.success(), "{status}: {log:#?}");
            }
        }
        let mut daemon = self.disk.start();
        if daemon.is_ready() {
            self.vpn.connect(daemon.udp());
            self.daemon = Some(daemon);
            return true;
        }
        self.seen.refused_to_start += 1;
        let (status, log) = daemon.end();
        let said = log.join("\n");
        // The engine calls it an I/O error where the index of its log finds no space.
        let says_why = said.contains("no space is left for the database") || said.contains("disk I/O error");
        assert!(status.code() == Some(1) && says_why, "{status}: {said}");
        false
    }

    fn kill(&mut self) {
        self.daemon.take().unwrap().kill();
    }

    fn start(&mut self) {
        let mut daemon = self.disk.start();
        assert!(daemon.is_ready(), "there is space: {:#?}", daemon.log());
        self.vpn.connect(daemon.udp());
        self.daemon = Some(daemon);
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// There is space again: everybody who was refused is let in, soon and by himself.
    fn recover(&mut self, fault: Fault, freed: Instant, refused: Vec<usize>) {
        let mut turned_away = refused;
        loop {
            let probe = self.next_users(1);
            if self.log_in(&probe) == [Code::ACCESS_ACCEPT] {
                break;
            }
            turned_away.extend(probe);
            assert!(
                freed.elapsed() < RECOVERY,
                "{fault:?}: no service {RECOVERY:?} after there was space: {:#?}",
                self.daemon().log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        assert!(
            self.vpn.status(STATUS),
            "{fault:?}: it commits, and does not say so"
        );
        self.seen.recovered += 1;
        self.seen.slowest = self.seen.slowest.max(freed.elapsed());
        turned_away.sort_unstable();
        turned_away.dedup();
        // The same code first. A commit that failed may have been durable all the same; then the next one.
        let verdicts = self.log_in(&turned_away);
        let spent: Vec<usize> = turned_away
            .into_iter()
            .zip(verdicts)
            .filter(|(_, verdict)| *verdict == Code::ACCESS_REJECT)
            .map(|(user, _)| user)
            .collect();
        self.seen.spent += u64::try_from(spent.len()).unwrap();
        for &user in &spent {
            self.counters[user] += 1;
        }
        let verdicts = self.log_in(&spent);
        assert!(
            verdicts.iter().all(|verdict| *verdict == Code::ACCESS_ACCEPT),
            "{fault:?}: {spent:?} cannot log in any more: {verdicts:?}"
        );
    }

    /// SIGKILL: the database is whole, and the next daemon refuses every code that was accepted, because it was.
    fn check_what_was_accepted(&mut self) {
        self.kill();
        self.check_integrity();
        self.start();
        let codes = std::mem::take(&mut self.accepted);
        self.seen.accepted += self.vpn.offer_again(&codes);
        assert_eq!(
            self.daemon().count("reason=\"replayed-code\""),
            codes.len(),
            "{:#?}",
            self.daemon().log()
        );
    }

    fn check_integrity(&mut self) {
        let copy = self.disk.copy_database();
        let database = rusqlite::Connection::open(copy.path().join("otp.db")).unwrap();
        let found: String = database
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(found, "ok");
        self.seen.integrity_checks += 1;
    }

    fn next_users(&mut self, count: usize) -> Vec<usize> {
        let first = self.turn;
        self.turn += count;
        (first..self.turn).map(|turn| turn % USERS).collect()
    }

    /// Each with his next code; whoever is refused keeps it.
    fn log_in(&mut self, users: &[usize]) -> Vec<Code> {
        let codes: Vec<_> = users.iter().map(|&user| (user, self.counters[user])).collect();
        let verdicts = self.vpn.ask_all(&codes);
        for (&(user, counter), verdict) in codes.iter().zip(&verdicts) {
            if *verdict == Code::ACCESS_ACCEPT {
                self.counters[user] = counter + 1;
                self.accepted.push((user, counter));
            }
        }
        verdicts
    }
}
