//! What a supervisor is told, read from a datagram socket as systemd reads it.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    clients::{User, system_with_users},
    system::{Daemon, PATIENCE, System},
    wire::{Connection, Verdict, uninterrupted},
};

/// A supervisor's end of `NOTIFY_SOCKET`.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn start(system: &System, watchdog: Duration) -> (Self, Daemon) {
        let path = socket(system);
        let notified = UnixDatagram::bind(&path).unwrap();
        let config = system.dir().join("otp-radiusd.toml");
        fs::write(
            &config,
            format!("listen = [\"unix:{}\"]\n", system.kdc_socket().display()),
        )
        .unwrap();
        let mut command = system.command("otp-radiusd");
        command
            .arg("--config")
            .arg(config)
            .env("NOTIFY_SOCKET", path)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        (Self(notified), Daemon::spawn(command))
    }

    /// The next message that comes within `patience`.
    fn hears_within(&self, patience: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 4096];
        let length = uninterrupted(|| self.0.recv(&mut buffer)).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// The next message with `text`; others are skipped.
    fn hears(&self, text: &str) -> String {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match self.hears_within(PATIENCE) {
                Some(message) if message.contains(text) => return message,
                _ => {}
            }
        }
        panic!("no {text}");
    }
}

fn socket(system: &System) -> PathBuf {
    system.dir().join("notify.socket")
}

#[test]
fn ready_reloading_stopping_are_told() {
    let (system, _) = system_with_users(1);
    let (supervisor, daemon) = Supervisor::start(&system, Duration::from_secs(60));
    let message = supervisor.hears("READY=1");
    assert!(message.contains("STATUS=Serving"), "{message}");
    let mut kdc = Connection::to(&system.kdc_socket());
    let user = User::new(0);
    assert_eq!(
        kdc.ask(&user.name, &user.code(0)),
        Verdict::Accept,
        "ready is ready"
    );

    daemon.hang_up();
    let message = supervisor.hears("RELOADING=1");
    let stamp = message
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let stamp = stamp.expect("notify-reload demands it").parse::<f64>().unwrap() / 1e6;
    assert!((uptime - stamp).abs() < 30.0, "{stamp} is not {uptime}");
    let message = supervisor.hears("READY=1");
    assert!(message.contains("STATUS=Reloaded"), "{message}");

    fs::write(system.dir().join("otp-radiusd.toml"), "listen = 1").unwrap();
    daemon.hang_up();
    supervisor.hears("RELOADING=1");
    let message = supervisor.hears("READY=1");
    assert!(message.contains("STATUS=Not reloaded"), "{message}");

    let (status, _) = daemon.signal("TERM");
    assert!(status.success());
    supervisor.hears("STOPPING=1");
}

#[test]
fn the_watchdog_is_fed_while_the_store_works_and_not_when_it_hangs() {
    let (system, _) = system_with_users(1);
    let period = Duration::from_secs(2);
    let (supervisor, daemon) = Supervisor::start(&system, period);
    let started = Instant::now();
    for _ in 0..8 {
        supervisor.hears("WATCHDOG=1");
    }
    assert!(started.elapsed() < 3 * period, "four times a period at least");

    // Another program writes for long: it will end, and a restart would change nothing.
    let turn = fs::File::options()
        .write(true)
        .open(system.state_dir().join("main.lock"))
        .unwrap();
    turn.lock().unwrap();
    let held = Instant::now();
    supervisor.hears("STATUS=Waiting for another program");
    while held.elapsed() < 2 * period {
        let fed = supervisor.hears_within(period);
        assert!(fed.is_some(), "not fed while somebody else writes");
    }
    drop(turn);
    supervisor.hears("STATUS=Serving");

    // A daemon that does not turn is not fed.
    daemon.pause();
    while supervisor.hears_within(Duration::from_millis(50)).is_some() {}
    assert_eq!(supervisor.hears_within(period), None);
    daemon.resume();
    supervisor.hears("WATCHDOG=1");
}

#[test]
fn a_store_that_refuses_is_told_and_needs_no_restart() {
    let (system, _) = system_with_users(1);
    let period = Duration::from_secs(2);
    let (supervisor, daemon) = Supervisor::start(&system, period);
    let foreign = rusqlite::Connection::open(system.state_dir().join("otp.db")).unwrap();
    foreign.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut kdc = Connection::to(&system.kdc_socket());
    let user = User::new(0);
    assert_eq!(kdc.ask(&user.name, &user.code(0)), Verdict::Reject);
    supervisor.hears("STATUS=The store does not commit");
    let held = Instant::now();
    while held.elapsed() < 2 * period {
        supervisor.hears("WATCHDOG=1");
    }
    foreign.execute_batch("ROLLBACK").unwrap();
    supervisor.hears("STATUS=Serving");
    drop(daemon);
}
