use std::num::NonZeroU64;

use otp_core::{Algorithm, Digits, Hotp, Totp, TotpState, base32::Base32Error, hex::HexError};
use otp_validation::NameError;
use proptest::prelude::*;

use super::*;
use crate::{LabelError, SecretError};

const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn read(text: &str) -> Result<Vec<Row>, Vec<LineError>> {
    parse(text.as_bytes(), ShortKeys::Refuse)
}

/// User, label and kind of every row.
fn summary(text: &str) -> Vec<(String, Option<String>, Kind)> {
    let rows = read(text).unwrap();
    rows.into_iter()
        .map(|row| {
            (
                row.user.to_string(),
                row.label.map(|label| label.to_string()),
                row.kind,
            )
        })
        .collect()
}

#[test]
fn every_column_is_read() {
    let text = format!(
        "user,label,type,secret,algorithm,digits,period,counter\n\
         alice,phone,totp,{KEY},SHA256,8,60,\n\
         bob,\"key, ring\",HOTP,hex:3132333435363738393031323334353637383930,sha-512,7,,42\r\n"
    );
    let totp = Totp::default()
        .with_algorithm(Algorithm::Sha256)
        .with_digits(Digits::EIGHT);
    let totp = totp.with_step(NonZeroU64::new(60).unwrap());
    let hotp = Hotp {
        algorithm: Algorithm::Sha512,
        digits: Digits::SEVEN,
    };
    let expected = [
        (
            "alice".to_owned(),
            Some("phone".to_owned()),
            Kind::Totp {
                totp,
                state: TotpState::default(),
            },
        ),
        (
            "bob".to_owned(),
            Some("key, ring".to_owned()),
            Kind::Hotp { hotp, counter: 42 },
        ),
    ];
    assert_eq!(summary(&text), expected);
    assert!(
        read(&text)
            .unwrap()
            .iter()
            .all(|row| row.key.as_bytes() == b"12345678901234567890")
    );
}

#[test]
fn columns_come_in_any_order_and_default() {
    let default = (
        "alice".to_owned(),
        None,
        Kind::Totp {
            totp: Totp::default(),
            state: TotpState::default(),
        },
    );
    let rows = [
        format!("user,secret\nalice,{KEY}"),
        format!("SECRET , User\n {KEY} , alice \n\n"),
        format!("\u{feff}counter,period,digits,algorithm,secret,type,label,user\n,,,,{KEY},,,alice\n"),
        format!("user,secret\r\n\r\n\"alice\",\"{KEY}\"\r\n"),
    ];
    for text in &rows {
        assert_eq!(summary(text), std::slice::from_ref(&default), "{text:?}");
    }
    assert_eq!(summary("user,secret\n"), []);
}

#[test]
fn what_is_wrong_with_the_header_is_said() {
    type Found = (Option<Column>, Problem);
    let rows: &[(&str, &[Found])] = &[
        ("", &[(None, Problem::Empty)]),
        ("\n\n", &[(None, Problem::Empty)]),
        ("alice,GEZDGNBVGY3TQOJQ\n", &[(None, Problem::NoHeader)]),
        ("user;secret\n", &[(None, Problem::Separator { found: ';' })]),
        ("user\tsecret\n", &[(None, Problem::Separator { found: '\t' })]),
        ("user,label\n", &[(Some(Column::Secret), Problem::MissingColumn)]),
        (
            "user,secret,digit,user\n",
            &[
                (None, Problem::UnknownColumn("\"digit\"".into())),
                (Some(Column::User), Problem::RepeatedColumn),
            ],
        ),
    ];
    for (text, expected) in rows {
        let found: Vec<_> = read(text)
            .unwrap_err()
            .into_iter()
            .map(|error| (error.column, error.problem))
            .collect();
        assert_eq!(found, *expected, "{text:?}");
    }
}

/// A file of one line, all columns; what is wrong with it.
fn problems(line: &str) -> Vec<(Option<Column>, Problem)> {
    let text = format!("user,label,type,secret,algorithm,digits,period,counter\n{line}\n");
    let errors = read(&text).expect_err(line);
    assert!(errors.iter().all(|error| error.line == 2));
    errors
        .into_iter()
        .map(|error| (error.column, error.problem))
        .collect()
}

#[test]
fn every_wrong_value_has_its_own_error() {
    let rows: Vec<(String, Column, Problem)> = vec![
        (format!(",,,{KEY},,,,"), Column::User, Problem::Missing),
        (
            format!("a\tb,,,{KEY},,,,"),
            Column::User,
            Problem::User(NameError::Control),
        ),
        (
            format!("alice,a/b,,{KEY},,,,"),
            Column::Label,
            Problem::Label(LabelError::Slash),
        ),
        (
            format!("alice,,motp,{KEY},,,,"),
            Column::Type,
            Problem::Type("\"motp\"".into()),
        ),
        ("alice,,,,,,,".into(), Column::Secret, Problem::Missing),
        (
            "alice,,,GEZDGNBVGY3TQOJ1,,,,".into(),
            Column::Secret,
            Problem::Secret(SecretError::Base32(Base32Error::Character { position: 15 })),
        ),
        (
            "alice,,,hex:123,,,,".into(),
            Column::Secret,
            Problem::Secret(SecretError::Hex(HexError::OddLength)),
        ),
        (
            "alice,,,GEZDGNBVGY3TQOJQ,,,,".into(),
            Column::Secret,
            Problem::Secret(SecretError::Short(10)),
        ),
        (
            format!("alice,,,{KEY},MD5,,,"),
            Column::Algorithm,
            Problem::Algorithm("\"MD5\"".into()),
        ),
        (
            format!("alice,,,{KEY},,4,,"),
            Column::Digits,
            Problem::Digits("\"4\"".into()),
        ),
        (
            format!("alice,,,{KEY},,+6,,"),
            Column::Digits,
            Problem::Digits("\"+6\"".into()),
        ),
        (
            format!("alice,,,{KEY},,262,,"),
            Column::Digits,
            Problem::Digits("\"262\"".into()),
        ),
        (
            format!("alice,,,{KEY},,,0,"),
            Column::Period,
            Problem::Period("\"0\"".into()),
        ),
        (
            format!("alice,,,{KEY},,,86401,"),
            Column::Period,
            Problem::Period("\"86401\"".into()),
        ),
        (
            format!("alice,,,{KEY},,,,7"),
            Column::Counter,
            Problem::Inapplicable("totp"),
        ),
        (
            format!("alice,,hotp,{KEY},,,30,7"),
            Column::Period,
            Problem::Inapplicable("hotp"),
        ),
        (
            format!("alice,,hotp,{KEY},,,,-1"),
            Column::Counter,
            Problem::Counter("\"-1\"".into()),
        ),
        (
            format!("alice,,hotp,{KEY},,,,9223372036854775807"),
            Column::Counter,
            Problem::Counter("\"9223372036854775807\"".into()),
        ),
    ];
    for (line, column, problem) in rows {
        assert_eq!(problems(&line), [(Some(column), problem)], "{line}");
    }
    assert_eq!(
        problems("alice"),
        [(
            None,
            Problem::Fields {
                found: 1,
                expected: 8
            }
        )]
    );
    let not_utf8 = [b"user,label,secret\nalice,\xff,".as_slice(), KEY.as_bytes()].concat();
    let errors = parse(&not_utf8, ShortKeys::Refuse).unwrap_err();
    assert_eq!(errors, [LineError::new(2, Column::Label, Problem::NotUtf8)]);
}

#[test]
fn every_bad_line_is_reported_not_only_the_first() {
    let text = format!(
        "user,label,secret,digits\n\
         alice,phone,{KEY},6\n\
         ,,short1,9\n\
         bob\n\
         \n\
         alice,phone,{KEY},\n"
    );
    let errors = read(&text).unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
    assert_eq!(
        lines,
        [
            (3, Some(Column::User)),
            (3, Some(Column::Secret)),
            (3, Some(Column::Digits)),
            (4, None),
            (6, Some(Column::Label)),
        ]
    );
    assert_eq!(errors[4].problem, Problem::Repeated { first: 2 });
}

#[test]
fn lines_are_counted_as_editors_count() {
    let wrong = |end: &str| format!("{end}user,secret{end}{end}\"a{end}b\",{KEY}{end}{end}{end}x{end}");
    for end in ["\n", "\r\n", "\r"] {
        let errors = read(&wrong(end)).unwrap_err();
        let lines: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
        assert_eq!(lines, [(4, Some(Column::User)), (8, None)], "{end:?}");
    }
    let errors = read("\n\nuser,x\n").unwrap_err();
    assert!(errors.iter().all(|error| error.line == 3), "{errors:?}");
}

#[test]
fn messages_quote_no_secret_and_nothing_long_or_raw() {
    let text = format!(
        "user,secret,algorithm\nalice,TOPSECRET1,{}\n",
        "\u{1b}".repeat(500)
    );
    let messages: String = read(&text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(
        !messages.contains("TOPSECRET") && !messages.contains('\u{1b}'),
        "{messages}"
    );
    assert!(messages.len() < 600, "{messages}");
}

#[test]
fn short_keys_are_taken_on_demand() {
    let text = b"user,secret\nalice,GEZDGNBVGY3TQOJQ\n";
    assert!(parse(text, ShortKeys::Refuse).is_err());
    let rows = parse(text, ShortKeys::DangerousAllow).unwrap();
    assert_eq!(rows[0].key.as_bytes(), b"1234567890");
}

proptest! {
    #[test]
    fn any_octets_give_rows_or_errors(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(errors) = parse(&octets, ShortKeys::DangerousAllow) {
            prop_assert!(!errors.is_empty());
        }
    }

    /// Anything behind a good header: rows and errors are in the order of the file.
    #[test]
    fn errors_come_in_order(lines in prop::collection::vec("[a-z,\"/ 0-9:]{0,40}", 0..20)) {
        let text = format!("user,label,type,secret\n{}", lines.join("\n"));
        match read(&text) {
            Ok(rows) => prop_assert!(rows.windows(2).all(|pair| pair[0].line < pair[1].line)),
            Err(errors) => prop_assert!(errors.windows(2).all(|pair| pair[0].line <= pair[1].line)),
        }
    }

    /// What is written well is read back, whatever the names are.
    #[test]
    fn what_is_written_is_read(
        user in "[^\\p{C}\\s]{1,20}",
        label in "[^\\p{C}\\s/]{1,10}",
        key in prop::collection::vec(any::<u8>(), 16..=128),
        counter in 0..=9_223_372_036_854_775_806_u64,
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let secret = otp_core::base32::encode(&key);
        writer.write_record(["user", "label", "type", "secret", "counter"]).unwrap();
        writer.write_record([&user, &label, "hotp", &secret, &counter.to_string()]).unwrap();
        let rows = parse(&writer.into_inner().unwrap(), ShortKeys::Refuse).unwrap();
        prop_assert_eq!(rows.len(), 1);
        prop_assert_eq!(rows[0].user.as_str(), &user);
        prop_assert_eq!(rows[0].label.as_ref().map(Label::as_str), Some(label.as_str()));
        prop_assert_eq!(rows[0].key.as_bytes(), key);
        prop_assert_eq!(rows[0].kind, Kind::Hotp { hotp: Hotp::default(), counter });
    }
}
