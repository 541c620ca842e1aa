//! What becomes of a login, for each form that the attribute can have.

use otp_userstring::{Effect, UserString};

/// What a KDC does with a value, as far as the value decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Every request fails before a server is asked.
    Refused,
    /// Read, and what is asked with it fails.
    Fails,
    /// Read as something else than it says.
    Altered,
    /// Read as it says.
    Read,
}

fn fate(text: &[u8]) -> (Fate, String) {
    let Ok(decoded) = UserString::decode(text) else {
        return (Fate::Refused, String::new());
    };
    let worst = decoded.warnings.iter().map(|warning| warning.kind.effect()).max();
    let fate = match worst {
        None | Some(Effect::AsWritten) => Fate::Read,
        Some(Effect::Altered) => Fate::Altered,
        Some(Effect::RequestFails) => Fate::Fails,
    };
    (fate, decoded.user_string.to_json())
}

/// A value, what becomes of it, and the tokens that the KDC holds then.
const ROWS: [(&str, Fate, &str); 34] = [
    ("", Fate::Refused, ""),
    (" \t\r\n", Fate::Refused, ""),
    ("[]", Fate::Altered, "[{}]"),
    ("[{}]", Fate::Read, "[{}]"),
    ("{}", Fate::Refused, ""),
    ("null", Fate::Refused, ""),
    ("1", Fate::Refused, ""),
    (r#""otp""#, Fate::Refused, ""),
    ("[null]", Fate::Refused, ""),
    ("[1]", Fate::Refused, ""),
    (r#"[{},[{}]]"#, Fate::Refused, ""),
    (r#"[{"type":"vpn"}]"#, Fate::Read, r#"[{"type":"vpn"}]"#),
    (r#"[{"type":5}]"#, Fate::Altered, "[{}]"),
    (r#"[{"type":null}]"#, Fate::Altered, "[{}]"),
    (r#"[{"type":["vpn"]}]"#, Fate::Altered, "[{}]"),
    (r#"[{"username":"u"}]"#, Fate::Read, r#"[{"username":"u"}]"#),
    (r#"[{"username":5}]"#, Fate::Altered, "[{}]"),
    (r#"[{"username":""}]"#, Fate::Fails, r#"[{"username":""}]"#),
    (
        r#"[{"indicators":["a","b"]}]"#,
        Fate::Read,
        r#"[{"indicators":["a","b"]}]"#,
    ),
    (r#"[{"indicators":[]}]"#, Fate::Read, r#"[{"indicators":[]}]"#),
    (r#"[{"indicators":null}]"#, Fate::Refused, ""),
    (r#"[{"indicators":"a"}]"#, Fate::Refused, ""),
    (r#"[{"indicators":["a",1]}]"#, Fate::Refused, ""),
    (r#"[{"indicators":["a",null]}]"#, Fate::Refused, ""),
    (r#"[{"Type":"vpn"}]"#, Fate::Altered, "[{}]"),
    (r#"[{"comment":"x"}]"#, Fate::Altered, "[{}]"),
    (r#"[{"type":"a","type":"b"}]"#, Fate::Altered, r#"[{"type":"b"}]"#),
    // Cut off: no KDC can use these.
    ("[", Fate::Refused, ""),
    ("[{}", Fate::Refused, ""),
    (r#"[{"type":"x"}"#, Fate::Refused, ""),
    ("[1,", Fate::Refused, ""),
    ("[[1,]", Fate::Refused, ""),
    (r#"[{"indicators":["a"}]"#, Fate::Refused, ""),
    // Eaten quotes, as a shell leaves them.
    ("[{type:vpn}]", Fate::Refused, ""),
];

#[test]
fn every_row() {
    for (text, expected, tokens) in ROWS {
        assert_eq!(fate(text.as_bytes()), (expected, tokens.to_owned()), "{text}");
    }
    let named = |length: usize| format!(r#"[{{"username":"{}"}}]"#, "u".repeat(length));
    assert_eq!(fate(named(253).as_bytes()), (Fate::Read, named(253)));
    assert_eq!(fate(named(254).as_bytes()), (Fate::Fails, named(254)));
}

/// One bad token makes all of them useless: the KDC converts all before it asks anybody.
#[test]
fn the_place_of_a_refused_token_does_not_matter() {
    for (text, expected, _) in ROWS
        .iter()
        .filter(|(text, ..)| text.starts_with("[{") && text.ends_with("}]"))
    {
        let inner = &text[1..text.len() - 1];
        for list in [
            format!("[{{}},{inner}]"),
            format!("[{inner},{{\"type\":\"last\"}}]"),
        ] {
            assert_eq!(
                fate(list.as_bytes()).0 == Fate::Refused,
                *expected == Fate::Refused,
                "{list}"
            );
        }
    }
}

/// At most 63 containers within each other, numbers of 64 bits, escapes of one octet in capitals.
#[test]
fn limits_of_the_dialect() {
    let deep = |depth: usize| format!(r#"[{{"x":{}{}}}]"#, "[".repeat(depth), "]".repeat(depth));
    for (text, is_read) in [
        (deep(61), true),
        (deep(62), false),
        (r#"[{"x":9223372036854775807}]"#.to_owned(), true),
        (r#"[{"x":9223372036854775808}]"#.to_owned(), false),
        (r#"[{"x":18446744073709551616}]"#.to_owned(), false),
        (r#"[{"x":-9223372036854775808}]"#.to_owned(), true),
        (r#"[{"x":-9223372036854775809}]"#.to_owned(), false),
        (r#"[{"x":007}]"#.to_owned(), true),
        (r#"[{"x":+7}]"#.to_owned(), false),
        (r#"[{"x":1.0}]"#.to_owned(), false),
        (r#"[{"x":1e3}]"#.to_owned(), false),
        (r#"[{"x":True}]"#.to_owned(), false),
        (r#"[{"x":"\u00FF"}]"#.to_owned(), true),
        (r#"[{"x":"\u00ff"}]"#.to_owned(), false),
        (r#"[{"x":"\u0100"}]"#.to_owned(), false),
        (r#"[{"x":"\a"}]"#.to_owned(), false),
        (r#"[{"x":"\/"}]"#.to_owned(), true),
        ("[{\"x\":\"\u{1}\u{7f}é\"}]".to_owned(), true),
        ("\u{feff}[{}]".to_owned(), false),
        ("[{}] // comment".to_owned(), false),
    ] {
        assert_eq!(fate(text.as_bytes()).0 != Fate::Refused, is_read, "{text}");
    }
}
