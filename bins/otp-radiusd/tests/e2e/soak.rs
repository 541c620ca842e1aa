//! The daemon at work for long: everything that clients, administrators and strangers do, all the time; its memory and its
//! descriptors are no more at the end than after the first quarter.
//!
//! `cargo test` looks for a few seconds whether it runs, `cargo xtask soak` for half an hour ([`SECONDS`]).

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use krad::Code;

use crate::{
    campaign::{self, Ledger},
    clients::{UdpClient, User, system_with_users},
    metrics::{self, metrics},
    mutations::Malformed,
    system::{Daemon, System},
    wire::{Connection, Verdict},
};

/// For how many seconds.
const SECONDS: &str = "SOAK_SECONDS";
/// From so many seconds on what is measured says something.
const LONG: u64 = 300;
/// Kilobytes that the highest of the last quarter may be above the highest of the second.
const GROWTH: usize = 4 * 1024;
/// The same for descriptors.
const MORE_DESCRIPTORS: usize = 8;
/// Users of each of those who log in.
const USERS: usize = 200;
/// Between two things that one of them does: as much as a busy NAS, so that the disk is not what ends the test.
const PAUSE: Duration = Duration::from_millis(8);

/// What is done all the time, by one thread each.
struct Work<'a> {
    system: &'a System,
    daemon: &'a Daemon,
    secret: &'a str,
    stop: &'a AtomicBool,
    logins: &'a AtomicU64,
    refusals: &'a AtomicU64,
    others: &'a AtomicU64,
}

impl Work<'_> {
    /// Calls `once` with 0, 1, 2 … until the end.
    fn until_stopped(&self, pause: Duration, mut once: impl FnMut(u64)) {
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            once(number);
            thread::sleep(pause);
        }
    }

    /// Logins over UDP, each third one sent twice.
    fn vpn(&self) {
        let mut vpn = UdpClient::to(self.daemon.udp(), self.secret);
        self.until_stopped(PAUSE, |number| {
            let (user, code) = next(0, number);
            let request = vpn.compose(&user, &code);
            for _ in 0..=u64::from(number % 3 == 0) {
                vpn.send(&request);
                let verdict = vpn.verdict(&request, Duration::from_secs(10));
                assert_eq!(verdict, Some(Code::ACCESS_ACCEPT), "{user}");
            }
            self.logins.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Logins through the KDC's socket, over a connection that is opened anew now and then.
    fn kdc(&self) {
        let mut kdc = Connection::to(&self.system.kdc_socket());
        self.until_stopped(PAUSE, |number| {
            if number % 50 == 49 {
                kdc = Connection::to(&self.system.kdc_socket());
            }
            let (user, code) = next(1, number);
            assert_eq!(kdc.ask(&user, &code), Verdict::Accept, "{user}");
            self.logins.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Names that nobody has, another one each time, and ports likewise.
    fn strangers(&self) {
        self.until_stopped(PAUSE, |number| {
            let mut vpn = UdpClient::to(self.daemon.udp(), self.secret);
            let verdict = vpn.ask(&format!("stranger{number}"), "123456");
            assert_eq!(verdict, Some(Code::ACCESS_REJECT));
            self.refusals.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Packets that are wrong, and packets from addresses that are no client's.
    fn malformed(&self, seed: u64) {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut malformed = Malformed::new(self.secret, "nobody", "123456", seed);
        let singles = malformed.singles();
        self.until_stopped(Duration::from_millis(2), |number| {
            let place = usize::try_from(number).unwrap().wrapping_mul(7919) % singles;
            let (_, packet) = malformed.nth(place);
            socket.send_to(&packet, self.daemon.udp()).unwrap();
            self.others.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Connections that are opened and left, some with half a packet.
    fn connections(&self) {
        let tcp = self.daemon.address("tcp");
        self.until_stopped(PAUSE, |number| {
            use std::io::Write as _;
            let mut tcp = TcpStream::connect(tcp).unwrap();
            let mut unix = UnixStream::connect(self.system.kdc_socket()).unwrap();
            if number % 2 == 0 {
                let _ = tcp.write_all(&[1, 2, 0, 90, 3]);
                let _ = unix.write_all(&[1, 2, 0]);
            }
            self.others.fetch_add(2, Ordering::Relaxed);
        });
    }

    /// What an administrator does: clients and users come and go, the configuration is read again, figures are looked at.
    fn administrator(&self, endpoint: std::net::SocketAddr) {
        self.until_stopped(Duration::from_millis(500), |number| {
            let name = format!("guest{number}");
            self.system.otpctl(&["user", "add", &name], "");
            self.system
                .otpctl(&["client", "add", &name, "--address", "192.0.2.7/32"], "");
            self.system.otpctl(&["client", "rm", &name], "");
            self.system.otpctl(&["user", "rm", &name], "");
            self.system.otpctl(&["reload"], "");
            assert!(metrics(endpoint).contains("otp_radiusd_store_available 1"));
            self.others.fetch_add(6, Ordering::Relaxed);
        });
    }
}

/// The next login of one of those who log in.
fn next(place: usize, number: u64) -> (String, String) {
    let users = u64::try_from(USERS).unwrap();
    let user = User::new(place * USERS + usize::try_from(number % users).unwrap());
    let code = user.code(number / users);
    (user.name, code)
}

/// What a process has.
#[derive(Clone, Copy, Debug)]
struct Size {
    kilobytes: usize,
    descriptors: usize,
}

impl Size {
    fn of(daemon: &Daemon) -> Self {
        Self {
            kilobytes: daemon.resident_kilobytes(),
            descriptors: fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count(),
        }
    }

    /// The highest of some.
    fn highest(of: &[Self]) -> Self {
        Self {
            kilobytes: of.iter().map(|size| size.kilobytes).max().unwrap(),
            descriptors: of.iter().map(|size| size.descriptors).max().unwrap(),
        }
    }
}

#[test]
fn nothing_grows() {
    let (seconds, seed) = (campaign::scale(SECONDS, 4), campaign::seed());
    let started = Instant::now();
    let (system, secret) = system_with_users(2 * USERS);
    let config = system.dir().join("otp-radiusd.toml");
    let text = format!(
        "listen = [\"unix:{}\", \"udp://127.0.0.1:0\", \"tcp://127.0.0.1:0\"]\n[metrics]\nlisten = \"127.0.0.1:0\"\n",
        system.kdc_socket().display()
    );
    fs::write(&config, text).unwrap();
    let mut command = system.command("otp-radiusd");
    command
        .env("OTP_RADIUSD_LOG", "info,otp_radiusd::report=warn")
        .arg("--config")
        .arg(config);
    let daemon = Daemon::spawn(command);
    let endpoint = metrics::endpoint(&daemon);

    let stop = AtomicBool::new(false);
    let (logins, refusals, others) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = Work {
        system: &system,
        daemon: &daemon,
        secret: &secret,
        stop: &stop,
        logins: &logins,
        refusals: &refusals,
        others: &others,
    };
    let mut sizes = Vec::new();
    thread::scope(|scope| {
        let threads = [
            scope.spawn(|| work.vpn()),
            scope.spawn(|| work.kdc()),
            scope.spawn(|| work.strangers()),
            scope.spawn(|| work.malformed(seed)),
            scope.spawn(|| work.connections()),
            scope.spawn(|| work.administrator(endpoint)),
        ];
        let samples = 120;
        for sample in 1..=samples {
            let until =
                started + Duration::from_secs(seconds).mul_f64(f64::from(sample) / f64::from(samples));
            thread::sleep(until.saturating_duration_since(Instant::now()));
            sizes.push(Size::of(&daemon));
            if seconds >= LONG && sample % 10 == 0 {
                println!(
                    "{:?}: {:?}, {} logins",
                    started.elapsed(),
                    Size::of(&daemon),
                    logins.load(Ordering::Relaxed)
                );
            }
            // Who fails ends the test now, not in half an hour.
            if threads.iter().any(thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let [_, second, _, last] = &sizes.chunks(sizes.len().div_ceil(4)).collect::<Vec<_>>()[..] else {
        panic!("{} sizes", sizes.len());
    };
    let (second, last) = (Size::highest(second), Size::highest(last));
    println!("{seconds} s: {second:?} in the second quarter, {last:?} in the last");
    assert_eq!(daemon.count("panic"), 0);
    if seconds >= LONG {
        assert!(last.kilobytes <= second.kilobytes + GROWTH, "memory grows");
    }
    assert!(
        last.descriptors <= second.descriptors + MORE_DESCRIPTORS,
        "descriptors are left open: {second:?}, then {last:?}"
    );
    let (logins, refusals, others) = [logins, refusals, others].map(AtomicU64::into_inner).into();
    assert!(logins > 0 && refusals > 0 && others > 0);
    Ledger::new("soak", seed)
        .count("seconds", seconds)
        .count("logins", logins)
        .count("refusals", refusals)
        .count("others", others)
        .count("KiB in the second quarter", second.kilobytes as u64)
        .count("KiB in the last", last.kilobytes as u64)
        .count("descriptors", last.descriptors as u64)
        .finish(started);
}
