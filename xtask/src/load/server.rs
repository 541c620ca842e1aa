//! The servers that are measured: started on loopback, ended by their process' number.

use std::{
    fmt,
    fs::{self, File},
    net::UdpSocket,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};

use super::{
    Options, certificates, freeradius, now,
    options::{Transport, Work},
    proxies,
    seen::Seen,
    state::{SECRET, State, program},
};

/// What everybody sends to FreeRADIUS in place of a code: it knows no HOTP.
pub(super) const FIXED_PASSWORD: &str = "123456";
/// What everybody sends before the code, where that is the work.
pub(super) const PASSWORD: &str = "correct horse";

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Debian's FreeRADIUS with users, passwords and keys in memory (`files`, `pap`, `totp`): nothing durable, no log, a
    /// code as often as it comes.
    FreeRadius,
    /// The same, which changes a row of the user's on disk (`sql` with SQLite) before it accepts: what one code, one acceptance costs there.
    FreeRadiusOnDisk,
    /// `radius-accept`: nothing but RADIUS.
    AcceptAll,
    /// `otp-radiusd` with its defaults: every HOTP code spent on disk before its Accept, a line of log per decision.
    OtpRadiusd,
    /// radsecproxy, which lets `radius-accept` decide.
    RadsecProxy,
    /// FreeRADIUS, likewise.
    FreeRadiusProxy,
    /// `otp-radiusd`, likewise.
    OtpRadiusdProxy,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FreeRadius => "FreeRADIUS in memory",
            Self::FreeRadiusOnDisk => "FreeRADIUS, a row on disk for each Accept",
            Self::AcceptAll => "accepts everything",
            Self::OtpRadiusd => "otp-radiusd, durable HOTP",
            Self::RadsecProxy => "radsecproxy",
            Self::FreeRadiusProxy => "FreeRADIUS as a proxy",
            Self::OtpRadiusdProxy => "otp-radiusd as a proxy",
        })
    }
}

/// One that runs, until it is dropped.
pub(super) struct Server {
    pub(super) kind: Kind,
    /// From starting the program to its first answer.
    pub(super) seconds_to_first_answer: f64,
    process: Child,
    target: String,
    transport: Transport,
    work: Work,
    users: u32,
    counters: PathBuf,
    certificates: PathBuf,
}

impl Server {
    /// Starts a server on the transport of `options` and waits for its first answer.
    pub(super) fn start(kind: Kind, options: &Options, state: &State) -> anyhow::Result<Self> {
        let (directory, transport) = (&state.directory, options.transport);
        let certificates = directory.join("certificates");
        if transport == Transport::Tls {
            certificates::make(&certificates)?;
        }
        let target = match transport {
            Transport::Unix => format!("unix:{}", directory.join(format!("{kind:?}.socket")).display()),
            _ => format!("{}://127.0.0.1:{}", transport.name(), free_port()?),
        };
        let command = match kind {
            Kind::FreeRadius | Kind::FreeRadiusOnDisk => {
                let raddb = directory.join(format!("{kind:?}-{}", transport.name()));
                freeradius::configure(kind, &raddb, &target, options, state, &certificates)?;
                freeradius::command(&raddb)
            }
            Kind::OtpRadiusd => {
                let text = match transport {
                    Transport::Tls => certificates::section(&certificates),
                    _ => String::new(),
                };
                otp_radiusd(state, &target, transport.name(), &text)?
            }
            Kind::AcceptAll | Kind::RadsecProxy | Kind::FreeRadiusProxy | Kind::OtpRadiusdProxy => {
                let mut command = Command::new(program("radius-accept"));
                command.args([&target, "--secret", SECRET]);
                command
            }
        };
        Self::started(command, kind, target, options, state)
    }

    /// Starts a proxy on UDP that lets `home` decide, and waits for its first answer.
    pub(super) fn proxy(kind: Kind, home: &Self, options: &Options, state: &State) -> anyhow::Result<Self> {
        let (port, home) = (free_port()?, home.port()?);
        let target = format!("udp://127.0.0.1:{port}");
        let command = match kind {
            Kind::RadsecProxy => proxies::radsecproxy(&state.directory, port, home)?,
            Kind::FreeRadiusProxy => proxies::freeradius(&state.directory, port, home)?,
            _ => otp_radiusd(
                state,
                &target,
                "proxy",
                &proxies::upstream(&state.directory, home)?,
            )?,
        };
        Self::started(command, kind, target, options, state)
    }

    fn started(
        mut command: Command,
        kind: Kind,
        target: String,
        options: &Options,
        state: &State,
    ) -> anyhow::Result<Self> {
        let (directory, transport) = (&state.directory, options.transport);
        let log = directory.join(format!("{kind:?}-{}.log", transport.name()));
        let log = File::create(&log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut server = Self {
            kind,
            seconds_to_first_answer: 0.0,
            process: command.spawn().with_context(|| format!("cannot start {kind}"))?,
            target,
            transport,
            work: options.work,
            users: state.users,
            counters: state.counters(),
            certificates: directory.join("certificates"),
        };
        let began = now();
        server.generator(1, 1, &["--until-answered"])?;
        server.seconds_to_first_answer = began.elapsed().as_secs_f64();
        Ok(server)
    }

    /// The port that it listens on.
    fn port(&self) -> anyhow::Result<u16> {
        let (_, port) = self.target.rsplit_once(':').context("no port")?;
        port.parse().with_context(|| format!("no port: {}", self.target))
    }

    /// Puts the load on it, and tells what was seen.
    pub(super) fn load(&self, options: &Options, more: &[&str]) -> anyhow::Result<Seen> {
        let (seconds, pid) = (options.seconds.to_string(), self.process.id().to_string());
        let mut arguments = vec!["--json", "--seconds", &seconds, "--pid", &pid];
        arguments.extend(more);
        let window = options.window.min(self.users);
        let line = self.generator(window, options.lanes, &arguments)?;
        serde_json::from_str(&line).with_context(|| format!("not a report: {line:?}"))
    }

    fn generator(&self, window: u32, lanes: u32, arguments: &[&str]) -> anyhow::Result<String> {
        let numbers = [("--users", self.users), ("--window", window), ("--lanes", lanes)];
        let mut command = Command::new(program("radius-load"));
        command.args([&self.target, "--secret", SECRET]).args(arguments);
        for (name, number) in numbers {
            command.args([name, &number.to_string()]);
        }
        match (self.kind, self.work) {
            (Kind::FreeRadius | Kind::FreeRadiusOnDisk, Work::Otp) => {
                command.args(["--fixed-password", FIXED_PASSWORD]);
            }
            (Kind::FreeRadius | Kind::FreeRadiusOnDisk, Work::PasswordAndOtp) => {
                command.args(["--password", PASSWORD, "--totp"]);
            }
            (Kind::AcceptAll, _) => {}
            (Kind::RadsecProxy | Kind::FreeRadiusProxy | Kind::OtpRadiusdProxy, _) => {
                command.args(["--fixed-password", FIXED_PASSWORD, "--realm", proxies::REALM]);
            }
            (Kind::OtpRadiusd, work) => {
                command.arg("--counters").arg(&self.counters);
                if work == Work::PasswordAndOtp {
                    command.args(["--password", PASSWORD]);
                }
            }
        }
        if self.transport == Transport::Tls {
            command.arg("--certificates").arg(&self.certificates);
        }
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start radius-load")?;
        ensure!(
            output.status.success(),
            "radius-load failed on {}: {}; see its log in {}",
            self.kind,
            output.status,
            self.counters.with_file_name("").display()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The daemon on `target`, with this configuration.
fn otp_radiusd(state: &State, target: &str, name: &str, configuration: &str) -> anyhow::Result<Command> {
    let config = state.directory.join(format!("{name}.toml"));
    fs::write(&config, configuration).with_context(|| config.display().to_string())?;
    let mut command = Command::new(program("otp-radiusd"));
    command.arg("--config").arg(config);
    command.arg("--state-dir").arg(state.path());
    command.args(["--listen", target]);
    // Not the one of a daemon that serves on this machine.
    let admin = state.directory.join(format!("{name}-admin.socket"));
    command.env("OTP_RADIUSD_ADMIN_SOCKET", admin);
    Ok(command)
}

/// A port of loopback that nobody has.
fn free_port() -> anyhow::Result<u16> {
    let socket = UdpSocket::bind("127.0.0.1:0").context("no port is free")?;
    Ok(socket.local_addr()?.port())
}
