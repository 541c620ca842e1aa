//! The audit trail of the daemon: found by the number in the log, complete when it ends, and without a secret.

use serde_json::Value;

use crate::{
    radclient::{Answer, pap, radclient},
    system::{Daemon, System, hotp},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const PASSWORD: &str = "canary-password";

/// The number of the request in a line of the log.
fn id(line: &str) -> String {
    let (_, rest) = line.split_once(" id=").expect(line);
    rest.chars().take_while(char::is_ascii_digit).collect()
}

fn records(system: &System) -> Vec<Value> {
    let text = system.otpctl(&["audit", "--json", "--limit", "1000"], "");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn with_reason<'a>(records: &'a [Value], reason: &str) -> Vec<&'a Value> {
    records
        .iter()
        .filter(|record| record["reason"] == reason)
        .collect()
}

#[test]
fn a_refused_login_is_explained_by_the_number_in_the_log() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let wrong = "NAS-Identifier = \"gate \\\"7\\\"\", ".to_owned() + &pap("alice@EXAMPLE.COM", "000000");
    assert_eq!(radclient(&daemon, &secret, &wrong).0, Answer::Reject);
    let request = id(&daemon.wait_for("wrong-code"));
    // While the daemon runs.
    let told = system.try_otpctl(&["why", &request], "");
    assert_eq!(told.status.code(), Some(1));
    let told = String::from_utf8(told.stdout).unwrap();
    for part in [
        &format!("Request {request} was rejected: wrong-code."),
        "client  vpn (udp 127.0.0.1:",
        r#"NAS-Identifier "gate \"7\"""#,
        r#""alice@EXAMPLE.COM" leads to the user alice."#,
        "Tokens that could let in: hotp.",
        "NO   Each of them was asked",
        "In a row through this client, so far: 1 wrong code",
        "otpctl token verify alice/LABEL",
    ] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }

    let code = hotp(SECRET, 0);
    assert_eq!(
        radclient(&daemon, &secret, &pap("alice", &code)).0,
        Answer::Accept
    );
    let request = id(&daemon.wait_for("\"accepted\""));
    let told = system.otpctl(&["why", &request], "");
    assert!(told.contains("the expected one, and had not been used"), "{told}");
    system.otpctl(&["audit", "verify"], "");
}

/// What nobody waits for is written when the daemon ends; what somebody waited for, before it was answered.
#[test]
fn the_trail_is_complete_when_the_daemon_ends() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let reject = |daemon: &Daemon, user: &str| {
        assert_eq!(radclient(daemon, &secret, &pap(user, "123456")).0, Answer::Reject);
    };
    let daemon = system.start();
    reject(&daemon, "mallory");
    daemon.signal("TERM");
    assert_eq!(with_reason(&records(&system), "unknown-user").len(), 1);

    let daemon = system.start();
    for counter in 0..3 {
        let accepted = radclient(&daemon, &secret, &pap("alice", &hotp(SECRET, counter)));
        assert_eq!(accepted.0, Answer::Accept);
    }
    reject(&daemon, "alice");
    daemon.kill();
    let records = records(&system);
    assert_eq!(with_reason(&records, "accepted").len(), 3);
    assert_eq!(with_reason(&records, "wrong-code").len(), 1);
    system.otpctl(&["audit", "verify"], "");
}

#[test]
fn no_record_holds_a_secret() {
    let system = System::new();
    system.otpctl(&["user", "add", "alice", "--password"], &format!("{PASSWORD}\n"));
    system.token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let codes: Vec<_> = (0..4).map(|counter| hotp(SECRET, counter)).collect();
    let credentials = [
        (format!("{PASSWORD}{}", codes[0]), "accepted"),
        (format!("{PASSWORD}{}", codes[0]), "replayed-code"),
        (format!("canary-mistake{}", codes[1]), "wrong-password"),
        (format!("{PASSWORD}000000"), "wrong-code"),
        (PASSWORD.to_owned(), "not-a-code"),
    ];
    for (credential, reason) in &credentials {
        radclient(&daemon, &secret, &pap("alice", credential));
        daemon.wait_for(&format!("\"{reason}\""));
    }
    radclient(&daemon, &secret, &pap("nobody", &credentials[0].0));
    daemon.wait_for("unknown-user");
    system.otpctl(&["user", "set", "alice", "--password"], "canary-new-password\n");
    system.otpctl(&["token", "disable", "alice/hotp"], "");
    daemon.signal("TERM");

    let records = records(&system);
    for (_, reason) in &credentials {
        assert_eq!(with_reason(&records, reason).len(), 1, "{reason}");
    }
    let mut canaries = vec!["canary", "argon2", SECRET, "12345678901234567890", &secret];
    canaries.extend(codes.iter().map(String::as_str));
    for record in &records {
        let fields = record.as_object().unwrap().iter();
        // Digests and numbers may hold any six digits.
        let texts = fields.filter(|(name, value)| {
            value.is_string() && !["packet", "twin_of", "chain", "time"].contains(&name.as_str())
        });
        for (name, value) in texts {
            let text = value.as_str().unwrap();
            let found = canaries.iter().find(|canary| text.contains(**canary));
            assert_eq!(found, None, "{name} of {record}");
        }
        assert!(!record.to_string().contains("canary"), "{record}");
    }
}
