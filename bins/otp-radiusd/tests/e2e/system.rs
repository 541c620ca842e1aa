//! The built programs on a state directory of their own: `otpctl` run by hand, `otp-radiusd` as a child that is watched.

use std::{
    fs::{self, DirBuilder},
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long anything may take before the test fails: generous, because test machines are small and busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A state directory, initialised by `otpctl init`.
pub struct System {
    dir: TempDir,
    /// Of the database, unless it is in the state directory.
    url: Option<String>,
}

impl System {
    pub fn new() -> Self {
        Self::at(None)
    }

    /// The same with a database elsewhere.
    pub fn on(url: String) -> Self {
        Self::at(Some(url))
    }

    fn at(url: Option<String>) -> Self {
        let system = Self {
            dir: TempDir::new().unwrap(),
            url,
        };
        system.otpctl(&["init"], "");
        system
    }

    /// Another machine on the same database: a state directory of its own, with a copy of the sealing key.
    pub fn beside(&self) -> Self {
        self.with_key_at(self.url.clone())
    }

    /// A machine with a copy of the sealing key and another database.
    pub fn moved_to(&self, url: String) -> Self {
        self.with_key_at(Some(url))
    }

    fn with_key_at(&self, url: Option<String>) -> Self {
        let beside = Self {
            dir: TempDir::new().unwrap(),
            url,
        };
        DirBuilder::new().mode(0o700).create(beside.state_dir()).unwrap();
        let key = |system: &Self| system.state_dir().join("seal.key");
        fs::copy(key(self), key(&beside)).unwrap();
        beside
    }

    /// One of the built programs, on this state.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.arg("--state-dir").arg(self.state_dir());
        command.env("OTP_RADIUSD_ADMIN_SOCKET", self.admin_socket());
        if let Some(url) = &self.url {
            command.env("OTP_RADIUSD_DATABASE", url);
        }
        command
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Where the daemon is administered.
    pub fn admin_socket(&self) -> PathBuf {
        self.dir.path().join("admin.socket")
    }

    /// Where the daemon listens for a KDC.
    pub fn kdc_socket(&self) -> PathBuf {
        self.dir.path().join("kdc.socket")
    }

    /// Runs `otpctl` and demands success; returns its standard output.
    pub fn otpctl(&self, args: &[&str], stdin: &str) -> String {
        let output = self.try_otpctl(args, stdin);
        assert!(
            output.status.success(),
            "otpctl {args:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn try_otpctl(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = self.command("otpctl");
        command.args(args);
        run(command, stdin)
    }

    /// A user with one active token whose secret (base32) the test knows; `options` go to `otpctl token add`.
    pub fn user_with_token(&self, user: &str, secret: &str, options: &[&str]) {
        self.otpctl(&["user", "add", user], "");
        self.token(user, secret, options);
    }

    pub fn token(&self, user_label: &str, secret: &str, options: &[&str]) {
        let mut args = vec!["token", "add", user_label, "--secret", "--active"];
        args.extend(options);
        self.otpctl(&args, &format!("{secret}\n"));
    }

    /// A RADIUS client on loopback; returns its secret.
    pub fn radius_client(&self, name: &str, options: &[&str]) -> String {
        let mut args = vec![
            "--json",
            "client",
            "add",
            name,
            "--address",
            "127.0.0.1/32",
            "--reject-delay",
            "50",
        ];
        args.extend(options);
        let added: serde_json::Value = serde_json::from_str(&self.otpctl(&args, "")).unwrap();
        added["secret"]
            .as_str()
            .expect("otpctl shows a generated secret once")
            .to_owned()
    }

    /// Starts the daemon on the KDC socket and on a free UDP port of loopback, and waits until it is ready.
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// The daemon on a free UDP port of loopback, started by `tracer`, such as `strace` with its options.
    pub fn daemon_under(&self, mut tracer: Command) -> Command {
        tracer
            .env("OTP_RADIUSD_ADMIN_SOCKET", self.admin_socket())
            .arg(program("otp-radiusd"))
            .arg("--state-dir")
            .arg(self.state_dir())
            .args(["--listen", "udp://127.0.0.1:0"]);
        tracer
    }

    pub fn start_with(&self, options: &[&str]) -> Daemon {
        let mut command = self.command("otp-radiusd");
        command
            .arg("--listen")
            .arg(format!("unix:{}", self.kdc_socket().display()))
            .args(["--listen", "udp://127.0.0.1:0"])
            .args(options);
        Daemon::spawn(command)
    }
}

/// A running `otp-radiusd`; killed, by its own process id, when dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Starts it, and waits until it is ready.
    pub fn spawn(command: Command) -> Self {
        let daemon = Self::spawn_unready(command);
        daemon.wait_for("ready");
        daemon
    }

    /// Starts it.
    pub fn spawn_unready(mut command: Command) -> Self {
        command.env_remove("JOURNAL_STREAM").env("NO_COLOR", "1");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        for stream in [
            Box::new(child.stderr.take().unwrap()) as Box<dyn std::io::Read + Send>,
            Box::new(child.stdout.take().unwrap()),
        ] {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    log.lock().unwrap().push(line);
                }
            });
        }
        Self { child, log }
    }

    /// Whether it got as far as to listen; `false` if it ended before.
    pub fn is_ready(&mut self) -> bool {
        let started = Instant::now();
        loop {
            if self.log.lock().unwrap().iter().any(|line| line.contains("ready")) {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(started.elapsed() < PATIENCE, "neither ready nor gone");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The address of the UDP listener.
    pub fn udp(&self) -> SocketAddr {
        self.address("udp")
    }

    /// The address of the listener on `udp`, `tcp` or `tls`.
    pub fn address(&self, scheme: &str) -> SocketAddr {
        let scheme = format!("listening on {scheme}://");
        let line = self.wait_for(&scheme);
        let address = line.split(&scheme).nth(1).unwrap();
        let end = address
            .find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)))
            .unwrap_or(address.len());
        address[..end]
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// How much memory it has, in kilobytes (`VmRSS`).
    pub fn resident_kilobytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The last log line so far that contains `text`.
    pub fn last(&self, text: &str) -> Option<String> {
        let log = self.log.lock().unwrap();
        log.iter().rev().find(|line| line.contains(text)).cloned()
    }

    /// Waits for a log line that contains `text`, now or before; returns it.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_nth(text, 1)
    }

    /// Waits until `count` log lines contain `text`; returns the last of them.
    pub fn wait_for_nth(&self, text: &str, count: usize) -> String {
        let started = Instant::now();
        loop {
            let found = self
                .log
                .lock()
                .unwrap()
                .iter()
                .filter(|line| line.contains(text))
                .nth(count - 1)
                .cloned();
            if let Some(line) = found {
                return line;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no {count} lines with {text:?} in\n{}",
                self.log().join("\n")
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How many log lines contain `text`, once those that are on their way have arrived.
    pub fn count(&self, text: &str) -> usize {
        thread::sleep(Duration::from_millis(200));
        self.log
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains(text))
            .count()
    }

    /// SIGSTOP: the daemon is there, but does nothing until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.send("STOP");
    }

    /// SIGHUP: it reads its configuration again.
    pub fn hang_up(&self) {
        self.send("HUP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.send("CONT");
    }

    fn send(&self, signal: &str) {
        let status = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "kill -s {signal}");
    }

    /// Waits until it has died by itself, or been killed by somebody else.
    pub fn wait_for_death(&mut self) {
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "it lives");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How it ended by itself, and what it said.
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        self.wait_for_death();
        let status = self.child.wait().unwrap();
        thread::sleep(Duration::from_millis(50)); // the readers drain the pipes
        (status, self.log())
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM or SIGINT, and what became of the process.
    pub fn signal(mut self, name: &str) -> (ExitStatus, Vec<String>) {
        self.send(name);
        let started = Instant::now();
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return self.end();
            }
            assert!(started.elapsed() < PATIENCE, "still running after {name}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of otp-radiusd\n{}\n---", self.log().join("\n"));
        }
    }
}

/// The built program `name`, which stands beside the daemon.
pub fn program(name: &str) -> PathBuf {
    let daemon = PathBuf::from(env!("CARGO_BIN_EXE_otp-radiusd"));
    let path = daemon.with_file_name(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// Runs a command with `stdin`, returns what it wrote.
pub fn run(mut command: Command, stdin: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!(
            "cannot run {name}: {error}. `cargo xtask test` installs the Debian packages that the tests need"
        )
    });
    // A program that does not read its input is allowed to close it.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// What `oathtool` says the code is; the other implementation, so to speak.
pub fn oathtool(args: &[&str], secret: &str) -> String {
    let mut command = Command::new("oathtool");
    // The secret comes from standard input ("-"), as secrets should.
    command.args(args).args(["--base32", "-"]);
    let output = run(command, &format!("{secret}\n"));
    assert!(
        output.status.success(),
        "oathtool {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The current TOTP code.
pub fn totp(secret: &str) -> String {
    oathtool(&["--totp"], secret)
}

/// The HOTP code of `counter`.
pub fn hotp(secret: &str, counter: u64) -> String {
    oathtool(&["--hotp", "--counter", &counter.to_string()], secret)
}
