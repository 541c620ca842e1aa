//! Several machines on one PostgreSQL database: each has its own state directory and a copy of the sealing key.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    cluster::Cluster,
    system::{PATIENCE, System, hotp, run, totp},
    wire::{Connection, Datagrams, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// A store in a database of the tests' own server.
fn shared() -> (System, String) {
    let url = Cluster::shared().database();
    (System::on(url.clone()), url)
}

#[test]
fn a_code_is_accepted_by_one_machine_alone() {
    let (first, _) = shared();
    first.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = first.radius_client("vpn", &[]);
    let second = first.beside();
    let daemons = [first.start(), second.start()];
    let mut clients = daemons
        .each_ref()
        .map(|daemon| Datagrams::to(daemon.udp(), &secret));
    for counter in 0..6 {
        let code = hotp(SECRET, counter);
        let (here, there) = if counter % 2 == 0 { (0, 1) } else { (1, 0) };
        assert_eq!(clients[here].ask("alice", &code), Verdict::Accept, "{counter}");
        assert_eq!(clients[there].ask("alice", &code), Verdict::Reject, "{counter}");
        assert_eq!(clients[here].ask("alice", &code), Verdict::Reject, "{counter}");
    }

    // The KDC's socket of the other machine, and a daemon that was killed and started again.
    let [first_daemon, second_daemon] = daemons;
    assert_eq!(
        Connection::to(&second.kdc_socket()).ask("alice", &hotp(SECRET, 6)),
        Verdict::Accept
    );
    first_daemon.kill();
    second_daemon.kill();
    let daemon = first.start();
    let mut vpn = Datagrams::to(daemon.udp(), &secret);
    assert_eq!(vpn.ask("alice", &hotp(SECRET, 6)), Verdict::Reject);
    assert_eq!(vpn.ask("alice", &hotp(SECRET, 7)), Verdict::Accept);
    daemon.wait_for("database=\"postgresql://");
}

#[test]
fn otpctl_works_beside_the_daemons() {
    let (first, url) = shared();
    let second = first.beside();
    let daemon = first.start();
    let secret = second.radius_client("vpn", &[]);
    second.user_with_token("bob", SECRET, &["--type", "hotp"]);
    let mut vpn = Datagrams::to(daemon.udp(), &secret);
    assert_eq!(vpn.ask("bob", &hotp(SECRET, 0)), Verdict::Accept);
    let spent = second.try_otpctl(&["auth", "bob"], &format!("{}\n", hotp(SECRET, 0)));
    assert_eq!(spent.status.code(), Some(1), "{spent:?}");
    first.otpctl(&["auth", "bob"], &format!("{}\n", hotp(SECRET, 1)));
    assert_eq!(vpn.ask("bob", &hotp(SECRET, 1)), Verdict::Reject);

    let status: serde_json::Value =
        serde_json::from_str(&first.otpctl(&["db", "status", "--json"], "")).unwrap();
    let database = &status["database"];
    assert_eq!(database["engine"], "PostgreSQL");
    assert_eq!(database["schema"], database["newest_schema"]);
    assert_eq!(database["durability"]["fsync"], "on");
    assert_eq!(database["replication"]["may_lose_commits"], false);
    let unchanged = first.otpctl(&["db", "migrate"], "");
    assert!(unchanged.contains("nothing was changed"), "{unchanged}");

    // A second store is not made, and leaves nothing behind.
    let other = System::beside(&first);
    fs::remove_file(other.state_dir().join("seal.key")).unwrap();
    let refused = other.try_otpctl(&["init"], "");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("copy the sealing key"), "{stderr}");
    assert!(!other.state_dir().join("seal.key").exists());

    // The URL in a file, as one with a password must be.
    let file = first.dir().join("database");
    fs::write(&file, format!("{url}\n")).unwrap();
    for (mode, code) in [(0o600, 0), (0o644, 5)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = first.command("otpctl");
        command.env_remove("OTP_RADIUSD_DATABASE");
        command.args(["user", "list", "--database-file"]).arg(&file);
        let output = run(command, "");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn check_tells_of_the_database() {
    let (system, url) = shared();
    let file = system.dir().join("otp-radiusd.toml");
    let check = |table: &str, options: &[&str]| {
        fs::write(&file, format!("[postgresql]\n{table}")).unwrap();
        let mut command = system.command("otp-radiusd");
        command.env_remove("OTP_RADIUSD_DATABASE");
        command.args(["--check", "--listen", "udp://127.0.0.1:0", "--config"]);
        let output = run(
            {
                command.arg(&file).args(options);
                command
            },
            "",
        );
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, stdout, stderr) = check(&format!("url = {url:?}"), &[]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    for part in [
        "database   PostgreSQL 1",
        "fsync = on",
        "standbys   none",
        "state      postgresql://",
    ] {
        assert!(stdout.contains(part), "{part:?} is not in\n{stdout}");
    }
    assert!(!stdout.contains("accept_lost_commits"), "{stdout}");
    let (code, stdout, _) = check(&format!("url = {url:?}"), &["--accept-lost-commits"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("warning: accept_lost_commits"), "{stdout}");

    for (table, part) in [
        ("url = \"postgresql://otp:geheim@localhost/otp\"", "url_file"),
        ("url = \"host=/nonexistent user=otp\"", "takes writes"),
        ("accept_lost_commits = true", "no database is named"),
    ] {
        let (code, stdout, stderr) = check(table, &[]);
        assert_eq!(code, Some(1), "{stdout}");
        assert!(
            stderr.contains(part) && !stderr.contains("geheim"),
            "{table}: {stderr}"
        );
    }
}

#[test]
fn accepted_losses_are_warned_of_at_every_start() {
    let (system, _) = shared();
    for _ in 0..2 {
        let daemon = system.start_with(&["--accept-lost-commits"]);
        daemon.wait_for("LOST COMMITS ARE ACCEPTED");
        daemon.kill();
    }
    assert_eq!(system.start().count("LOST COMMITS"), 0);
}

/// Logs alice in through `daemons`, one after the other, until `ended`; counts how many times.
fn log_in_until(ended: &AtomicBool, mut daemons: Vec<Datagrams>, logins: &AtomicU64) {
    let mut counter = 0;
    while !ended.load(Ordering::Relaxed) {
        for daemon in &mut daemons {
            let verdict = daemon.ask("alice", &hotp(SECRET, counter));
            assert_eq!(verdict, Verdict::Accept, "{counter}");
            counter += 1;
            logins.store(counter, Ordering::Relaxed);
        }
    }
}

/// Says that it is over when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_sealing_key_is_rotated_while_daemons_work() {
    let alone = System::new();
    let (first, _) = shared();
    for (system, others) in [(&alone, vec![]), (&first, vec![first.beside()])] {
        system.user_with_token("alice", SECRET, &["--type", "hotp"]);
        let secret = system.radius_client("vpn", &[]);
        let machines: Vec<&System> = [system].into_iter().chain(&others).collect();
        let daemons: Vec<_> = machines.iter().map(|machine| machine.start()).collect();
        let clients = daemons
            .iter()
            .map(|daemon| Datagrams::to(daemon.udp(), &secret))
            .collect();
        let (ended, logins) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| log_in_until(&ended, clients, &logins));
            // However this scope is left: whoever logs in would go on for ever.
            let _end = Ends(&ended);
            for round in 1..=3 {
                // Before each rotation somebody has logged in since the one before.
                let patience = Instant::now();
                while logins.load(Ordering::Relaxed) < 5 * round {
                    assert!(patience.elapsed() < PATIENCE, "logins have stopped");
                    thread::sleep(Duration::from_millis(1));
                }
                if others.is_empty() {
                    system.otpctl(&["key", "rotate"], "");
                    continue;
                }
                let refused = system.try_otpctl(&["key", "rotate"], "");
                assert_eq!(refused.status.code(), Some(2), "{refused:?}");
                system.otpctl(&["key", "rotate", "--prepare"], "");
                let key = |system: &System| system.state_dir().join("seal.key");
                for other in &others {
                    fs::copy(key(system), key(other)).unwrap();
                }
                for machine in &machines {
                    machine.otpctl(&["key", "rotate", "--commit"], "");
                }
                assert_eq!(fs::read(key(system)).unwrap(), fs::read(key(&others[0])).unwrap());
            }
        });
        for machine in machines {
            machine.otpctl(&["key", "status"], "");
        }
    }
}

/// From SQLite to PostgreSQL, the daemon at work while the backup is made.
#[test]
fn a_store_moves_to_other_machines_and_no_code_works_twice() {
    const TOTP: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let alone = System::new();
    alone.user_with_token("alice", SECRET, &["--type", "hotp"]);
    alone.user_with_token("bob", TOTP, &[]);
    let secret = alone.radius_client("vpn", &[]);
    let daemon = alone.start();
    let mut vpn = Datagrams::to(daemon.udp(), &secret);
    let mut used = Vec::new();
    let mut log_in = |vpn: &mut Datagrams, counter| {
        let code = hotp(SECRET, counter);
        assert_eq!(vpn.ask("alice", &code), Verdict::Accept, "{counter}");
        used.push(("alice", code));
    };
    (0..3).for_each(|counter| log_in(&mut vpn, counter));
    let file = alone.dir().join("otp.backup");
    let path = file.to_str().unwrap();
    alone.otpctl(&["backup", path], "");
    // Unknown to the backup: as many codes as a look-ahead and one more, and a code of this moment.
    (3..14).for_each(|counter| log_in(&mut vpn, counter));
    let code = totp(TOTP);
    assert_eq!(vpn.ask("bob", &code), Verdict::Accept);
    used.push(("bob", code));
    daemon.kill();

    let shared = alone.moved_to(Cluster::shared().database());
    let unready = shared.try_otpctl(&["user", "list"], "");
    assert_eq!(unready.status.code(), Some(5), "{unready:?}");
    let restored = shared.otpctl(&["--json", "restore", path], "");
    let restored: serde_json::Value = serde_json::from_str(&restored).unwrap();
    assert_eq!(
        (&restored["hotp_tokens"], &restored["totp_tokens"]),
        (&1.into(), &1.into())
    );
    let second = shared.beside();
    let daemons = [shared.start(), second.start()];
    for daemon in &daemons {
        let mut vpn = Datagrams::to(daemon.udp(), &secret);
        for (user, code) in &used {
            assert_eq!(vpn.ask(user, code), Verdict::Reject, "{user}");
        }
    }
    // Codes of long ago are guesses like any others.
    shared.otpctl(&["user", "unlock", "alice"], "");
    let mut vpn = Datagrams::to(daemons[1].udp(), &secret);
    assert_eq!(vpn.ask("alice", &hotp(SECRET, 14)), Verdict::Accept);
}
