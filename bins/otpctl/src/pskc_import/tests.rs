use otp_core::Hotp;

use super::*;

const NOW: u64 = 1_700_000_000;

fn options() -> Options {
    Options {
        short_keys: ShortKeys::Refuse,
        ignore_signature: false,
        user: None,
        now: NOW,
    }
}

/// A container of one package a line, each a device's serial number and what comes after the key's secret.
fn container(algorithm: &str, packages: &[(&str, &str, &str)]) -> String {
    let packages: String = packages
        .iter()
        .map(|(device, data, rest)| {
            format!(
                "\n<KeyPackage><DeviceInfo>{device}</DeviceInfo><Key Id=\"1\" \
                 Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:{algorithm}\"><AlgorithmParameters>\
                 <ResponseFormat Encoding=\"DECIMAL\" Length=\"6\"/></AlgorithmParameters><Data><Secret>\
                 <PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>{data}</Data>{rest}</Key></KeyPackage>"
            )
        })
        .collect();
    format!(
        "<KeyContainer xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\" Version=\"1.0\">{packages}</KeyContainer>"
    )
}

const ALICE: &str = "<UserId>alice</UserId>";

fn problem(algorithm: &str, data: &str, rest: &str) -> Option<Problem> {
    let file = container(algorithm, &[("", data, &format!("{ALICE}{rest}"))]);
    let errors = parse(file.as_bytes(), None, &options()).err()?;
    match errors.as_slice() {
        [ImportError::Key { at, problem }] => {
            assert_eq!(at.line, 2);
            Some(problem.clone())
        }
        errors => panic!("{errors:?}"),
    }
}

#[test]
fn users_and_labels() {
    let file = container(
        "hotp",
        &[
            (
                "<SerialNo>1</SerialNo>",
                "",
                "<UserId>UID=alice, DC=example</UserId>",
            ),
            ("<SerialNo>1</SerialNo><UserId>dc=x+uid=alice</UserId>", "", ""),
            (
                "<SerialNo>2</SerialNo>",
                "<Counter><PlainValue>7</PlainValue></Counter>",
                "<FriendlyName>my key</FriendlyName><UserId>bob@EXAMPLE.COM</UserId>",
            ),
            (
                "<SerialNo>a/b</SerialNo>",
                "",
                "<FriendlyName></FriendlyName><UserId>carol</UserId>",
            ),
        ],
    );
    let rows = parse(file.as_bytes(), None, &options()).unwrap().rows;
    let names: Vec<_> = rows
        .iter()
        .map(|row| (row.line, row.user.as_str(), row.label.as_ref().map(Label::as_str)))
        .collect();
    assert_eq!(
        names,
        [
            (2, "alice", Some("1")),
            (3, "alice", None),
            (4, "bob@EXAMPLE.COM", Some("my key")),
            (5, "carol", None)
        ]
    );
    let hotp = Hotp::default();
    assert_eq!(rows[2].kind, Kind::Hotp { hotp, counter: 7 });

    let everybodys = Options {
        user: Some(UserName::parse(b"dave").unwrap()),
        ..options()
    };
    let rows = parse(file.as_bytes(), None, &everybodys).unwrap().rows;
    assert!(rows.iter().all(|row| row.user.as_str() == "dave"));
    assert_eq!(rows[1].label, None);
}

#[test]
fn keys_without_a_user_are_reported_one_by_one() {
    let file = container(
        "hotp",
        &[
            ("", "", ""),
            ("", "", ALICE),
            ("", "", "<UserId>CN=x</UserId>"),
            ("", "", "<UserId></UserId>"),
            ("", "", "<UserId>UID=a\\,b</UserId>"),
        ],
    );
    let errors = parse(file.as_bytes(), None, &options()).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        "line 2, column 1, element Key: the key names no user; add <UserId>, or say --user"
    );
    assert_eq!(
        texts[1],
        "line 4, column 1, element Key: the UserId is a distinguished name without UID; write UID=…, or say --user"
    );
    assert!(matches!(
        errors[2],
        ImportError::Key {
            problem: Problem::User(NameError::Empty),
            ..
        }
    ));
    assert!(matches!(
        errors[3],
        ImportError::Key {
            problem: Problem::NoUid,
            ..
        }
    ));
    assert_eq!(errors.len(), 4);
}

#[test]
fn policies_that_cannot_be_kept_are_refused() {
    let policy = |inside: &str| problem("hotp", "", &format!("<Policy>{inside}</Policy>"));
    let date = |text: &str| text.parse::<DateTime>().unwrap();
    assert_eq!(policy(""), None);
    assert_eq!(policy("<KeyUsage>CR</KeyUsage><KeyUsage>OTP</KeyUsage>"), None);
    assert_eq!(policy("<KeyUsage>CR</KeyUsage>"), Some(Problem::KeyUsage));
    assert_eq!(
        policy("<NumberOfTransactions>9</NumberOfTransactions>"),
        Some(Problem::Transactions)
    );
    assert_eq!(policy("<PINPolicy PINUsageMode=\"Local\"/>"), None);
    assert_eq!(
        policy("<PINPolicy PINUsageMode=\"Append\"/>"),
        Some(Problem::PinPolicy)
    );
    assert_eq!(policy("<PINPolicy MinLength=\"4\"/>"), Some(Problem::PinPolicy));
    let (past, future) = ("2020-01-01T00:00:00Z", "2037-12-31T00:00:00Z");
    assert_eq!(
        policy(&format!("<ExpiryDate>{past}</ExpiryDate>")),
        Some(Problem::Expired(date(past)))
    );
    assert_eq!(
        policy(&format!("<StartDate>{future}</StartDate>")),
        Some(Problem::NotYetValid(date(future)))
    );
    assert_eq!(
        policy(&format!(
            "<StartDate>{past}</StartDate><ExpiryDate>{future}</ExpiryDate>"
        )),
        None
    );

    let dated =
        |day: &str| format!("{ALICE}<Policy><ExpiryDate>2037-12-{day}T00:00:00Z</ExpiryDate></Policy>");
    let file = container(
        "hotp",
        &[("", "", &dated("31")), ("", "", &dated("30")), ("", "", ALICE)],
    );
    let tokens = parse(file.as_bytes(), None, &options()).unwrap();
    assert_eq!(tokens.expiring, Some((2, date("2037-12-30T00:00:00Z"))));
}

#[test]
fn states_that_cannot_be_kept_are_refused() {
    let value = |name: &str, value: i64| format!("<{name}><PlainValue>{value}</PlainValue></{name}>");
    assert_eq!(
        problem("hotp", &value("Counter", i64::MAX), ""),
        Some(Problem::Counter)
    );
    assert_eq!(problem("hotp", &value("Counter", i64::MAX - 1), ""), None);
    assert_eq!(problem("totp", &value("TimeInterval", 86_400), ""), None);
    assert_eq!(
        problem("totp", &value("TimeInterval", 86_401), ""),
        Some(Problem::TimeInterval)
    );
    let now = (NOW / 30).cast_signed();
    assert_eq!(problem("totp", &value("Time", now + 2879), ""), None);
    assert_eq!(
        problem("totp", &value("Time", now + 2880), ""),
        Some(Problem::Time)
    );
    assert_eq!(
        problem("totp", &value("Time", NOW.cast_signed()), ""),
        Some(Problem::Time),
        "seconds"
    );
    assert_eq!(problem("totp", &value("TimeDrift", -2880), ""), None);
    assert_eq!(
        problem("totp", &value("TimeDrift", -2881), ""),
        Some(Problem::TimeDrift)
    );
    let file = container(
        "totp",
        &[(
            "",
            &format!("{}{}", value("Time", now), value("TimeDrift", -1)),
            ALICE,
        )],
    );
    let rows = parse(file.as_bytes(), None, &options()).unwrap().rows;
    let state = TotpState {
        next: NOW / 30 + 1,
        drift: -1,
    };
    assert_eq!(
        rows[0].kind,
        Kind::Totp {
            totp: Totp::default(),
            state
        }
    );
}

#[test]
fn xml_is_told_from_csv() {
    assert!(is_xml(b"\xef\xbb\xbf \r\n<?xml"));
    assert!(is_xml(b"<a/>"));
    assert!(!is_xml(b"user,secret"));
    assert!(!is_xml(b""));
}

#[test]
fn pins_and_check_digits_are_refused() {
    let pin = container("pin", &[("", "", ALICE)]).replace("Length=\"6\"", "Length=\"20\"");
    let digit =
        container("hotp", &[("", "", ALICE)]).replace("Length=\"6\"", "Length=\"6\" CheckDigits=\"true\"");
    for (file, expected) in [(pin, Problem::Pin), (digit, Problem::CheckDigit)] {
        let errors = parse(file.as_bytes(), None, &options()).unwrap_err();
        assert!(
            matches!(&errors[..], [ImportError::Key { problem, .. }] if *problem == expected),
            "{errors:?}"
        );
    }
}

#[test]
fn the_weaker_choices_have_to_be_asked_for() {
    let short =
        container("hotp", &[("", "", ALICE)]).replace("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "MTIzNDU2Nzg5MA==");
    let signed =
        container("hotp", &[("", "", ALICE)]).replace("</KeyContainer>", "<Signature/></KeyContainer>");
    let lenient = Options {
        short_keys: ShortKeys::DangerousAllow,
        ignore_signature: true,
        ..options()
    };
    for file in [short, signed] {
        let errors = parse(file.as_bytes(), None, &options()).unwrap_err();
        assert!(matches!(errors[..], [ImportError::Container(_)]), "{errors:?}");
        assert_eq!(parse(file.as_bytes(), None, &lenient).unwrap().rows.len(), 1);
    }
}
