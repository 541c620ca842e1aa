//! Properties of the decoder on any text.

use otp_userstring::{DecodeError, Token, UserString};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn octets(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![3 => b' '..=b'~', 1 => 1..=u8::MAX], length)
}

fn token() -> impl Strategy<Value = Token> {
    let indicators = vec(octets(1..=12), 0..4);
    (
        option::of(octets(1..=20)),
        option::of(octets(1..=253)),
        option::of(indicators),
    )
        .prop_map(|(token_type, username, indicators)| {
            let mut token = Token::default();
            if let Some(token_type) = token_type {
                token = token.with_type(token_type).unwrap();
            }
            if let Some(username) = username {
                token = token.with_username(username).unwrap();
            }
            if let Some(indicators) = indicators {
                token = token.with_indicators(indicators).unwrap();
            }
            token
        })
}

fn user_string() -> impl Strategy<Value = UserString> {
    vec(token(), 1..4).prop_map(|tokens| UserString::new(tokens).unwrap())
}

/// Text made of pieces that the grammar knows, so that many of them get far.
pub(crate) fn almost_json() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        " ",
        "\"",
        "\\u00E9",
        "\\u0000",
        "\\",
        "-",
        "0",
        "9223372036854775808",
        "null",
        "true",
        "\"type\"",
        "\"username\"",
        "\"indicators\"",
        "\"a\"",
        "[{",
        "}]",
        "\0",
        "\u{e9}",
    ]);
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn check_decodable(text: &[u8]) -> Result<(), TestCaseError> {
    match UserString::decode(text) {
        Err(DecodeError::Truncated { at }) => prop_assert!(at <= text.len()),
        Err(error) => prop_assert!(!error.to_string().is_empty()),
        Ok(decoded) => {
            prop_assert!(decoded.warnings.iter().all(|warning| warning.at <= text.len()));
            let canonical = decoded.user_string.to_json();
            let again = UserString::decode(canonical.as_bytes()).unwrap();
            prop_assert_eq!(&again.user_string, &decoded.user_string);
            prop_assert_eq!(again.user_string.to_json(), canonical);
        }
    }
    Ok(())
}

/// `octets` as the text that a Latin-1 reader of the canonical form sees.
fn latin1(octets: &[u8]) -> serde_json::Value {
    octets.iter().copied().map(char::from).collect::<String>().into()
}

proptest! {
    #[test]
    fn any_spelling_of_a_token_is_read(choices in vec(any::<u8>(), 0..400)) {
        crate::spelling::check(&choices);
    }

    #[test]
    fn any_octets_are_a_value_or_an_error(text in vec(any::<u8>(), 0..200)) {
        check_decodable(&text)?;
    }

    #[test]
    fn almost_valid_text_is_a_value_or_an_error(text in almost_json()) {
        check_decodable(text.as_bytes())?;
    }

    #[test]
    fn canonical_form_round_trips(user_string in user_string()) {
        let json = user_string.to_json();
        prop_assert!(json.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
        prop_assert_eq!(UserString::decode(json.as_bytes()).unwrap().user_string, user_string);
    }

    #[test]
    fn every_truncation_is_refused(user_string in user_string()) {
        let json = user_string.to_json();
        for length in 1..json.len() {
            let refused = UserString::decode(&json.as_bytes()[..length]);
            prop_assert_eq!(refused, Err(DecodeError::Truncated { at: length }));
        }
        prop_assert_eq!(UserString::decode(b""), Err(DecodeError::Empty));
    }

    /// The canonical form is JSON in the sense of RFC 8259, too.
    #[test]
    fn canonical_form_is_rfc8259_json(user_string in user_string()) {
        let value: serde_json::Value = serde_json::from_str(&user_string.to_json()).unwrap();
        prop_assert_eq!(value.as_array().unwrap().len(), user_string.tokens().len());
        for (value, token) in value.as_array().unwrap().iter().zip(user_string.tokens()) {
            prop_assert_eq!(value.get("type").cloned(), token.token_type().map(latin1));
            prop_assert_eq!(value.get("username").cloned(), token.username().map(latin1));
            let indicators = token.indicators().map(|all| all.iter().map(|one| latin1(one)).collect());
            prop_assert_eq!(value.get("indicators").cloned(), indicators);
        }
    }
}

/// Spelled as an admin may: cut anywhere, they are refused, or only blanks and what follows a NUL were cut.
#[test]
fn truncated_spellings_are_refused() {
    for text in [
        "[]",
        " [ { } ] \r\n",
        "\t[ {\"type\" : \"udp\" , \"username\" : \"custom\" } ]",
        r#"[{"t\u0079pe":"\u0061","x":[[1,{"y":null}],-007,true,false]}]"#,
        r#"[{"type":5,"username":7,"indicators":[]},{"type":"a","type":"b"}]"#,
        "[{}]\0[{}]",
        "[{\"username\":\"\u{e9}\"}]",
    ] {
        let octets = text.as_bytes();
        let whole = UserString::decode(octets).unwrap_or_else(|error| panic!("{text}: {error}"));
        let end = octets
            .iter()
            .position(|octet| *octet == 0)
            .unwrap_or(octets.len());
        let needed = octets[..end].trim_ascii_end().len();
        for length in 0..octets.len() {
            match UserString::decode(&octets[..length]) {
                Ok(read) => {
                    assert!(length >= needed, "{text}: {length} octets");
                    assert_eq!(read.user_string, whole.user_string, "{text}: {length} octets");
                }
                Err(DecodeError::Empty) => assert!(octets[..length].trim_ascii().is_empty()),
                Err(error) => {
                    assert!(length < needed, "{text}: {length} octets: {error}");
                    // Only an escape can end as something else than as a text that goes on.
                    assert!(
                        matches!(error, DecodeError::Truncated { .. } | DecodeError::Escape { .. }),
                        "{text}: {length} octets: {error:?}"
                    );
                }
            }
        }
    }
}
