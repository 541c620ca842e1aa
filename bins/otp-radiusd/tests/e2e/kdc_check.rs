//! What `kdc_otp_config` says of an `[otp]` section is what a real KDC does with it.
//!
//! Every row of the table is given to `krb5kdc`, and a user logs in; every row is given to `kdc_otp_config`; and both must
//! come to what the table expects.

mod rows;

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use kdc_otp_config::{Filesystem, FinalRule, Hazard, KdcBuild, Outcome, Report, Rule, Server, check};

use crate::{
    realm::{Kdc, REALM, Realm},
    responder::{Behavior, Received, Responder},
};

/// A configuration, and what comes of it.
struct Row {
    name: String,
    /// The end of `kdc.conf`. `@` stands for the row's directory, `%` for the address of the UDP server.
    kdc_conf: String,
    /// The end of `krb5.conf`.
    krb5_conf: String,
    user: &'static str,
    server: Behavior,
    expected: Seen,
}

/// What a KDC does with a configuration, and with a login.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// It does not start.
    DoesNotStart,
    /// It runs without OTP, and what it logs ends with this.
    WithoutOtp(&'static str),
    /// It asks this server about this user, with this secret, and a success carries these indicators.
    Asks {
        server: &'static str,
        user: String,
        secret: String,
        indicators: Vec<&'static str>,
    },
    /// It sends so often, and waits so long after each, to a server that never answers.
    Sends {
        server: &'static str,
        times: u32,
        every_ms: u32,
    },
    /// It sends copies without waiting, and gives up.
    Floods { server: &'static str },
    /// It sends once, and then neither sends again nor gives up.
    Holds { server: &'static str },
    /// It asks nobody, and the login fails.
    AsksNobody,
    /// Its process ends.
    Dies,
}

/// The code that everyone types.
const OTP: &str = "123456";

/// Secrets that the servers know, as the KDC should read them from the files of `secret_files`.
const SECRETS: [&str; 5] = ["testing123", "inner blank", "\u{e9}", LONG, ""];

const LONG: &str = match std::str::from_utf8(&[b'x'; 1023]) {
    Ok(text) => text,
    Err(_) => "",
};

const INDICATORS: [&str; 3] = ["one", "two", "three"];

/// The servers of a row, by the name that the table calls them.
const SOCKET: &str = "socket";
const RUN_T: &str = "run/t.socket";
const RUN_DEFAULT: &str = "run/DEFAULT.socket";
const UDP: &str = "udp";

#[test]
fn kdc_otp_config_says_what_the_kdc_does() {
    let started = Instant::now();
    let realm = Realm::new();
    realm.add_user("alice", r#"[{"type":"t"}]"#);
    realm.add_user("default", "[{}]");
    let rows = rows::rows();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        // Most rows wait for timers, few for the processor.
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let site = Site::new(&realm, row);
                    let (predicted, seen) = site.examine(row);
                    println!("{}: {seen:?}", row.name);
                    if !agrees(&row.expected, &seen) || !agrees(&row.expected, &predicted) {
                        let expected = &row.expected;
                        failures.lock().unwrap().push(format!(
                            "{}\n  expected:       {expected:?}\n  krb5kdc:        {seen:?}\n  kdc_otp_config: {predicted:?}",
                            row.name
                        ));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{} rows in {:?}", rows.len(), started.elapsed());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The directories and servers of one row.
struct Site<'r> {
    realm: &'r Realm,
    dir: PathBuf,
    servers: Vec<(&'static str, Responder)>,
    udp: String,
}

impl<'r> Site<'r> {
    fn new(realm: &'r Realm, row: &Row) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let dir = realm
            .dir()
            .join(format!("row{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(dir.join("run")).unwrap();
        fs::create_dir_all(dir.join("etc/directory")).unwrap();
        for (name, octets) in rows::secret_files() {
            fs::write(dir.join("etc").join(name), octets).unwrap();
        }
        let (udp, address) = Responder::udp(&SECRETS, OTP, row.server);
        let mut servers = vec![(UDP, udp)];
        for name in [SOCKET, RUN_T, RUN_DEFAULT] {
            servers.push((name, Responder::unix(&dir.join(name), &SECRETS, OTP, row.server)));
        }
        Self {
            realm,
            dir,
            servers,
            udp: address.to_string(),
        }
    }

    /// What `kdc_otp_config` predicts, and what the KDC does.
    fn examine(&self, row: &Row) -> (Seen, Seen) {
        let fill = |text: &str| {
            text.replace('@', self.dir.to_str().unwrap())
                .replace('%', &self.udp)
        };
        let (etc, run) = (self.dir.join("etc"), self.dir.join("run"));
        let builder = self.realm.kdc_with_tail(&fill(&row.kdc_conf));
        let builder = builder
            .krb5_conf_tail(&fill(&row.krb5_conf))
            .directories(&etc, &run);
        let (files, seen) = match builder.try_start() {
            Ok(kdc) => (kdc.files(), self.observe(row, kdc)),
            Err(failure) => (failure.files, Seen::DoesNotStart),
        };
        let build = KdcBuild::new(&etc, &run, FinalRule::Before1_22);
        let report = check(&files, &Filesystem, &build);
        (self.predict(row, &report), seen)
    }

    fn predict(&self, row: &Row, report: &Report) -> Seen {
        match report.outcome() {
            Outcome::DoesNotStart(_) => return Seen::DoesNotStart,
            Outcome::WithoutOtp(error) => return Seen::WithoutOtp(error.logged_as().unwrap_or_default()),
            Outcome::Ready(_) => {}
        }
        let name = if row.user == "default" { "DEFAULT" } else { "t" };
        let Some(held) = report.find(name.as_bytes()) else {
            return Seen::AsksNobody;
        };
        let is_lost = |rule| {
            matches!(
                rule,
                Rule::ServerEmpty | Rule::ServerName | Rule::ServerIpv6 | Rule::SocketPath
            )
        };
        let about_type = |finding: &&kdc_otp_config::Finding| finding.token_type() == Some(name);
        if report
            .findings()
            .iter()
            .filter(about_type)
            .any(|finding| is_lost(finding.rule()))
        {
            return Seen::AsksNobody;
        }
        let server = match held.server() {
            Server::Unix(path) => {
                let path = Path::new(std::str::from_utf8(path).unwrap());
                let path = path.strip_prefix(&self.dir).unwrap().to_str().unwrap();
                self.servers
                    .iter()
                    .map(|(name, _)| *name)
                    .find(|name| *name == path)
            }
            Server::Network(address) => (address == self.udp.as_bytes()).then_some(UDP),
        };
        let server = server.expect("the row names a server of the test");
        match held.schedule() {
            Err(Hazard::NoTries | Hazard::NegativeTimer) => Seen::Dies,
            Err(Hazard::NoTime) => Seen::Floods { server },
            Err(Hazard::NoEnd) => Seen::Holds { server },
            Err(other) => panic!("{other:?}"),
            Ok(schedule) if row.server == Behavior::Silent => Seen::Sends {
                server,
                times: schedule.sends,
                every_ms: schedule.per_try_ms,
            },
            Ok(_) => {
                let realm = if held.strip_realm() {
                    ""
                } else {
                    &format!("@{REALM}")
                };
                let secret = String::from_utf8(held.secret().expose().to_vec()).unwrap();
                let asserted = |indicator: &&str| held.indicators().any(|held| held == indicator.as_bytes());
                let indicators = INDICATORS.into_iter().filter(asserted).collect();
                Seen::Asks {
                    server,
                    user: format!("{}{realm}", row.user),
                    secret,
                    indicators,
                }
            }
        }
    }

    fn observe(&self, row: &Row, mut kdc: Kdc<'_>) -> Seen {
        if let Some(reason) = without_otp(&kdc.log()) {
            // The module is absent, and so is the login.
            assert!(!kdc.login(row.user, OTP).succeeded());
            return Seen::WithoutOtp(reason.leak());
        }
        let patience = match row.expected {
            Seen::Holds { .. } | Seen::Floods { .. } => 2,
            _ => 20,
        };
        let login = kdc.login_within(row.user, OTP, Duration::from_secs(patience));
        let gave_up = login.output().status.is_none();
        let (succeeded, ended) = (login.succeeded(), Instant::now());
        let indicators = INDICATORS
            .into_iter()
            .filter(|indicator| succeeded && login.has_indicator(indicator))
            .collect();
        let received: Vec<(&'static str, Received)> = self
            .servers
            .iter()
            .flat_map(|(name, server)| server.received().into_iter().map(|received| (*name, received)))
            .collect();
        if let Some(status) = kdc.wait_for_end(Duration::from_millis(if succeeded { 0 } else { 50 })) {
            assert!(status.signal().is_some(), "{}: krb5kdc ended: {status}", row.name);
            return Seen::Dies;
        }
        let Some((server, first)) = received.first() else {
            assert!(!succeeded);
            return Seen::AsksNobody;
        };
        assert!(
            received.iter().all(|(name, _)| name == server),
            "{}: several servers were asked",
            row.name
        );
        if succeeded {
            let secret = first.secret.expect("the password came through").to_owned();
            return Seen::Asks {
                server,
                user: first.user.clone(),
                secret,
                indicators,
            };
        }
        let times = u32::try_from(received.len()).unwrap();
        // Without an answer, everything between the first copy and the failure is waiting.
        let waited = u32::try_from((ended - first.at).as_millis()).unwrap();
        // Between copies, though: how long a login takes to end on a busy machine is no waiting.
        let between = received
            .last()
            .map_or(0, |(_, last)| (last.at - first.at).as_millis());
        if times > 1 && between / u128::from(times - 1) < 10 {
            return Seen::Floods { server };
        }
        if times == 1 && gave_up {
            return Seen::Holds { server };
        }
        assert!(
            received.iter().all(|(_, copy)| copy.octets == first.octets),
            "{}: copies differ",
            row.name
        );
        Seen::Sends {
            server,
            times,
            every_ms: waited / times,
        }
    }
}

/// The reason that the KDC logs for running without OTP.
fn without_otp(log: &str) -> Option<String> {
    let line = log
        .lines()
        .find(|line| line.contains("preauth otp failed to initialize: "))?;
    line.split("initialize: ").nth(1).map(str::to_owned)
}

/// Whether two views are one; durations are compared with patience for a busy machine.
fn agrees(expected: &Seen, other: &Seen) -> bool {
    match (expected, other) {
        (Seen::WithoutOtp(expected), Seen::WithoutOtp(other)) => other.ends_with(expected),
        (
            Seen::Sends {
                server,
                times,
                every_ms,
            },
            Seen::Sends {
                server: other_server,
                times: other_times,
                every_ms: other_ms,
            },
        ) => {
            let tolerance = 50 + every_ms / 4;
            (server, times) == (other_server, other_times) && every_ms.abs_diff(*other_ms) <= tolerance
        }
        _ => expected == other,
    }
}
