//! What comes of odd user strings and OTPs, row by row.

use kdc_otp::{Failure, Outcome, RequestError};

use crate::network::{Run, accepts, alice, module, run, start};

const TYPES: &str = " t = {\n  server = /t\n  indicator = type\n }\n DEFAULT = {\n  server = /default\n }";

fn outcome(user_string: &str) -> Result<Run, RequestError> {
    run(
        &module(TYPES),
        user_string,
        "1",
        &[accepts("/t", "1"), accepts("/default", "1")],
    )
}

#[test]
fn user_strings_that_work() {
    for (user_string, asked, indicators) in [
        ("[]", ("/default", "alice"), &[][..]),
        ("[{}]", ("/default", "alice"), &[]),
        (r#"[{"type":1}]"#, ("/default", "alice"), &[]),
        (r#"[{"type":null}]"#, ("/default", "alice"), &[]),
        (r#"[{"Type":"t"}]"#, ("/default", "alice"), &[]),
        (r#"[{"type":"t","username":null}]"#, ("/t", "alice"), &["type"]),
        (r#"[{"type":"t","username":7}]"#, ("/t", "alice"), &["type"]),
        (r#"[{"type":"t","indicators":[]}]"#, ("/t", "alice"), &[]),
        (r#"[{"type":"x","type":"t"}]"#, ("/t", "alice"), &["type"]),
        (r#"[{"type":"t","Indicators":null}]"#, ("/t", "alice"), &["type"]),
    ] {
        let run = outcome(user_string).unwrap();
        assert_eq!(run.asked(), [asked], "{user_string}");
        assert_eq!(run.indicators(), indicators, "{user_string}");
    }
}

#[test]
fn user_strings_that_fail_before_anything_is_sent() {
    for user_string in [
        "",
        "  ",
        "{}",
        "null",
        "1",
        "\"t\"",
        "[null]",
        "[1]",
        "[{},null]",
        r#"[{"indicators":null}]"#,
        r#"[{"indicators":"a"}]"#,
        r#"[{"indicators":["a",1]}]"#,
        r#"[{"type":"t"},{"indicators":{}}]"#,
        "[",
        "[{}",
        "[1,",
        r#"[{"type":"t"}"#,
        r#"[{"indicators":["a"}]"#,
        "[{type:t}]",
    ] {
        let error = outcome(user_string).unwrap_err();
        assert!(
            matches!(error, RequestError::UserString(_)),
            "{user_string}: {error:?}"
        );
        assert_eq!(error.logged_as(), "Invalid argument", "{user_string}");
    }
    for (user_string, token) in [(r#"[{"type":"T"}]"#, 0), (r#"[{"type":"t"},{"type":"T"}]"#, 1)] {
        let error = outcome(user_string).unwrap_err();
        let name = b"T".to_vec();
        assert_eq!(error.logged_as(), "Invalid argument");
        assert_eq!(error, RequestError::UnknownType { token, name });
    }
}

#[test]
fn a_principal_without_a_user_string_is_refused() {
    let error = module(TYPES).verify(&alice(), None, b"1", start()).unwrap_err();
    assert_eq!(error, RequestError::NotOffered);
    assert_eq!(error.logged_as(), "Generic preauthentication failure");
}

#[test]
fn an_otp_has_1_to_128_octets() {
    let with = |otp: &str| run(&module(TYPES), "[{}]", otp, &[accepts("/default", "1")]);
    for length in [0, 129, 4096] {
        let error = with(&"1".repeat(length)).unwrap_err();
        assert_eq!(error.logged_as(), "Message too long");
        assert_eq!(error, RequestError::OtpLength(length));
    }
    for length in [1, 2, 127, 128] {
        assert_eq!(
            with(&"1".repeat(length)).unwrap().outcome.is_granted(),
            length == 1
        );
    }
    // Its length comes before the user string.
    let both = run(&module(TYPES), "[", "", &[]).unwrap_err();
    assert_eq!(both, RequestError::OtpLength(0));
    // NULs at the end are gone at the receiver; nothing but NULs is nothing.
    assert!(with("1\0\0").unwrap().outcome.is_granted());
    let nuls = with("\0\0").unwrap();
    let failure = Failure::OtpOfNuls;
    assert_eq!(nuls.outcome, Outcome::Failed { token: 0, failure });
    assert!(nuls.sent.is_empty());
}
