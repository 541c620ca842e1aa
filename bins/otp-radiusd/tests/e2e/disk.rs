//! A disk that fails at the n-th call: no Accept without durability, and recovery without a person.
//!
//! `strace` makes one system call of a scripted run fail: the first, the second, the third … After each run a healthy daemon is asked for every code that was accepted, and must refuse it.

use std::{fs, path::Path, process::Command, time::Instant};

use otp_core::{Hotp, TokenKey};

use crate::{
    campaign::{self, Ledger},
    system::{Daemon, System},
    wire::{Datagrams, Verdict},
};

/// Up to which call of each kind each is made to fail; `strace` counts them for every thread by itself.
const CALLS: &str = "DISK_CALLS";
const LOGINS: u64 = 6;

#[test]
fn a_disk_that_fails_at_any_call_makes_no_false_accept() {
    let started = Instant::now();
    let calls = match campaign::scale(CALLS, 0) {
        // One while it starts, two while it works.
        0 => vec![1, 4, 6],
        most => (1..=most).collect(),
    };
    let mut seen = Totals::default();
    for fault in [
        "fdatasync:error=EIO",
        "fsync:error=EIO",
        "pwrite64:error=EIO",
        "pwrite64:error=ENOSPC",
        "ftruncate:error=EIO",
        "openat:error=EMFILE",
    ] {
        for &call in &calls {
            if !run(fault, call, &mut seen) {
                break;
            }
        }
    }
    assert!(
        seen.failed > 0 && seen.accepted > 0 && seen.recovered > 0,
        "{seen:?}"
    );
    Ledger::new("disk that fails", 0)
        .count("runs with a failed call", seen.failed)
        .count("accepted", seen.accepted)
        .count("of these accepted again", 0)
        .count("refused while it failed", seen.refused)
        .count("starts refused", seen.refused_to_start)
        .count("recoveries by itself", seen.recovered)
        .finish(started);
}

#[derive(Debug, Default)]
struct Totals {
    failed: u64,
    accepted: u64,
    refused: u64,
    refused_to_start: u64,
    recovered: u64,
}

/// Alice with an HOTP token, and a client; the key and the client's secret.
fn alice(system: &System) -> (TokenKey, String) {
    let key = TokenKey::from(*b"12345678901234567890");
    system.user_with_token("alice", key.to_base32().as_str(), &["--type", "hotp"]);
    (key, system.radius_client("vpn", &[]))
}

/// One run in which the `call`-th system call of a kind fails; `false` if there are fewer.
fn run(fault: &str, call: u64, seen: &mut Totals) -> bool {
    let system = System::new();
    let (key, secret) = alice(&system);
    let trace = system.dir().join("trace");
    let mut daemon = Daemon::spawn_unready(failing(&system, fault, call, &trace));
    let (mut accepted, mut refused) = (Vec::new(), 0);
    if daemon.is_ready() {
        let mut vpn = Datagrams::to(daemon.udp(), &secret);
        for counter in 0..LOGINS {
            match vpn.ask("alice", &code(&key, counter)) {
                Verdict::Accept => accepted.push(counter),
                Verdict::Reject => refused += 1,
            }
        }
        // One call fails, at the latest the first of these; then that is over.
        let afterwards =
            [LOGINS, LOGINS + 1].map(|counter| (counter, vpn.ask("alice", &code(&key, counter))));
        let recovered = afterwards
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Accept);
        accepted.extend(recovered.map(|(counter, _)| *counter));
        assert!(
            accepted.last() >= Some(&LOGINS),
            "{fault} at call {call}: it did not recover"
        );
        daemon.kill();
    } else {
        // It says why, and whoever supervises it tries again.
        seen.refused_to_start += 1;
        drop(daemon);
    }
    let has_failed = fs::read_to_string(&trace).unwrap().contains("(INJECTED)");
    if has_failed {
        seen.failed += 1;
        seen.refused += refused;
        seen.accepted += u64::try_from(accepted.len()).unwrap();
        if refused > 0 {
            seen.recovered += 1;
        }
    } else {
        assert_eq!(refused, 0, "control: nothing failed");
    }

    let healthy = system.start();
    let mut vpn = Datagrams::to(healthy.udp(), &secret);
    for counter in accepted {
        let verdict = vpn.ask("alice", &code(&key, counter));
        assert_eq!(
            verdict,
            Verdict::Reject,
            "{fault} at call {call}: counter {counter} was accepted and is not spent"
        );
    }
    assert_eq!(
        vpn.ask("alice", &code(&key, LOGINS + 2)),
        Verdict::Accept,
        "{fault} at call {call}: afterwards"
    );
    has_failed
}

fn failing(system: &System, fault: &str, call: u64, trace: &Path) -> Command {
    let name = fault.split(':').next().unwrap();
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-qq", "-y", "-e"])
        .arg(format!("trace={name}"))
        .arg("-e")
        .arg(format!("inject={fault}:when={call}"))
        // Of the store's files alone; the program itself is loaded from others.
        .arg("-P")
        .arg(system.state_dir().join("otp.db"))
        .arg("-P")
        .arg(system.state_dir().join("otp.db-wal"))
        .arg("-P")
        .arg(system.state_dir().join("otp.db-shm"))
        .arg("-o")
        .arg(trace);
    system.daemon_under(command)
}

fn code(key: &TokenKey, counter: u64) -> String {
    Hotp::default().generate(key, counter).as_str().to_owned()
}
