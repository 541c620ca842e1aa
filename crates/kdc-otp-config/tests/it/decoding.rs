//! Types, defaults, and the first mistake.

use std::io::ErrorKind;

use kdc_otp_config::{InitError, Outcome, TokenType, check};

use crate::{files, kdc, report};

/// `name server secret timeout retries strip_realm indicators`.
fn show(token_type: &TokenType) -> String {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let indicators: Vec<_> = token_type.indicators().map(text).collect();
    format!(
        "{} {} {:?} {} {} {} {}",
        text(token_type.name()),
        token_type.server(),
        text(token_type.secret().expose()),
        token_type.timeout(),
        token_type.retries(),
        token_type.strip_realm(),
        indicators.join("+"),
    )
}

fn types(otp: &str) -> Vec<String> {
    match report(otp).outcome() {
        Outcome::Ready(types) => types.iter().map(show).collect(),
        other => panic!("{otp}: {other:?}"),
    }
}

const SYNTHESIZED: &str = "DEFAULT /run/krb5kdc/DEFAULT.socket \"\" 5 3 false ";

#[test]
fn defaults() {
    assert_eq!(types(""), [SYNTHESIZED]);
    assert_eq!(
        types(" t = {\n }\n"),
        [SYNTHESIZED, "t /run/krb5kdc/t.socket \"\" 5 3 true "]
    );
    // A configured DEFAULT has the ordinary defaults, and takes its place in the order.
    assert_eq!(
        types(" A = {\n }\n DEFAULT = {\n }\n"),
        [
            "A /run/krb5kdc/A.socket \"\" 5 3 true ",
            "DEFAULT /run/krb5kdc/DEFAULT.socket \"\" 5 3 true "
        ]
    );
    assert_eq!(types(" default = {\n }\n").len(), 2);
    // Without any [otp], and without any file.
    let none: [&str; 0] = [];
    let report = check(none, &files(&[]), &kdc());
    assert_eq!(report.types().iter().map(show).collect::<Vec<_>>(), [SYNTHESIZED]);
    assert!(report.types()[0].position().is_none());
}

#[test]
fn every_key() {
    let otp = " t = {\n  server = 127.0.0.1:1812\n  secret = good\n  timeout = +010\n  retries = 0\n  strip_realm = NIL\n  \
               indicator = b\n  indicator = a\n  indicator = b\n  unknown = x\n }\n relation = 1\n";
    assert_eq!(
        types(otp)[1],
        "t 127.0.0.1:1812 \"0123456789abcdef\" 10 0 false b+a+b"
    );
    assert_eq!(
        report(otp).find(b"t").unwrap().position().unwrap().to_string(),
        "kdc.conf:2"
    );
    assert!(report(otp).find(b"T").is_none());
    // The first octet alone makes a path.
    assert_eq!(types(" t = {\n  server = /\n }\n")[1], "t / \"\" 5 3 true ");
    assert_eq!(
        types(" t = {\n  server = \"\"\n  secret = good\n }\n")[1],
        "t  \"0123456789abcdef\" 5 3 true "
    );
    // A socket's secret is read, and absolute names are used as they are.
    let otp = " t = {\n  server = /x\n  secret = /etc/krb5kdc/short\n }\n";
    assert_eq!(types(otp)[1], "t /x \"otptest\" 5 3 true ");
    assert_eq!(
        types(" t = {\n  server = h\n  secret = blank\n }\n")[1],
        "t h \"\" 5 3 true "
    );
}

#[test]
fn several_files() {
    let kdc_conf = "[otp]\n t = {\n  timeout = 1\n  indicator = a\n }\n u = {\n }\n";
    let krb5_conf = "[otp]\n s = {\n }\n t = {\n  timeout = 2\n  retries = 1\n  indicator = b\n }\n";
    let files = files(&[("kdc.conf", kdc_conf), ("krb5.conf", krb5_conf)]);
    let report = check(["kdc.conf", "krb5.conf"], &files, &kdc());
    let t = "t /run/krb5kdc/t.socket \"\" 1 1 true a+b";
    assert_eq!(
        report.types().iter().map(show).collect::<Vec<_>>(),
        [
            SYNTHESIZED,
            t,
            "u /run/krb5kdc/u.socket \"\" 5 3 true ",
            "s /run/krb5kdc/s.socket \"\" 5 3 true ",
            t
        ]
    );
}

#[test]
fn the_first_mistake_disables_otp() {
    type Expected = fn(&InitError) -> bool;
    let value: Expected = |error| matches!(error, InitError::Value(_));
    for (otp, line, logged, expected) in [
        (
            " t = {\n  strip_realm = maybe\n }\n",
            3,
            Some("Invalid boolean value"),
            value,
        ),
        (
            " t = {\n  strip_realm = \"true \"\n }\n",
            3,
            Some("Invalid boolean value"),
            value,
        ),
        (
            " t = {\n  timeout = 0x10\n }\n",
            3,
            Some("Invalid integer value"),
            value,
        ),
        (
            " t = {\n  timeout = \"5 \"\n }\n",
            3,
            Some("Invalid integer value"),
            value,
        ),
        (
            " t = {\n  retries = 1.5\n }\n",
            3,
            Some("Invalid integer value"),
            value,
        ),
        (
            " t = {\n  retries = \"\"\n }\n",
            3,
            Some("Invalid integer value"),
            value,
        ),
        (
            " t = {\n  timeout = 2147483648\n }\n",
            3,
            Some("Invalid integer value"),
            value,
        ),
        (" t = {\n  server = h\n }\n", 2, None, |error| {
            matches!(error, InitError::SecretMissing { .. })
        }),
        (
            " t = {\n  secret = none\n }\n",
            3,
            Some("No such file or directory"),
            |error| {
                matches!(error, InitError::SecretUnreadable { kind: ErrorKind::NotFound, path, .. }
                if path.as_os_str() == "/etc/krb5kdc/none")
            },
        ),
        (
            " t = {\n  secret = empty\n }\n",
            3,
            Some("Input/output error"),
            |error| matches!(error, InitError::SecretEmpty { .. }),
        ),
        (
            " t = {\n  secret = dir\n }\n",
            3,
            Some("Input/output error"),
            |error| matches!(error, InitError::SecretEmpty { .. }),
        ),
        // In the order of the KDC: types by name, then strip_realm, secret, timeout, retries.
        (
            " b = {\n  retries = x\n }\n a = {\n  timeout = x\n }\n",
            6,
            Some("Invalid integer value"),
            value,
        ),
        (
            " t = {\n  retries = x\n  strip_realm = x\n }\n",
            4,
            Some("Invalid boolean value"),
            value,
        ),
        (
            " t = {\n  timeout = x\n  secret = none\n }\n",
            4,
            Some("No such file or directory"),
            |error| matches!(error, InitError::SecretUnreadable { .. }),
        ),
    ] {
        let report = report(otp);
        let Outcome::WithoutOtp(error) = report.outcome() else {
            panic!("{otp}: {report:?}")
        };
        assert!(expected(error), "{otp}: {error:?}");
        assert_eq!(
            (error.position().line(), error.logged_as()),
            (line, logged),
            "{otp}"
        );
        assert!(report.types().is_empty());
    }
}

#[test]
fn a_broken_file_keeps_the_kdc_from_starting() {
    for (otp, line) in [
        // An absent value opens a subsection.
        (" t = {\n  server =\n  secret = x\n }\n", 4),
        (" t = {\n }\n }\n", 4),
        (" t {\n }\n", 2),
    ] {
        let report = report(otp);
        let Outcome::DoesNotStart(error) = report.outcome() else {
            panic!("{otp}: {report:?}")
        };
        assert_eq!(error.position().unwrap().line(), line, "{otp}");
    }
}
