//! When the store cannot write: Reject, a loud log line, and recovery without a person.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    system::{Daemon, PATIENCE, System, hotp, program, run},
    wire::{Connection, Verdict},
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
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Reject, "no commit, no Accept");
    println!("locked database: Reject after {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_millis(4_500), "before the KDC gives up");
    daemon.wait_for("ERROR");

    foreign.execute_batch("ROLLBACK").unwrap();
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Accept, "the code was not spent, and the daemon works again");
    assert_eq!(daemon.count("reason=\"accepted\""), 1);
}

#[test]
fn a_full_disk_rejects_and_recovers() {
    let disk = SmallDisk::new();
    let state = disk.path().join("state");
    disk.run(&program("otpctl"), &["--state-dir", state.to_str().unwrap(), "init"], "");
    let otpctl = |args: &[&str], stdin: &str| {
        let args: Vec<_> = ["--state-dir", state.to_str().unwrap()].iter().chain(args).copied().collect();
        disk.run(&program("otpctl"), &args, stdin);
    };
    otpctl(&["user", "add", "alice"], "");
    otpctl(&["token", "add", "alice", "--type", "hotp", "--secret", "--active"], &format!("{SECRET}\n"));
    let outside = TempDir::new().unwrap();
    let socket = outside.path().join("kdc.socket");
    let listen = format!("unix:{}", socket.display());
    let daemon =
        Daemon::spawn(disk.command(&program("otp-radiusd"), &["--state-dir", state.to_str().unwrap(), "--listen", &listen]));
    let mut kdc = Connection::to(&socket);
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Accept, "control");

    let filler = disk.path().join("filler");
    disk.shell(&format!("cat /dev/zero > {} 2>/dev/null || true", filler.display()));
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 1)), Verdict::Reject, "no disk, no Accept");
    let line = daemon.wait_for("ERROR");
    println!("full disk: {line}");
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 1)), Verdict::Reject, "and it stays so while the disk is full");

    disk.shell(&format!("rm {}", filler.display()));
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 1)), Verdict::Accept, "space again, service again");
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Reject, "and nothing was forgotten");
    drop(daemon);
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
        command.args(["--user", "--map-root-user", "--mount"].iter().skip(if is_root() { 2 } else { 0 }));
        command.args(["sh", "-c", "mount -t tmpfs -o size=2m,mode=700 none \"$1\" && : > \"$1/mounted\" && exec sleep 300", "sh"]);
        let keeper = command.arg(dir.path()).spawn().unwrap();
        let disk = Self { dir, keeper };
        let started = Instant::now();
        let mounted = disk.path().join("mounted");
        while !disk.command("test".as_ref(), &["-e", mounted.to_str().unwrap()]).status().unwrap().success() {
            assert!(started.elapsed() < PATIENCE, "cannot mount a tmpfs in a namespace of its own");
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
        command.arg("--target").arg(self.keeper.id().to_string()).arg("--mount");
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program).args(args);
        command
    }

    fn run(&self, program: &Path, args: &[&str], stdin: &str) {
        let output = run(self.command(program, args), stdin);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
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
