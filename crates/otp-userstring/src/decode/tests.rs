//! Every outcome that a stored value can have.

use super::*;
use crate::Effect;
use WarningKind::*;

/// Warnings as offset and kind.
type Warnings = Vec<(usize, WarningKind)>;

/// Canonical form and warnings.
fn read(text: &[u8]) -> Result<(String, Warnings), DecodeError> {
    let Decoded {
        user_string,
        warnings,
    } = UserString::decode(text)?;
    let warnings = warnings
        .into_iter()
        .map(|warning| (warning.at, warning.kind))
        .collect();
    Ok((user_string.to_json(), warnings))
}

/// What a KDC accepts, in canonical form, and what it makes of it.
#[test]
fn accepted_values_are_read_as_the_kdc_reads_them() {
    let key = |key: &str| key.as_bytes().to_vec();
    let rows: [(&[u8], &str, Warnings); 30] = [
        (b"[]", "[{}]", vec![(0, NoTokens)]),
        (b"[{}]", "[{}]", vec![]),
        (b" [ { } ] \n", "[{}]", vec![]),
        // The configurations of MIT krb5's own end-to-end test of OTP.
        (
            br#"[{"type":"udp","username":"custom"}]"#,
            r#"[{"type":"udp","username":"custom"}]"#,
            vec![],
        ),
        (br#"[{"type":"udp"}]"#, r#"[{"type":"udp"}]"#, vec![]),
        (
            br#"[{"type":"udp","indicators":["indtok1","indtok2"]}]"#,
            r#"[{"type":"udp","indicators":["indtok1","indtok2"]}]"#,
            vec![],
        ),
        (
            br#"[{"type":"unix","username":"custom"}]"#,
            r#"[{"type":"unix","username":"custom"}]"#,
            vec![],
        ),
        (br#"[{"type":"unix"}]"#, r#"[{"type":"unix"}]"#, vec![]),
        (
            br#"[{"type":"udp"},{"type":"unix"}]"#,
            r#"[{"type":"udp"},{"type":"unix"}]"#,
            vec![],
        ),
        // Types that do not fit.
        (br#"[{"type":5}]"#, "[{}]", vec![(9, TypeNotString)]),
        (br#"[{"type":null}]"#, "[{}]", vec![(9, TypeNotString)]),
        (br#"[{"type":["x"]}]"#, "[{}]", vec![(9, TypeNotString)]),
        (br#"[{"username":7}]"#, "[{}]", vec![(13, UsernameNotString)]),
        (
            br#"[{"username":""}]"#,
            r#"[{"username":""}]"#,
            vec![(13, UsernameEmpty)],
        ),
        (
            br#"[{"indicators":[]}]"#,
            r#"[{"indicators":[]}]"#,
            vec![(15, NoIndicators)],
        ),
        // Keys.
        (
            br#"[{"Type":"x"}]"#,
            "[{}]",
            vec![(2, MisspeltKey(key("Type"), Field::Type))],
        ),
        (
            br#"[{"user_name":"x"}]"#,
            "[{}]",
            vec![(2, MisspeltKey(key("user_name"), Field::Username))],
        ),
        (
            br#"[{"indicator":"x"}]"#,
            "[{}]",
            vec![(2, MisspeltKey(key("indicator"), Field::Indicators))],
        ),
        (br#"[{"x":[[1,{}]]}]"#, "[{}]", vec![(2, UnknownKey(key("x")))]),
        (
            br#"[{"type":"a","type":"b"}]"#,
            r#"[{"type":"b"}]"#,
            vec![(2, DuplicateKey(Field::Type))],
        ),
        (
            br#"[{"type":"a","type":1}]"#,
            "[{}]",
            vec![(2, DuplicateKey(Field::Type)), (20, TypeNotString)],
        ),
        (
            br#"[{"indicators":1,"indicators":["a"]}]"#,
            r#"[{"indicators":["a"]}]"#,
            vec![(2, DuplicateKey(Field::Indicators))],
        ),
        (
            br#"[{"username":"u","type":"t"}]"#,
            r#"[{"type":"t","username":"u"}]"#,
            vec![],
        ),
        (br#"[{"t\u0079pe":"\u0061"}]"#, r#"[{"type":"a"}]"#, vec![]),
        // Octets and NULs.
        (
            br#"[{"type":"a\u0000b"}]"#,
            r#"[{"type":"a"}]"#,
            vec![(9, CutAtNul)],
        ),
        (
            br#"[{"type\u0000x":"a"}]"#,
            r#"[{"type":"a"}]"#,
            vec![(2, CutAtNul)],
        ),
        (
            br#"[{"username":"\u0000"}]"#,
            r#"[{"username":""}]"#,
            vec![(13, CutAtNul), (13, UsernameEmpty)],
        ),
        (b"[{}]\0x", "[{}]", vec![(4, TextAfterNul)]),
        (
            br#"[{"username":"\u00E9"}]"#,
            r#"[{"username":"\u00E9"}]"#,
            vec![(13, NotUtf8(Field::Username))],
        ),
        (
            "[{\"username\":\"é\"}]".as_bytes(),
            r#"[{"username":"\u00C3\u00A9"}]"#,
            vec![],
        ),
    ];
    for (text, canonical, warnings) in rows {
        assert_eq!(
            read(text),
            Ok((canonical.to_owned(), warnings)),
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn lists_are_checked_for_repetition() {
    let kinds = |text: &str| read(text.as_bytes()).unwrap().1;
    assert_eq!(
        kinds(r#"[{"indicators":["a","b","a",""]}]"#),
        [(24, RepeatedIndicator), (28, EmptyIndicator)]
    );
    assert_eq!(
        kinds(r#"[{},{"type":"a"},{"type":"DEFAULT"}]"#),
        [(17, RepeatedToken(0))]
    );
    assert_eq!(kinds(r#"[{"type":"a"},{"type":"a","username":"u"}]"#), []);
}

/// What makes every request of the principal fail.
#[test]
fn what_a_kdc_cannot_use_is_refused() {
    use DecodeError::*;
    let rows: [(&[u8], DecodeError); 22] = [
        (b"", Empty),
        (b" \t\r\n", Empty),
        (b"\0[{}]", Empty),
        (b"{}", NotAnArray { at: 0 }),
        (b" null", NotAnArray { at: 1 }),
        (b"1", NotAnArray { at: 0 }),
        (b"\"otp\"", NotAnArray { at: 0 }),
        (b"[null]", NotAnObject { token: 0, at: 1 }),
        (b"[{}, 1]", NotAnObject { token: 1, at: 5 }),
        (b"[[]]", NotAnObject { token: 0, at: 1 }),
        (br#"[{"indicators":"a"}]"#, Indicators { token: 0, at: 15 }),
        (br#"[{"indicators":null}]"#, Indicators { token: 0, at: 15 }),
        (br#"[{},{"indicators":["a",1]}]"#, Indicators { token: 1, at: 23 }),
        (b"[", Truncated { at: 1 }),
        (b"[{}", Truncated { at: 3 }),
        (br#"[{"type":"x"}"#, Truncated { at: 13 }),
        (b"[{}]]", Trailing { at: 4 }),
        (b"[{}][{}]", Trailing { at: 4 }),
        (b"[[1,]", Unexpected { at: 4, octet: b']' }),
        (br#"[{"indicators":["a"}]"#, Unexpected { at: 19, octet: b'}' }),
        (b"[{type:x}]", Unexpected { at: 2, octet: b't' }),
        (b"[{},]", Unexpected { at: 4, octet: b']' }),
    ];
    for (text, expected) in rows {
        assert_eq!(UserString::decode(text), Err(expected), "{}", text.escape_ascii());
    }
}

#[test]
fn lengths_are_limited() {
    let username = |length: usize| format!(r#"[{{"username":"{}"}}]"#, "a".repeat(length));
    assert_eq!(read(username(253).as_bytes()), Ok((username(253), vec![])));
    assert_eq!(
        read(username(254).as_bytes()),
        Ok((username(254), vec![(13, UsernameTooLong(254))]))
    );

    let blanks = UserString::MAX_LENGTH - "[{}]".len();
    assert!(UserString::decode(format!("[{{}}]{}", " ".repeat(blanks)).as_bytes()).is_ok());
    assert_eq!(
        UserString::decode(format!("[{{}}]{}", " ".repeat(blanks + 1)).as_bytes()),
        Err(DecodeError::TooLong(65_531))
    );
}

#[test]
fn warnings_tell_the_token_and_what_happens() {
    let decoded = UserString::decode(br#"[{},{"username":"","Use\u0007r":1,"type":true}]"#).unwrap();
    let lines: Vec<String> = decoded.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        lines,
        [
            "token 2, octet 16: `username` is empty; the request fails",
            r#"token 2, octet 19: the KDC ignores the key "Use\u0007r"; `username` may be meant"#,
            "token 2, octet 41: `type` is not a string; the KDC uses the type DEFAULT",
        ]
    );
    let effects: Vec<Effect> = decoded
        .warnings
        .iter()
        .map(|warning| warning.kind.effect())
        .collect();
    assert_eq!(effects, [Effect::RequestFails, Effect::Altered, Effect::Altered]);
    assert!(Effect::AsWritten < Effect::Altered && Effect::Altered < Effect::RequestFails);
}
