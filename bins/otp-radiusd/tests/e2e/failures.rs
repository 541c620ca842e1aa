//! When the store cannot write: Reject, a loud log line, and recovery without a person.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    system::{Daemon, PATIENCE, System, hotp, program, run},
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
    let disk = SmallDisk::new();
    let state = disk.path().join("state");
    disk.run(
        &program("otpctl"),
        &["--state-dir", state.to_str().unwrap(), "init"],
        "",
    );
    let otpctl = |args: &[&str], stdin: &str| {
        let args: Vec<_> = ["--state-dir", state.to_str().unwrap()]
            .iter()
            .chain(args)
            .copied()
            .collect();
        disk.run(&program("otpctl"), &args, stdin);
    };
    otpctl(&["user", "add", "alice"], "");
    otpctl(
        &["token", "add", "alice", "--type", "hotp", "--secret", "--active"],
        &format!("{SECRET}\n"),
    );
    let added = disk.run(
        &program("otpctl"),
        &[
            "--state-dir",
            state.to_str().unwrap(),
            "--json",
            "client",
            "add",
            "vpn",
            "--address",
            "127.0.0.1",
        ],
        "",
    );
    let added: serde_json::Value = serde_json::from_str(&added).unwrap();
    let daemon = Daemon::spawn(disk.command(
        &program("otp-radiusd"),
        &[
            "--state-dir",
            state.to_str().unwrap(),
            "--listen",
            "udp://127.0.0.1:0",
        ],
    ));
    let mut vpn = Datagrams::to(daemon.udp(), added["secret"].as_str().unwrap());
    assert_eq!(vpn.ask("alice", &hotp(SECRET, 0)), Verdict::Accept, "control");

    // SQLite can go on for a while in space that it has already: what counts is that an Accept is never a lie.
    let filler = disk.path().join("filler");
    let mut spent = vec![0];
    let mut refused = 0;
    for counter in 1..=9 {
        disk.shell(&format!(
            "cat /dev/zero >> {} 2>/dev/null || true",
            filler.display()
        ));
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

    disk.shell(&format!("rm {}", filler.display()));
    assert_eq!(
        vpn.ask("alice", &hotp(SECRET, 10)),
        Verdict::Accept,
        "space again, service again, without a restart"
    );
    spent.push(10);
    daemon.kill();
    let daemon = Daemon::spawn(disk.command(
        &program("otp-radiusd"),
        &[
            "--state-dir",
            state.to_str().unwrap(),
            "--listen",
            "udp://127.0.0.1:0",
        ],
    ));
    let mut vpn = Datagrams::to(daemon.udp(), added["secret"].as_str().unwrap());
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

/// A tmpfs of 2 MiB in a mount namespace of its own, kept by a sleeping child.
struct SmallDisk {
    dir: TempDir,
    keeper: std::process::Child,
}

impl SmallDisk {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new("unshare");
        command.args(
            ["--user", "--map-root-user", "--mount"]
                .iter()
                .skip(if is_root() { 2 } else { 0 }),
        );
        command.args([
            "sh",
            "-c",
            "mount -t tmpfs -o size=2m,mode=700 none \"$1\" && : > \"$1/mounted\" && exec sleep 300",
            "sh",
        ]);
        let keeper = command.arg(dir.path()).spawn().unwrap();
        let disk = Self { dir, keeper };
        let started = Instant::now();
        let mounted = disk.path().join("mounted");
        while !disk
            .command("test".as_ref(), &["-e", mounted.to_str().unwrap()])
            .status()
            .unwrap()
            .success()
        {
            assert!(
                started.elapsed() < PATIENCE,
                "cannot mount a tmpfs in a namespace of its own"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        disk
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `program` inside the namespace.
    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--target")
            .arg(self.keeper.id().to_string())
            .arg("--mount");
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program).args(args);
        command
    }

    fn run(&self, program: &Path, args: &[&str], stdin: &str) -> String {
        let output = run(self.command(program, args), stdin);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn shell(&self, script: &str) {
        self.run("sh".as_ref(), &["-c", script], "");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}
