//! Order of tokens, outcomes, indicators.

use std::{io::ErrorKind, time::Duration};

use kdc_otp::{Answer, Failure, Outcome, Unreachable};
use krad::Code;

use crate::network::{Behavior, Server, accepts, module, run, server};

const UDP: &str = "127.0.0.1:1812";
const UNIX: &str = "/run/unix.socket";

const TYPES: &str = " udp = {\n  server = 127.0.0.1:1812\n  secret = secret\n  strip_realm = true\n  \
    indicator = indotp1\n  indicator = indotp2\n }\n \
    unix = {\n  server = /run/unix.socket\n  strip_realm = false\n }";

/// A user string, what is typed, what the servers accept; what they see, and the indicators of a ticket.
type Row = (
    &'static str,
    &'static str,
    [&'static str; 2],
    &'static [(&'static str, &'static str)],
    Option<&'static [&'static str]>,
);

/// The table of MIT's own test of OTP preauthentication, with its names.
const TABLE: [Row; 6] = [
    (
        r#"[{"type":"udp","username":"custom"}]"#,
        "reject",
        ["accept", "accept"],
        &[(UDP, "custom")],
        None,
    ),
    (
        r#"[{"type":"udp"}]"#,
        "accept",
        ["accept", "accept"],
        &[(UDP, "alice")],
        Some(&["indotp1", "indotp2"]),
    ),
    (
        r#"[{"type":"udp","indicators":["indtok1","indtok2"]}]"#,
        "accept",
        ["accept", "accept"],
        &[(UDP, "alice")],
        Some(&["indtok1", "indtok2"]),
    ),
    (
        r#"[{"type":"unix","username":"custom"}]"#,
        "reject",
        ["accept", "accept"],
        &[(UNIX, "custom")],
        None,
    ),
    (
        r#"[{"type":"unix"}]"#,
        "accept",
        ["accept", "accept"],
        &[(UNIX, "alice@KRBTEST.COM")],
        Some(&[]),
    ),
    (
        r#"[{"type":"udp"},{"type":"unix"}]"#,
        "accept2",
        ["accept1", "accept2"],
        &[(UDP, "alice"), (UNIX, "alice@KRBTEST.COM")],
        Some(&[]),
    ),
];

#[test]
fn the_table_of_mits_own_test() {
    let module = module(TYPES);
    for (user_string, typed, [udp, unix], asked, indicators) in TABLE {
        let run = run(
            &module,
            user_string,
            typed,
            &[accepts(UDP, udp), accepts(UNIX, unix)],
        )
        .unwrap();
        assert_eq!(run.asked(), asked, "{user_string}");
        match indicators {
            Some(indicators) => assert_eq!(run.indicators(), indicators, "{user_string}"),
            None => assert_eq!(run.outcome, Outcome::NotAccepted, "{user_string}"),
        }
        assert_eq!(run.took, Duration::ZERO, "{user_string}");
    }
}

const TWO: &str = r#"[{"type":"udp"},{"type":"unix"}]"#;

fn with_udp(behavior: Behavior) -> [Server; 2] {
    [server(UDP, behavior), accepts(UNIX, "1")]
}

#[test]
fn any_reply_but_an_acceptance_leads_to_the_next_token() {
    for code in [
        Code::ACCESS_REJECT,
        Code::ACCESS_CHALLENGE,
        Code::ACCESS_REQUEST,
        Code::ACCOUNTING_RESPONSE,
        Code(0),
        Code(99),
    ] {
        let run = run(&module(TYPES), TWO, "1", &with_udp(Behavior::Reply(code))).unwrap();
        assert_eq!(run.steps[0].answer, Answer::NotAccepted(code));
        assert_eq!(run.steps[1].answer, Answer::Accepted);
        let indicators = Vec::new();
        assert_eq!(run.outcome, Outcome::Granted { token: 1, indicators });
    }
    let challenge = Behavior::Reply(Code::ACCESS_CHALLENGE);
    let alone = run(&module(TYPES), r#"[{"type":"udp"}]"#, "1", &with_udp(challenge)).unwrap();
    assert_eq!(alone.outcome, Outcome::NotAccepted);
    assert_eq!(
        alone.outcome.logged_as(),
        Some("Generic preauthentication failure")
    );
}

#[test]
fn any_failure_ends_it_although_the_next_server_would_accept() {
    let not_found = Unreachable::Connect(ErrorKind::NotFound);
    let refused = Unreachable::Connect(ErrorKind::ConnectionRefused);
    let lookup = Unreachable::Lookup("no such name".to_owned());
    for (behavior, failure, logged, took) in [
        (
            Behavior::Silent,
            Failure::TimedOut,
            Some("Connection timed out"),
            5,
        ),
        (
            Behavior::Unreachable(not_found.clone()),
            Failure::Unreachable(not_found),
            Some("No such file or directory"),
            0,
        ),
        (
            Behavior::Unreachable(refused.clone()),
            Failure::Unreachable(refused),
            Some("Connection refused"),
            0,
        ),
        (
            Behavior::Unreachable(lookup.clone()),
            Failure::Unreachable(lookup),
            None,
            0,
        ),
    ] {
        let run = run(&module(TYPES), TWO, "1", &with_udp(behavior)).unwrap();
        assert_eq!(run.steps.len(), 1);
        assert_eq!(run.outcome.logged_as(), logged);
        assert_eq!(run.outcome, Outcome::Failed { token: 0, failure });
        assert_eq!(run.took, Duration::from_secs(took));
    }
}

#[test]
fn names_that_no_request_carries_fail_in_their_turn() {
    for (name, length) in [(String::new(), 0), ("x".repeat(254), 254)] {
        let failing = format!(r#"{{"type":"unix","username":"{name}"}}"#);
        let servers = [accepts(UDP, "1"), accepts(UNIX, "1")];
        let first = run(
            &module(TYPES),
            &format!(r#"[{failing},{{"type":"udp"}}]"#),
            "1",
            &servers,
        )
        .unwrap();
        let failure = Failure::UserNameLength(length);
        assert_eq!(first.outcome, Outcome::Failed { token: 0, failure });
        assert_eq!(first.outcome.logged_as(), Some("Message too long"));
        assert!(first.sent.is_empty());
        // A server that accepts first keeps it from ever coming to that.
        let second = run(
            &module(TYPES),
            &format!(r#"[{{"type":"udp"}},{failing}]"#),
            "1",
            &servers,
        )
        .unwrap();
        assert!(second.outcome.is_granted());
    }
    let longest = format!(r#"[{{"type":"unix","username":"{}"}}]"#, "x".repeat(253));
    assert!(
        run(&module(TYPES), &longest, "1", &[accepts(UNIX, "1")])
            .unwrap()
            .outcome
            .is_granted()
    );
}

#[test]
fn indicators_are_those_of_the_token_or_the_type_each_once() {
    let types = " t = {\n  server = /run/unix.socket\n  indicator = b\n  indicator = a\n  indicator = b\n }";
    for (user_string, expected) in [
        (r#"[{"type":"t"}]"#, &["b", "a"][..]),
        (r#"[{"type":"t","indicators":[]}]"#, &[]),
        (
            r#"[{"type":"t","indicators":["z","y","z","x","y"]}]"#,
            &["z", "y", "x"],
        ),
    ] {
        let run = run(&module(types), user_string, "1", &[accepts(UNIX, "1")]).unwrap();
        assert_eq!(run.indicators(), expected, "{user_string}");
    }
}

#[test]
fn principals_are_named_as_the_type_says() {
    use kdc_otp::Principal;
    let types = " strip = {\n server = /a\n }\n keep = {\n server = /b\n strip_realm = false\n }";
    let admin = Principal::new([&b"a@b"[..], b"ad/min"], b"R");
    let user_string = br#"[{"type":"strip"},{"type":"keep"},{},{"type":"keep","username":"a/b@c"}]"#;
    let asks = module(types).asks(&admin, user_string).unwrap();
    let names: Vec<_> = asks
        .iter()
        .map(|ask| ask.user_name().escape_ascii().to_string().replace(r"\\", r"\"))
        .collect();
    // The type DEFAULT that the KDC makes up keeps the realm.
    assert_eq!(
        names,
        [r"a@b/ad\/min", r"a\@b/ad\/min@R", r"a\@b/ad\/min@R", "a/b@c"]
    );
    let servers: Vec<_> = asks
        .iter()
        .map(|ask| ask.token_type().server().to_string())
        .collect();
    assert_eq!(servers, ["/a", "/b", "/run/krb5kdc/DEFAULT.socket", "/b"]);
}

#[test]
fn of_two_types_of_one_name_the_last_is_found() {
    use kdc_otp::OtpModule;
    use kdc_otp_config::{KdcBuild, MemoryFiles, check};
    let files = MemoryFiles::from([
        ("one", "[otp]\n t = {\n server = /a\n }\n"),
        ("two", "[otp]\n t = {\n server = /b\n }\n"),
    ]);
    let build = KdcBuild::debian();
    let types = |file| check([file], &files, &build).types().to_vec();
    let module = OtpModule::new([types("one"), types("two")].concat(), "kdc", &build).unwrap();
    let asks = module
        .asks(&crate::network::alice(), br#"[{"type":"t"}]"#)
        .unwrap();
    assert_eq!(asks[0].token_type().server().to_string(), "/b");
}
