//! When the store cannot write: Reject, a loud log line, and recovery without a person.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    small_disk::SmallDisk,
    system::{System, hotp, program},
    wire::{Connection, Datagrams, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[test]
fn a_locked_database_rejects_and_recovers() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let daemon = system.start();
    let mut kdc = Connection::to(&system.kdc_socket());

    let foreign = rusqlite::Connection::open(system.state_dir().join("otp.db")).unwrap();
    foreign.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let started = Instant::now();
    assert_eq!(
        kdc.ask("alice", &hotp(SECRET, 0)),
        Verdict::Reject,
        "no commit, no Accept"
    );
    println!("locked database: Reject after {:?}", started.elapsed());
    assert!(
        started.elapsed() < Duration::from_millis(4_500),
        "before the KDC gives up"
    );
    daemon.wait_for("ERROR");

    foreign.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        kdc.ask("alice", &hotp(SECRET, 0)),
        Verdict::Accept,
        "the code was not spent, and the daemon works again"
    );
    assert_eq!(daemon.count("reason=\"accepted\""), 1);
}

/// A client that watches its servers turns to another one while this one could accept nobody.
#[test]
fn status_server_stays_unanswered_while_the_store_fails() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let mut vpn = Datagrams::to(daemon.udp(), &secret);
    assert!(vpn.status());

    let foreign = rusqlite::Connection::open(system.state_dir().join("otp.db")).unwrap();
    foreign.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(vpn.ask("alice", &hotp(SECRET, 0)), Verdict::Reject);
    assert!(!vpn.status(), "it has just failed to commit");

    foreign.execute_batch("ROLLBACK").unwrap();
    daemon.wait_for("the store commits again");
    assert!(vpn.status(), "nobody had to ask for anything");
    assert_eq!(vpn.ask("alice", &hotp(SECRET, 0)), Verdict::Accept);
}

#[test]
fn a_full_disk_rejects_and_recovers() {
    let disk = SmallDisk::tmpfs();
    disk.otpctl(&["init"], "");
    disk.otpctl(&["user", "add", "alice"], "");
    disk.otpctl(
        &["token", "add", "alice", "--type", "hotp", "--secret", "--active"],
        &format!("{SECRET}\n"),
    );
    let secret = disk.radius_client("vpn");
    let daemon = disk.start();
    let mut vpn = Datagrams::to(daemon.udp(), &secret);
    assert_eq!(vpn.ask("alice", &hotp(SECRET, 0)), Verdict::Accept, "control");

    // SQLite can go on for a while in space that it has already: what counts is that an Accept is never a lie.
    let mut spent = vec![0];
    let mut refused = 0;
    for counter in 1..=9 {
        disk.fill(0);
        match vpn.ask("alice", &hotp(SECRET, counter)) {
            Verdict::Accept => spent.push(counter),
            Verdict::Reject => refused += 1,
        }
    }
    println!(
        "full disk: {refused} of 9 refused, {} accepted in space that was there",
        spent.len() - 1
    );
    assert_eq!(
        daemon.count("reason=\"store-failure\""),
        refused,
        "no disk, no Accept: {:#?}",
        daemon.log()
    );
    assert!(refused > 0, "the disk was not full enough to show anything");
    println!("{}", daemon.wait_for("ERROR"));

    disk.free();
    assert_eq!(
        vpn.ask("alice", &hotp(SECRET, 10)),
        Verdict::Accept,
        "space again, service again, without a restart"
    );
    spent.push(10);
    daemon.kill();
    let daemon = disk.start();
    let mut vpn = Datagrams::to(daemon.udp(), &secret);
    for counter in spent {
        assert_eq!(
            vpn.ask("alice", &hotp(SECRET, counter)),
            Verdict::Reject,
            "counter {counter} was accepted before"
        );
    }
}

#[test]
fn a_log_that_nobody_takes_rejects_nobody() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let mut command = Command::new(program("otp-radiusd"));
    command.arg("--state-dir").arg(system.state_dir());
    command
        .arg("--listen")
        .arg(format!("unix:{}", system.kdc_socket().display()));
    let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(daemon.stderr.take().unwrap()).lines();
    assert!(
        log.by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("ready"))
    );
    drop(log); // from now on every line fails with EPIPE

    let mut kdc = Connection::to(&system.kdc_socket());
    let verdicts = [0, 1, 2].map(|counter| kdc.ask("alice", &hotp(SECRET, counter)));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(verdicts, [Verdict::Accept; 3]);
}
