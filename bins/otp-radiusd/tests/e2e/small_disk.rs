//! A file system that is soon full, in a mount namespace of its own, and a daemon whose state is on it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::system::{Daemon, PATIENCE, program, run};

/// It lasts as long as this does.
pub struct SmallDisk {
    dir: TempDir,
    kind: &'static str,
    /// Keeps the namespace until its standard input ends, at the latest with the test.
    keeper: Child,
}

impl SmallDisk {
    /// A tmpfs of 2 MiB.
    pub fn tmpfs() -> Self {
        Self::tmpfs_of("2m")
    }

    /// An ext4 on a loop device, which needs root; a tmpfs where there is none. Either has 128 MiB: the write-ahead log takes
    /// up to 64 before it is emptied.
    pub fn ext4_or_tmpfs() -> Self {
        // Few inodes, so that it does not take long to use them up; no blocks that only root gets.
        let mount = r#"truncate -s 128M "$1/image" && mkfs.ext4 -q -F -b 4096 -m 0 -N 64 "$1/image" &&
            mount -o loop "$1/image" "$1""#;
        let ext4 = is_root().then(|| Self::mounted("ext4", mount)).flatten();
        ext4.unwrap_or_else(|| Self::tmpfs_of("128m"))
    }

    fn tmpfs_of(size: &str) -> Self {
        let mount = format!(r#"mount -t tmpfs -o size={size},nr_inodes=64,mode=700 none "$1""#);
        Self::mounted("tmpfs", &mount).expect("a tmpfs can be mounted in a namespace of its own")
    }

    fn mounted(kind: &'static str, mount: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new("unshare");
        let own_user = ["--user", "--map-root-user", "--mount"];
        command.args(own_user.iter().skip(if is_root() { 2 } else { 0 }));
        let script = format!(r#"{mount} && : > "$1/mounted" && exec cat"#);
        let keeper = command.args(["sh", "-c", &script, "sh"]).arg(dir.path());
        let keeper = keeper
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut disk = Self { dir, kind, keeper };
        let started = Instant::now();
        // The test does not see the mount, so this file is in it and nowhere else.
        while !disk.seen_from_here().join("mounted").exists() {
            assert!(started.elapsed() < PATIENCE, "{kind}: no mount");
            if disk.keeper.try_wait().unwrap().is_some() {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // Made while they can be made.
        File::create(disk.filler()).unwrap();
        fs::create_dir(disk.inodes()).unwrap();
        Some(disk)
    }

    /// What it is.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Where it is mounted, for those in the namespace.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The same directory for this process.
    pub fn seen_from_here(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.path().strip_prefix("/").unwrap())
    }

    /// `program` inside the namespace.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--target")
            .arg(self.keeper.id().to_string())
            .arg("--mount");
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// Runs `otpctl` on the state directory here, and demands success.
    pub fn otpctl(&self, args: &[&str], stdin: &str) -> String {
        let mut command = self.command(&program("otpctl"));
        command
            .arg("--state-dir")
            .arg(self.path().join("state"))
            .args(args);
        let output = run(command, stdin);
        assert!(
            output.status.success(),
            "otpctl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A RADIUS client on loopback; its secret.
    pub fn radius_client(&self, name: &str) -> String {
        let added = self.otpctl(
            &[
                "--json",
                "client",
                "add",
                name,
                "--address",
                "127.0.0.1",
                "--reject-delay",
                "50",
            ],
            "",
        );
        let added: serde_json::Value = serde_json::from_str(&added).unwrap();
        added["secret"].as_str().unwrap().to_owned()
    }

    /// Starts a daemon on the state directory here and a free UDP port; it may not get far.
    pub fn start(&self) -> Daemon {
        let mut command = self.command(&program("otp-radiusd"));
        command
            .arg("--state-dir")
            .arg(self.path().join("state"))
            .args(["--listen", "udp://127.0.0.1:0"]);
        Daemon::spawn_unready(command)
    }

    /// Uses up all space but `slack` octets.
    pub fn fill(&self, slack: u64) {
        let length = || fs::metadata(self.filler()).unwrap().len();
        for size in (12..=26).rev().map(|power| 1 << power) {
            while self.allocate(length(), size) {}
        }
        let mut filler = OpenOptions::new().append(true).open(self.filler()).unwrap();
        // Whatever is allocated when it is written.
        for size in [1 << 12, 1 << 9] {
            while matches!(filler.write(&[0; 1 << 12][..size]), Ok(1..)) {}
        }
        filler.set_len(length().saturating_sub(slack)).unwrap();
    }

    fn allocate(&self, from: u64, length: u64) -> bool {
        let mut command = Command::new("fallocate");
        command
            .args(["--offset", &from.to_string(), "--length", &length.to_string()])
            .arg(self.filler());
        run(command, "").status.success()
    }

    /// Uses up all inodes.
    pub fn fill_inodes(&self) {
        let dir = self.inodes();
        for number in 0.. {
            match File::create(dir.join(number.to_string())) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
                    return;
                }
            }
        }
    }

    /// Gives everything back.
    pub fn free(&self) {
        File::create(self.filler()).unwrap();
        for entry in fs::read_dir(self.inodes()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// A copy of the database and its log elsewhere, to be looked at while nobody writes them.
    pub fn copy_database(&self) -> TempDir {
        let copy = TempDir::new().unwrap();
        for name in ["otp.db", "otp.db-wal"] {
            let file = self.seen_from_here().join("state").join(name);
            if file.exists() {
                fs::copy(file, copy.path().join(name)).unwrap();
            }
        }
        copy
    }

    fn filler(&self) -> PathBuf {
        self.seen_from_here().join("filler")
    }

    fn inodes(&self) -> PathBuf {
        self.seen_from_here().join("inodes")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}
