//! The configuration changes while the daemon works: all of it holds, or nothing has changed, and no packet is lost.
//!
//! `cargo test` reloads a few times under load, `cargo xtask reload` for minutes ([`RELOADS`]).

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use krad::Code;

use crate::{
    campaign::{self, Ledger},
    clients::{UdpClient, User, system_with_users},
    system::{Daemon, System},
    wire::{Connection, Verdict},
};

/// How often the configuration is changed under load.
const RELOADS: &str = "RELOAD_RELOADS";
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(100);
/// Users of each client; none of them asks twice with one code.
const USERS: usize = 100;
const UDP_CLIENTS: usize = 3;
const KDC_CLIENTS: usize = 2;

/// Sends a user's name and code once; whether they were accepted.
type Asker = Box<dyn FnMut(&str, &str) -> bool + Send>;

/// A daemon with a file of configuration that can be changed.
struct Configured<'a> {
    system: &'a System,
    daemon: Daemon,
}

impl<'a> Configured<'a> {
    fn start(system: &'a System, config: &str) -> Self {
        write(system, config);
        let mut command = system.command("otp-radiusd");
        command.arg("--config").arg(file(system));
        Self {
            system,
            daemon: Daemon::spawn(command),
        }
    }

    /// `otpctl reload` with this configuration.
    fn try_reload(&self, config: &str) -> Output {
        write(self.system, config);
        self.system.try_otpctl(&["--json", "reload"], "")
    }

    /// The changes that it tells.
    fn reload(&self, config: &str) -> Vec<String> {
        let output = self.try_reload(config);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        serde_json::from_value(told["changes"].clone()).unwrap()
    }

    /// It is refused with this exit code; what `otpctl` says.
    fn refused(&self, config: &str, code: i32) -> String {
        let output = self.try_reload(config);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{config}: {stderr}");
        assert!(stderr.contains("nothing has changed"), "{stderr}");
        stderr
    }
}

fn file(system: &System) -> PathBuf {
    system.dir().join("otp-radiusd.toml")
}

/// In one step: a reload never sees half of it.
fn write(system: &System, config: &str) {
    let new = system.dir().join("new.toml");
    fs::write(&new, config).unwrap();
    fs::rename(new, file(system)).unwrap();
}

fn socket(system: &System, name: &str) -> PathBuf {
    system.dir().join(name)
}

/// `listen = […]` of UNIX sockets, and a free UDP port of loopback.
fn listen(system: &System, names: &[&str]) -> String {
    let unix = names
        .iter()
        .map(|name| format!("\"unix:{}\", ", socket(system, name).display()));
    format!("listen = [{}\"udp://127.0.0.1:0\"]\n", unix.collect::<String>())
}

#[test]
fn a_wrong_configuration_changes_nothing_and_says_why() {
    let (system, secret) = system_with_users(2);
    let good = listen(&system, &["a"]);
    let configured = Configured::start(&system, &good);
    let mut kdc = Connection::to(&socket(&system, "a"));
    let mut vpn = UdpClient::to(configured.daemon.udp(), &secret);

    let rows: &[(&str, i32, &[&str])] = &[
        (
            "deadline_ms = 5\n",
            4,
            &["otp-radiusd.toml", "line 2", "deadline_ms", "100..=30000"],
        ),
        ("deadlines = 5\n", 4, &["line 2", "deadlines", "--check"]),
        ("[log]\nlevel = \"loud\"\n", 4, &["line 3", "loud", "debug"]),
        ("key_file = \"/srv/key\"\n", 1, &["key_file", "restart"]),
    ];
    for (text, code, parts) in rows {
        let said = configured.refused(&format!("{good}{text}"), *code);
        for part in *parts {
            assert!(said.contains(part), "{text:?}: {part:?} is not in {said}");
        }
    }
    let taken = format!(
        "{},\"udp://192.0.2.1:1812\"]\n",
        good.trim().trim_end_matches(']')
    );
    let said = configured.refused(&taken, 1);
    assert!(
        said.contains("udp://192.0.2.1:1812") && said.contains("ip address"),
        "{said}"
    );
    fs::remove_file(file(&system)).unwrap();
    let output = system.try_otpctl(&["reload"], "");
    assert_eq!(output.status.code(), Some(4), "the file is gone");
    let line = configured.daemon.wait_for_nth("not reloaded", rows.len() + 2);
    assert!(
        line.contains("uid ") && line.contains("otp-radiusd.toml"),
        "{line}"
    );

    let user = User::new(0);
    assert_eq!(kdc.ask(&user.name, &user.code(0)), Verdict::Accept);
    assert_eq!(vpn.ask(&user.name, &user.code(1)), Some(Code::ACCESS_ACCEPT));
    assert_eq!(configured.reload(&good), [""; 0]);
    drop(configured);
    let output = system.try_otpctl(&["reload"], "");
    assert_eq!(output.status.code(), Some(6));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("is the daemon running"), "{stderr}");
}

#[test]
fn listeners_come_and_go_and_the_others_stay() {
    let (system, secret) = system_with_users(1);
    let configured = Configured::start(&system, &listen(&system, &["a", "b"]));
    let (mut first, mut second) = (
        Connection::to(&socket(&system, "a")),
        Connection::to(&socket(&system, "b")),
    );
    let mut vpn = UdpClient::to(configured.daemon.udp(), &secret);
    let user = User::new(0);
    let mut codes = (0..).map(|counter| user.code(counter));
    let mut accepted = |connection: &mut Connection| connection.ask(&user.name, &codes.next().unwrap());
    assert_eq!(accepted(&mut first), Verdict::Accept);
    assert_eq!(accepted(&mut second), Verdict::Accept);

    let told = configured.reload(&format!(
        "{}socket_mode = \"0660\"\n",
        listen(&system, &["a", "c"])
    ));
    let name = |name: &str| socket(&system, name).display().to_string();
    assert_eq!(
        told,
        [
            format!("listen: unix:{} added", name("c")),
            format!("listen: unix:{} removed", name("b")),
            "socket_mode: 0600 is 0660 now".to_owned(),
        ]
    );
    assert_eq!(
        accepted(&mut first),
        Verdict::Accept,
        "the connection is as it was"
    );
    assert_eq!(
        accepted(&mut Connection::to(&socket(&system, "c"))),
        Verdict::Accept
    );
    let mode = fs::metadata(socket(&system, "a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(
        UnixStream::connect(socket(&system, "b")).is_err(),
        "nobody is there"
    );
    assert_eq!(vpn.ask(&user.name, &user.code(4)), Some(Code::ACCESS_ACCEPT));

    // What was removed can be had again.
    assert_eq!(configured.reload(&listen(&system, &["a", "b"])).len(), 3);
    let mut back = Connection::to(&socket(&system, "b"));
    assert_eq!(back.ask(&user.name, &user.code(5)), Verdict::Accept);
    let (status, _) = configured.daemon.signal("TERM");
    assert!(status.success());
}

#[test]
fn level_and_format_of_the_log_change() {
    let (system, _) = system_with_users(1);
    let good = listen(&system, &["a"]);
    let configured = Configured::start(&system, &good);
    let mut kdc = Connection::to(&socket(&system, "a"));
    let user = User::new(0);
    configured.reload(&format!("{good}[log]\nlevel = \"warn\"\n"));
    assert_eq!(kdc.ask(&user.name, &user.code(0)), Verdict::Accept);
    assert_eq!(configured.daemon.count("decided"), 0, "only warnings");
    configured.reload(&format!("{good}[log]\nlevel = \"info\"\nformat = \"json\"\n"));
    assert_eq!(kdc.ask(&user.name, &user.code(1)), Verdict::Accept);
    let line = configured.daemon.wait_for("\"decided\"");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["verdict"], "accept");
    assert_eq!(line["client"], "kdc");
    configured.reload(&good);
    assert_eq!(kdc.ask(&user.name, &user.code(2)), Verdict::Accept);
    configured.daemon.wait_for("INFO decided verdict=\"accept\"");
}

#[test]
fn sighup_reloads_too_and_tells_the_log() {
    let (system, secret) = system_with_users(1);
    let good = listen(&system, &["a"]);
    let configured = Configured::start(&system, &good);
    write(&system, &format!("{good}deadline_ms = 3000\n"));
    configured.daemon.hang_up();
    let line = configured.daemon.wait_for("reloaded");
    assert!(
        line.contains("SIGHUP") && line.contains("deadline_ms: 4000 is 3000 now"),
        "{line}"
    );
    write(&system, &format!("{good}deadline_ms = 3\n"));
    configured.daemon.hang_up();
    let line = configured.daemon.wait_for("not reloaded");
    assert!(line.contains("SIGHUP") && line.contains("--check"), "{line}");
    let user = User::new(0);
    let mut vpn = UdpClient::to(configured.daemon.udp(), &secret);
    assert_eq!(vpn.ask(&user.name, &user.code(0)), Some(Code::ACCESS_ACCEPT));
}

/// Clients that send each packet once, over sockets and connections that stay, while everything else comes and goes.
#[test]
fn reloads_under_load_lose_nothing() {
    let reloads = campaign::scale(RELOADS, 30);
    let seed = campaign::seed();
    let (system, secret) = system_with_users(USERS * (UDP_CLIENTS + KDC_CLIENTS));
    let plain = listen(&system, &["a"]);
    let configured = Configured::start(&system, &plain);
    let (udp, kdc) = (configured.daemon.udp(), socket(&system, "a"));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..UDP_CLIENTS + KDC_CLIENTS)
        .map(|number| {
            let (stop, kdc, secret) = (Arc::clone(&stop), kdc.clone(), secret.clone());
            let mut is_accepted: Asker = if number < UDP_CLIENTS {
                let mut client = UdpClient::to(udp, &secret);
                Box::new(move |user, code| client.ask(user, code) == Some(Code::ACCESS_ACCEPT))
            } else {
                let mut connection = Connection::to(&kdc);
                Box::new(move |user, code| connection.ask(user, code) == Verdict::Accept)
            };
            thread::spawn(move || {
                let users: Vec<_> = (0..USERS).map(|user| User::new(number * USERS + user)).collect();
                let mut accepted = 0_u64;
                for counter in 0_u64.. {
                    for user in &users {
                        if stop.load(Ordering::Relaxed) {
                            return accepted;
                        }
                        assert!(
                            is_accepted(&user.name, &user.code(counter)),
                            "{} {counter}",
                            user.name
                        );
                        accepted += 1;
                    }
                }
                accepted
            })
        })
        .collect();

    let (started, mut refused, mut hung_up) = (Instant::now(), 0, 0);
    for round in 0..reloads {
        thread::sleep(PAUSE);
        match round % 4 {
            0 => {
                let other = format!(
                    "{}deadline_ms = 3500\npassword_cache_s = 60\nsocket_mode = \"0660\"\n[log]\nformat = \"json\"\n",
                    listen(&system, &["a", "b"])
                );
                assert_eq!(configured.reload(&other).len(), 5);
            }
            1 => {
                configured.refused(&format!("{plain}deadline_ms = 1\n"), 4);
                refused += 1;
            }
            2 => assert_eq!(configured.reload(&plain).len(), 5),
            _ => {
                configured.daemon.hang_up();
                hung_up += 1;
                configured.daemon.wait_for_nth("SIGHUP", hung_up);
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let accepted: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    Ledger::new("reload", seed)
        .count("reloads", reloads)
        .count("of these refused", refused)
        .count("requests sent once and accepted", accepted)
        .count("lost", 0)
        .finish(started);
    assert!(accepted > reloads, "{accepted} requests are no load");
}
