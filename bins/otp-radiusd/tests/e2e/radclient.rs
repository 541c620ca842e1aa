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

/// Two NAS behind one address, and a third that nobody told apart.
#[test]
fn clients_behind_one_address_are_told_apart_by_nas_identifier() {
    let system = System::new();
    system.user_with_token("bob", SECRET, &["--type", "hotp"]);
    let one = system.radius_client("one", &["--nas-identifier", "branch1"]);
    let two = system.radius_client("two", &["--nas-identifier", "branch2"]);
    let daemon = system.start();
    let mut codes = (0..).map(|counter| hotp(SECRET, counter));
    let mut ask = |secret: &str, identifier: &str| {
        let attributes = format!("{}{identifier}\n", pap("bob", &codes.next().unwrap()).trim_end());
        radclient(&daemon, secret, &attributes).0
    };
    let (branch1, branch2) = (", NAS-Identifier = \"branch1\"", ", NAS-Identifier = \"branch2\"");
    assert_eq!(ask(&one, branch1), Answer::Accept);
    assert!(daemon.wait_for("verdict=\"accept\"").contains("client=\"one\""));
    assert_eq!(ask(&two, branch2), Answer::Accept);
    assert!(
        daemon
            .wait_for_nth("verdict=\"accept\"", 2)
            .contains("client=\"two\"")
    );
    // Who says another's name has to know the other's secret.
    assert_eq!(ask(&one, branch2), Answer::Silence);
    daemon.wait_for("the shared secrets differ");
    assert_eq!(ask(&one, ""), Answer::Silence);
    daemon.wait_for("if this is a client of yours");
    let rest = system.radius_client("rest", &[]);
    assert_eq!(ask(&rest, ""), Answer::Accept);
    assert_eq!(ask(&rest, ", NAS-Identifier = \"branch3\""), Answer::Accept);
    assert_eq!(ask(&one, branch1), Answer::Accept);
}

fn chap(user: &str, code: &str) -> String {
    format!("User-Name = \"{user}\", CHAP-Password = \"{code}\", Message-Authenticator = 0x00\n")
}

#[test]
fn a_code_by_chap_is_accepted_once() {
    const OF_CAROL: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let system = System::new();
    system.user_with_token("bob", SECRET, &["--type", "hotp"]);
    system.otpctl(&["user", "add", "carol", "--password"], "correct horse\n");
    system.token("carol/ring", OF_CAROL, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let ask = |attributes: &str| radclient(&daemon, &secret, attributes).0;
    // radclient answers to the Request Authenticator.
    assert_eq!(ask(&chap("bob", &hotp(SECRET, 2))), Answer::Accept);
    assert_eq!(ask(&chap("bob", &hotp(SECRET, 2))), Answer::Reject);
    daemon.wait_for("replayed-code");
    // By whichever method.
    assert_eq!(ask(&pap("bob", &hotp(SECRET, 2))), Answer::Reject);
    assert_eq!(ask(&pap("bob", &hotp(SECRET, 3))), Answer::Accept);
    assert_eq!(ask(&chap("bob", &hotp(SECRET, 3))), Answer::Reject);
    assert_eq!(ask(&chap("bob", "000000")), Answer::Reject);
    daemon.wait_for("wrong-code");
    let with_challenge = format!(
        "CHAP-Challenge = 0x00112233445566778899, {}",
        chap("bob", &hotp(SECRET, 4))
    );
    assert_eq!(ask(&with_challenge), Answer::Accept);
    // A password is no part of it, and a code that was offered so is not spent.
    assert_eq!(ask(&chap("carol", &hotp(OF_CAROL, 0))), Answer::Reject);
    let refused = daemon.wait_for("chap-with-password");
    assert!(refused.contains("carol"), "{refused}");
    assert_eq!(
        ask(&pap("carol", &format!("correct horse{}", hotp(OF_CAROL, 0)))),
        Answer::Accept
    );
    // At a client whose credentials are codes it is the code that counts.
    system.otpctl(&["client", "set", "vpn", "--grammar", "otp"], "");
    assert_eq!(ask(&chap("carol", &hotp(OF_CAROL, 1))), Answer::Accept);
}

/// Failures by CHAP lock as others do.
#[test]
fn guesses_by_chap_lock() {
    let system = System::new();
    system.user_with_token("bob", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    for guess in 0..40 {
        radclient(&daemon, &secret, &chap("bob", &format!("{guess:06}")));
        if daemon.count("reason=\"locked\"") > 0 {
            break;
        }
    }
    daemon.wait_for("reason=\"locked\"");
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
