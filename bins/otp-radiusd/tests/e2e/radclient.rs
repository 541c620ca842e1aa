//! FreeRADIUS's `radclient` against the daemon on UDP.

use std::{net::SocketAddr, process::Command, thread, time::Duration};

use crate::system::{Daemon, System, hotp, run, totp};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Accept,
    Reject,
    Challenge,
    Silence,
}

/// One Access-Request, one try, two seconds of patience.
pub fn radclient(daemon: &Daemon, secret: &str, attributes: &str) -> (Answer, String) {
    radclient_to(daemon.udp(), secret, attributes, &[])
}

/// The same to another address, with more options.
pub fn radclient_to(
    server: SocketAddr,
    secret: &str,
    attributes: &str,
    options: &[&str],
) -> (Answer, String) {
    let mut command = Command::new("radclient");
    command
        .args(["-x", "-r", "1", "-t", "2"])
        .args(options)
        .args([&server.to_string(), "auth", secret]);
    let output = run(command, attributes);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let answer = if text.contains("Received Access-Accept") {
        Answer::Accept
    } else if text.contains("Received Access-Reject") {
        Answer::Reject
    } else if text.contains("Received Access-Challenge") {
        Answer::Challenge
    } else {
        Answer::Silence
    };
    (answer, text)
}

pub fn pap(user: &str, password: &str) -> String {
    format!("User-Name = \"{user}\", User-Password = \"{password}\", Message-Authenticator = 0x00\n")
}

#[test]
fn pap_accepts_once_and_rejects_the_rest() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &[]);
    system.user_with_token("bob", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();

    let code = totp(SECRET);
    let (answer, text) = radclient(&daemon, &secret, &pap("alice", &code));
    assert_eq!(answer, Answer::Accept, "{text}");
    assert!(
        text.contains("Message-Authenticator"),
        "the reply carries it:\n{text}"
    );
    assert_eq!(
        radclient(&daemon, &secret, &pap("alice", &code)).0,
        Answer::Reject,
        "the same code again"
    );
    daemon.wait_for("replayed-code");
    assert_eq!(
        radclient(&daemon, &secret, &pap("alice", "000000")).0,
        Answer::Reject,
        "a wrong code"
    );
    daemon.wait_for("wrong-code");
    assert_eq!(
        radclient(&daemon, &secret, &pap("nobody", &code)).0,
        Answer::Reject,
        "nobody"
    );
    daemon.wait_for("unknown-user");

    for counter in [0, 1, 5] {
        let code = hotp("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", counter);
        assert_eq!(
            radclient(&daemon, &secret, &pap("bob", &code)).0,
            Answer::Accept,
            "counter {counter}"
        );
        assert_eq!(
            radclient(&daemon, &secret, &pap("bob", &code)).0,
            Answer::Reject,
            "counter {counter} again"
        );
    }
    let skipped = hotp("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", 3);
    assert_eq!(
        radclient(&daemon, &secret, &pap("bob", &skipped)).0,
        Answer::Reject,
        "a counter that was passed over"
    );
    println!("saw {} decisions", daemon.count("decided"));
    assert_eq!(daemon.count("reason=\"accepted\""), 4);
}

#[test]
fn changes_by_otpctl_are_seen_at_once() {
    let system = System::new();
    let daemon = system.start();
    let secret = system.radius_client("vpn", &[]);
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let mut counter = 0;
    let mut attempt = |expected: Answer, what: &str| {
        let (answer, text) = radclient(&daemon, &secret, &pap("alice", &hotp(SECRET, counter)));
        assert_eq!(answer, expected, "{what}: {text}");
        counter += u64::from(answer == Answer::Accept);
    };
    attempt(
        Answer::Accept,
        "client, user and token added while the daemon runs",
    );
    system.otpctl(&["token", "disable", "alice/hotp"], "");
    attempt(Answer::Reject, "token disabled");
    system.otpctl(&["token", "enable", "alice/hotp"], "");
    attempt(Answer::Accept, "token enabled");
    system.otpctl(&["user", "disable", "alice"], "");
    attempt(Answer::Reject, "user disabled");
    system.otpctl(&["user", "enable", "alice"], "");
    attempt(Answer::Accept, "user enabled");
    system.otpctl(&["client", "rm", "vpn"], "");
    attempt(Answer::Silence, "client removed");
    let line = daemon.wait_for("unknown client");
    assert!(
        line.contains("WARN") && line.contains("otpctl client add NAME --address 127.0.0.1"),
        "{line}"
    );
}

#[test]
fn a_wrong_shared_secret_gets_no_answer() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &[]);
    system.radius_client("vpn", &[]);
    let daemon = system.start();
    let (answer, text) = radclient(&daemon, "not-the-secret", &pap("alice", &totp(SECRET)));
    assert_eq!(answer, Answer::Silence, "{text}");
    let line = daemon.wait_for("the shared secrets differ");
    assert!(
        line.contains("client=\"vpn\"") && line.contains("packets=1"),
        "{line}"
    );
    assert_eq!(daemon.count("decided"), 0);
}

#[test]
fn a_request_without_message_authenticator_gets_no_answer_and_the_log_says_how_to_allow_it() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &[]);
    let secret = system.radius_client("old-nas", &[]);
    let daemon = system.start();
    let without = format!("User-Name = \"alice\", User-Password = \"{}\"\n", totp(SECRET));
    assert_eq!(radclient(&daemon, &secret, &without).0, Answer::Silence);
    let line = daemon.wait_for("--dangerous-allow-missing-message-authenticator");
    assert!(line.contains("otpctl client set old-nas"), "{line}");
    assert_eq!(radclient(&daemon, &secret, &without).0, Answer::Silence);
    assert_eq!(daemon.count("decided"), 0);

    // The remedy, word for word.
    system.otpctl(
        &[
            "client",
            "set",
            "old-nas",
            "--dangerous-allow-missing-message-authenticator",
        ],
        "",
    );
    let (answer, text) = radclient(&daemon, &secret, &without);
    assert_eq!(answer, Answer::Accept, "{text}");
    assert!(
        text.contains("Message-Authenticator"),
        "the reply protects the client all the same:\n{text}"
    );

    let (status, log) = daemon.signal("TERM");
    assert!(status.success(), "{status}");
    let counted = log
        .iter()
        .any(|line| line.contains("discarded since start") && line.contains("packets=2"));
    assert!(counted, "{}", log.join("\n"));
}

#[test]
fn an_exemption_ends_by_itself() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let option = "--dangerous-allow-missing-message-authenticator";
    let secret = system.radius_client("old-nas", &[option, "--until", "4s"]);
    let daemon = system.start();
    let without = |counter| {
        format!(
            "User-Name = \"alice\", User-Password = \"{}\"\n",
            hotp(SECRET, counter)
        )
    };
    let (answer, text) = radclient(&daemon, &secret, &without(0));
    assert_eq!(answer, Answer::Accept, "{text}");
    thread::sleep(Duration::from_secs(5));
    assert_eq!(radclient(&daemon, &secret, &without(1)).0, Answer::Silence);
    let (answer, text) = radclient(&daemon, &secret, &pap("alice", &hotp(SECRET, 1)));
    assert_eq!(answer, Answer::Accept, "{text}");
}

#[test]
fn password_and_code_are_both_needed() {
    let system = System::new();
    system.otpctl(&["user", "add", "carol", "--password"], "correct horse\n");
    system.token("carol", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let code = hotp(SECRET, 0);
    for (credential, expected, reason) in [
        (
            format!("correct horse{}", hotp(SECRET, 99)),
            Answer::Reject,
            "wrong-code",
        ),
        (format!("wrong horse{code}"), Answer::Reject, "wrong-password"),
        (code.clone(), Answer::Reject, "wrong-password"),
        ("correct horse".into(), Answer::Reject, "not-a-code"),
    ] {
        assert_eq!(
            radclient(&daemon, &secret, &pap("carol", &credential)).0,
            expected,
            "{reason}"
        );
        daemon.wait_for(reason);
    }
    assert_eq!(
        radclient(&daemon, &secret, &pap("carol", &format!("correct horse{code}"))).0,
        Answer::Accept,
        "a wrong password did not spend the code"
    );
}

#[test]
fn guessing_is_slowed_down() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    // Time is counted in whole seconds: the first lock, of one, may end as the next second begins; the second one, of
    // two, cannot.
    for _ in 0..5 {
        radclient(&daemon, &secret, &pap("alice", "000000"));
    }
    daemon.wait_for("reason=\"locked\"");
    thread::sleep(Duration::from_secs(2));
    let (answer, text) = radclient(&daemon, &secret, &pap("alice", &hotp(SECRET, 0)));
    assert_eq!(answer, Answer::Accept, "a lock ends by itself: {text}");
}
