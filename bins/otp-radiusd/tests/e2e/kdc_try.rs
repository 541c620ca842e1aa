//! `otpctl kdc try`, and with it the crate `kdc-otp`, does what a real KDC does.
//!
//! Each row of a table is a principal, its `otp` string and a code. A user logs in at `krb5kdc` with it; then `otpctl kdc try`
//! gets the KDC's files and the same string and code. The same servers must be asked about the same names in the same order,
//! and both must come to the same end, with the same indicators and the same reason.

mod rows;

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use rows::{Row, rows};
use serde_json::Value;

use crate::{
    programs::kerberos_command,
    realm::{Kdc, Realm},
    responder::{Behavior, Received, Responder},
    system::{System, hotp, program, run},
};

/// Everything that the table calls a server, and what it does.
struct Servers {
    running: Vec<(&'static str, Responder)>,
    /// The end of `kdc.conf`.
    otp: String,
}

/// What anybody makes of a row.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Server and User-Name of each packet, in order.
    asked: Vec<(&'static str, String)>,
    granted: bool,
    indicators: Vec<&'static str>,
    /// What the KDC logs, where `otpctl` can know it.
    logged: Option<String>,
}

/// Every indicator that occurs in the table.
const INDICATORS: [&str; 5] = ["one", "two", "three", "own", "other"];

impl Servers {
    fn new(dir: &Path) -> Self {
        fs::write(dir.join("secret"), "testing123\n").unwrap();
        // Nobody listens there any more.
        drop(UnixListener::bind(dir.join("refused")).unwrap());
        let place = dir.display();
        let mut otp = String::from("[otp]\n");
        let mut running = Vec::new();
        for (name, behavior, settings) in [
            ("a", Behavior::Accept, "indicator = one"),
            (
                "b",
                Behavior::Accept,
                "indicator = two\n indicator = three\n indicator = two\n strip_realm = no",
            ),
            ("c", Behavior::Challenge, ""),
            ("n", Behavior::Nonsense, ""),
            ("s", Behavior::Silent, "timeout = 1"),
        ] {
            let socket = dir.join(name);
            // The code that `b` accepts is another one than that of the rest.
            let code = if name == "b" { "222222" } else { "111111" };
            running.push((name, Responder::unix(&socket, &[""], code, behavior)));
            otp.push_str(&format!(
                "{name} = {{\n server = {place}/{name}\n {settings}\n}}\n"
            ));
        }
        for (name, behavior, settings) in [
            ("u", Behavior::Accept, "indicator = one"),
            ("v", Behavior::Reject, ""),
            ("w", Behavior::Silent, "timeout = 1\n retries = 1"),
        ] {
            let (responder, address) = Responder::udp(&["testing123"], "111111", behavior);
            running.push((name, responder));
            otp.push_str(&format!(
                "{name} = {{\n server = {address}\n secret = {place}/secret\n {settings}\n}}\n"
            ));
        }
        for (name, server) in [("absent", "absent"), ("refused", "refused")] {
            otp.push_str(&format!("{name} = {{\n server = {place}/{server}\n}}\n"));
        }
        // No server of this name, and no port that a name could have.
        otp.push_str(&format!(
            "lost = {{\n server = \"\"\n secret = {place}/secret\n}}\n"
        ));
        Self { running, otp }
    }

    /// What all servers have received since the last time, in order.
    fn take(&self) -> Vec<(&'static str, String)> {
        let mut received: Vec<(&'static str, Received)> = Vec::new();
        for (name, server) in &self.running {
            received.extend(server.take_received().into_iter().map(|one| (*name, one)));
        }
        received.sort_by_key(|(_, one)| one.at);
        received.into_iter().map(|(name, one)| (name, one.user)).collect()
    }
}

#[test]
fn otpctl_kdc_try_does_what_the_kdc_does() {
    let started = Instant::now();
    let realm = Realm::new();
    let servers = Servers::new(realm.dir());
    let kdc = realm.kdc_with_tail(&servers.otp).start();
    let rows = rows();
    for principal in rows::PRINCIPALS {
        realm.add_user(principal, "[]");
    }
    let mut failures = Vec::new();
    for row in &rows {
        realm.set_otp(row.principal, &row.user_string);
        let theirs = log_in(&kdc, row, &servers);
        let (mut ours, took) = try_it(&kdc, row, &servers);
        // What the library cannot know is no disagreement.
        ours.logged = ours.logged.or_else(|| theirs.logged.clone());
        println!("{row}: {ours:?} in {took:?}");
        if ours != theirs {
            failures.push(format!(
                "{row}\n  krb5kdc:        {theirs:?}\n  otpctl kdc try: {ours:?}"
            ));
        }
        assert!(took < Duration::from_secs(4), "{row}: {took:?}");
    }
    println!("{} rows in {:?}", rows.len(), started.elapsed());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn log_in(kdc: &Kdc<'_>, row: &Row, servers: &Servers) -> Seen {
    let before = kdc.log().len();
    let login = kdc.login(row.principal, &row.otp);
    let granted = login.succeeded();
    let asserted = |indicator: &&str| granted && row.shows_indicators() && login.has_indicator(indicator);
    let indicators = INDICATORS.into_iter().filter(asserted).collect();
    let log = kdc.log();
    let failure = log[before..]
        .lines()
        .find_map(|line| line.split("verify failure: ").nth(1));
    Seen {
        asked: servers.take(),
        granted,
        indicators,
        logged: failure.map(str::to_owned),
    }
}

fn try_it(kdc: &Kdc<'_>, row: &Row, servers: &Servers) -> (Seen, Duration) {
    let started = Instant::now();
    let input = format!("{}\n{}\n", row.user_string, row.otp);
    let output = otpctl(
        kdc,
        &["--json", "kdc", "try", row.principal, "--from-stdin"],
        &input,
        true,
    );
    let took = started.elapsed();
    let result = json(&output);
    let granted = result["verdict"] == "granted";
    assert_eq!(
        output.status.code(),
        Some(if granted { 0 } else { 1 }),
        "{result}"
    );
    let asserted = |indicator: &&str| {
        let indicators = result["indicators"].as_array().unwrap();
        row.shows_indicators() && indicators.iter().any(|one| one == indicator)
    };
    let asked = servers.take();
    // What it says of its packets is what the servers saw.
    let sent: u64 = result["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["packets"].as_u64().unwrap())
        .sum();
    assert_eq!(usize::try_from(sent).unwrap(), asked.len(), "{result}");
    let seen = Seen {
        asked,
        granted,
        indicators: INDICATORS.into_iter().filter(asserted).collect(),
        logged: result["logged_as"].as_str().map(str::to_owned),
    };
    (seen, took)
}

/// Runs `otpctl` with the environment of the KDC, or with its files as arguments.
fn otpctl(kdc: &Kdc<'_>, args: &[&str], stdin: &str, with_files: bool) -> Output {
    let files = kdc.files();
    let mut command = Command::new(program("otpctl"));
    command.args(args);
    if with_files {
        command.args(&files);
    }
    let [kdc_conf, krb5_conf] = &files;
    for (name, value) in kerberos_command("kadmin.local", krb5_conf, kdc_conf).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    run(command, stdin)
}

fn json(output: &Output) -> Value {
    let (stdout, stderr) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(stdout).unwrap_or_else(|error| panic!("{error}: {output:?} {stderr}"))
}

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// The string comes from the database, through kadmin.local; the answers from the daemon.
#[test]
fn the_daemon_is_tried_with_the_string_of_the_database() {
    let (system, realm) = (System::new(), Realm::new());
    system.user_with_token("harry", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("old-kdc", &["--dangerous-allow-missing-message-authenticator"]);
    let secret_file: PathBuf = realm.dir().join("udp.secret");
    fs::write(&secret_file, &secret).unwrap();
    system.otpctl(&["client", "set", "kdc", "--repeat-grace", "0"], "");
    let daemon = system.start();
    realm.add_user(
        "harry",
        r#"[{"type":"udp"},{"type":"otp","indicators":["strong","hotp"]}]"#,
    );
    realm.add_user("nobody", r#"[{"type":"otp"}]"#);
    realm.kadmin(&["addprinc", "-nokey", "plain"]);
    let kdc = realm
        .kdc(&format!(
            " otp = {{\n server = {}\n indicator = weak\n }}\n udp = {{\n server = {}\n secret = {}\n timeout = 15\n }}",
            system.kdc_socket().display(),
            daemon.udp(),
            secret_file.display()
        ))
        .start();
    let attempt = |principal: &str, code: &str| {
        let output = otpctl(
            &kdc,
            &["--json", "kdc", "try", principal],
            &format!("{code}\n"),
            false,
        );
        (output.status.code(), json(&output))
    };

    let (status, result) = attempt("harry", &hotp(SECRET, 0));
    assert_eq!(status, Some(0), "{result}\n{}", daemon.log().join("\n"));
    assert_eq!(result["verdict"], "granted");
    assert_eq!(result["steps"][0]["answer"], "Access-Accept", "{result}");
    assert_eq!(result["steps"][0]["user_name"], "harry");
    assert_eq!(
        result["indicators"],
        serde_json::json!([]),
        "the type udp has none"
    );

    // The code is spent, whoever asks.
    let login = kdc.login("harry", &hotp(SECRET, 0));
    assert!(!login.succeeded(), "{login}");
    let (status, result) = attempt("harry", &hotp(SECRET, 0));
    assert_eq!(
        (status, &result["verdict"]),
        (Some(1), &"not-accepted".into()),
        "{result}"
    );
    assert_eq!(result["steps"].as_array().unwrap().len(), 2);
    assert_eq!(result["steps"][1]["answer"], "Access-Reject");
    assert_eq!(result["logged_as"], "Generic preauthentication failure");

    // And the KDC itself agrees about the next one.
    assert!(kdc.login("harry", &hotp(SECRET, 1)).succeeded());
    let (status, result) = attempt("nobody", "123456");
    assert_eq!(
        (status, &result["verdict"]),
        (Some(1), &"not-accepted".into()),
        "{result}"
    );
    let (status, result) = attempt("plain", "123456");
    assert_eq!(
        (status, &result["verdict"]),
        (Some(1), &"not-offered".into()),
        "{result}"
    );

    let unknown = otpctl(&kdc, &["kdc", "try", "no-such-principal"], "1\n", false);
    assert_eq!(unknown.status.code(), Some(6), "{unknown:?}");
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        said.contains("Principal does not exist") && said.contains("--user-string"),
        "{said}"
    );

    let shown = otpctl(
        &kdc,
        &["kdc", "try", "harry"],
        &format!("{}\n", hotp(SECRET, 2)),
        false,
    );
    let text = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    assert!(text.contains("token 1 (udp): asked 127.0.0.1:"), "{text}");
    assert!(text.contains("granted: the KDC issues a ticket"), "{text}");
    assert!(!text.contains(&hotp(SECRET, 2)), "{text}");
}
