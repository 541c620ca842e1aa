//! `otpauth-migration://` URIs: exports of whole apps.

use otp_core::uri::TokenType;
use otp_core::uri::migration::{Batch, EntryError, MAX_URI_LEN, Migration, MigrationError};
use otp_core::{Algorithm, Digits, Hotp, KeyError, OtpauthUri, TokenKey, Totp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::rfc_key;
use crate::uris::tokens;

/// Base64 as RFC 4648 §4 says it, so that tests do not encode with what they test.
fn base64(octets: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in octets.chunks(3) {
        let group = (0..3).fold(0, |group, place| {
            group << 8 | usize::from(*chunk.get(place).unwrap_or(&0))
        });
        for place in 0..=chunk.len() {
            text.push(char::from(SYMBOLS[group >> (18 - 6 * place) & 63]));
        }
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn uri(message: &[u8]) -> String {
    let data = base64(message)
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!("otpauth-migration://offline?data={data}")
}

/// Field `number` with a string of octets of less than 128.
fn octets(number: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(value.len()).unwrap()];
    field.extend(value);
    field
}

/// The fields of an entry, with a key and a name before them.
fn entry(rest: &[u8]) -> Vec<u8> {
    let fields = [
        octets(1, b"12345678901234567890"),
        octets(2, b"alice"),
        rest.to_vec(),
    ];
    octets(1, &fields.concat())
}

/// An export of Google Authenticator that is printed in many places.
#[test]
fn a_published_export_is_read() {
    let text = "otpauth-migration://offline?data=\
                CjEKCkhlbGxvId6tvu8SGEV4YW1wbGU6YWxpY2VAZ29vZ2xlLmNvbRoHRXhhbXBsZTAC";
    let short = KeyError::Length { len: 10, min: 16 };
    assert_eq!(
        Migration::parse(text).unwrap_err(),
        MigrationError::Entry {
            number: 1,
            error: EntryError::Key(short)
        },
    );
    let export = Migration::dangerous_parse_allow_short(text).unwrap();
    assert_eq!(
        export.batch(),
        Batch {
            size: 1,
            index: 0,
            id: 0
        }
    );
    let [token] = export.tokens() else {
        panic!("{export:?}")
    };
    assert_eq!(token.key().as_bytes(), b"Hello!\xde\xad\xbe\xef");
    assert_eq!(
        (token.issuer(), token.account()),
        (Some("Example"), "alice@google.com")
    );
    assert_eq!(token.to_totp(), Some(Totp::default()));
}

#[test]
fn fields_are_read_and_have_the_defaults_of_the_apps() {
    let message = [
        entry(&[]),
        entry(&[0x20, 2, 0x28, 2, 0x30, 1, 0x38, 0x96, 0x01]),
        entry(&[[0x20, 3, 0x28, 1, 0x30, 2].as_slice(), &octets(3, b"Example")].concat()),
        entry(&octets(8, b"a field of the future")),
        // version 1, size 3, index 2, id -2, an unknown fixed field
        vec![0x10, 1, 0x18, 3, 0x20, 2, 0x28, 0xfe],
        vec![0xff; 8],
        vec![0x01, 0x35, 1, 2, 3, 4],
    ]
    .concat();
    let export = Migration::parse(&uri(&message)).unwrap();
    assert_eq!(
        export.batch(),
        Batch {
            size: 3,
            index: 2,
            id: -2
        }
    );
    let eight = Hotp {
        algorithm: Algorithm::Sha256,
        digits: Digits::EIGHT,
    };
    let shown: Vec<_> = export
        .into_tokens()
        .iter()
        .map(|token| {
            assert_eq!(token.key().as_bytes(), rfc_key().as_bytes());
            assert_eq!(token.account(), "alice");
            (
                token.issuer().map(str::to_owned),
                token.to_totp(),
                token.to_hotp(),
            )
        })
        .collect();
    let totp = Totp::default();
    assert_eq!(
        shown,
        [
            (None, Some(totp), None),
            (None, None, Some((eight, 150))),
            (
                Some("Example".into()),
                Some(totp.with_algorithm(Algorithm::Sha512)),
                None
            ),
            (None, Some(totp), None),
        ]
    );
}

#[test]
fn the_spellings_of_the_uri_are_read() {
    // The padding has both lengths, and the base64 both symbols that are percent-encoded.
    for filler in [&b"\xfb\xff\xbf"[..], b"\xfb\xff\xbf\xfb", b"\xfb\xff\xbf\xfb\xff"] {
        let message = [entry(&[]), octets(9, filler)].concat();
        let data = base64(&message);
        for text in [
            uri(&message),
            format!("otpauth-migration://offline?data={data}"),
            format!("otpauth-migration://offline?data={}", data.trim_end_matches('=')),
            format!("OTPAUTH-MIGRATION://Offline/?x=1&data={data}&y"),
        ] {
            assert_eq!(Migration::parse(&text).unwrap().tokens().len(), 1, "{text}");
        }
    }
}

#[test]
fn names_are_split_like_labels() {
    let rows = [
        ("alice", "", None, "alice"),
        ("Example:alice", "", Some("Example"), "alice"),
        ("Example: alice", "Example", Some("Example"), "alice"),
        ("Old:alice", "New", Some("New"), "alice"),
        ("Zoë", "Söhne", Some("Söhne"), "Zoë"),
    ];
    for (name, issuer, expected, account) in rows {
        let fields = [
            octets(1, &[7; 20]),
            octets(2, name.as_bytes()),
            octets(3, issuer.as_bytes()),
        ]
        .concat();
        let export = Migration::parse(&uri(&octets(1, &fields))).unwrap();
        let token = &export.tokens()[0];
        assert_eq!((token.issuer(), token.account()), (expected, account));
    }
}

#[test]
fn entries_that_are_not_understood_are_refused_with_their_number() {
    let key = |fields: &[Vec<u8>]| octets(1, &fields.concat());
    let rows = [
        (entry(&[0x20, 4]), EntryError::Md5),
        (entry(&[0x20, 5]), EntryError::Algorithm(5)),
        (entry(&[0x28, 3]), EntryError::Digits(3)),
        (entry(&[0x30, 3]), EntryError::TokenType(3)),
        (
            entry(&[
                0x30, 1, 0x38, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ]),
            EntryError::Counter,
        ),
        (entry(&[0x20]), EntryError::Message),
        (entry(&[0x22, 0]), EntryError::Message),
        (entry(&[0x08, 0]), EntryError::Message),
        (entry(&octets(1, &[8; 20])), EntryError::Message),
        (entry(&[0x20, 1, 0x20, 1]), EntryError::Message),
        (entry(&octets(3, &[0xff])), EntryError::Message),
        (entry(&octets(3, b"a:b")), EntryError::Issuer),
        (entry(&octets(3, b"a\nb")), EntryError::Issuer),
        (key(&[octets(1, &[7; 20])]), EntryError::Account),
        (
            key(&[octets(1, &[7; 20]), octets(2, b"a\0")]),
            EntryError::Account,
        ),
        (
            key(&[octets(2, b"alice")]),
            EntryError::Key(KeyError::Length { len: 0, min: 16 }),
        ),
    ];
    for (bad, error) in rows {
        let message = [entry(&[]), entry(&[0x20, 2]), bad].concat();
        let refused = Migration::parse(&uri(&message)).unwrap_err();
        assert_eq!(
            refused,
            MigrationError::Entry { number: 3, error },
            "{message:x?}"
        );
    }
    assert_eq!(EntryError::Md5.to_string(), "the algorithm MD5 is not supported");
}

#[test]
fn what_is_no_export_is_refused() {
    let rows = [
        (String::new(), MigrationError::Scheme),
        ("otpauth://totp/alice".into(), MigrationError::Scheme),
        ("otpauth-migration://online?data=".into(), MigrationError::Scheme),
        ("otpauth-migration://offline".into(), MigrationError::Data),
        ("otpauth-migration://offline?date=".into(), MigrationError::Data),
        (
            "otpauth-migration://offline?data=&data=".into(),
            MigrationError::Data,
        ),
        ("otpauth-migration://offline?data=A".into(), MigrationError::Data),
        (
            "otpauth-migration://offline?data=AA=".into(),
            MigrationError::Data,
        ),
        (
            "otpauth-migration://offline?data=A===".into(),
            MigrationError::Data,
        ),
        (
            "otpauth-migration://offline?data=AA==AAAA".into(),
            MigrationError::Data,
        ),
        (
            "otpauth-migration://offline?data=A-_A".into(),
            MigrationError::Data,
        ),
        (
            "otpauth-migration://offline?data=AB==".into(),
            MigrationError::Data,
        ),
        (
            "otpauth-migration://offline?data=AA%3".into(),
            MigrationError::Data,
        ),
        (uri(&[0x0a]), MigrationError::Message),
        (uri(&[0x08, 1]), MigrationError::Message),
        (
            uri(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            MigrationError::Message,
        ),
        (uri(&[0x18, 0]), MigrationError::Batch),
        (uri(&[0x18, 2, 0x20, 2]), MigrationError::Batch),
        ("o".repeat(MAX_URI_LEN + 1), MigrationError::TooLong),
    ];
    for (text, expected) in rows {
        assert_eq!(Migration::parse(&text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn tokens_for_which_the_form_has_no_word_are_refused() {
    let totp = |totp: Totp| OtpauthUri::totp(None, "alice", rfc_key(), &totp).unwrap();
    let rows = [
        (
            totp(Totp::default().with_digits(Digits::SEVEN)),
            EntryError::SevenDigits,
        ),
        (
            totp(Totp::default().with_step(60.try_into().unwrap())),
            EntryError::Period(60),
        ),
        (
            OtpauthUri::hotp(None, "alice", rfc_key(), &Hotp::default(), 1 << 63).unwrap(),
            EntryError::Counter,
        ),
    ];
    for (token, error) in rows {
        let tokens = vec![totp(Totp::default()), token];
        let refused = Migration::new(tokens, Batch::default()).unwrap_err();
        assert_eq!(refused, MigrationError::Entry { number: 2, error });
    }
    for batch in [
        Batch {
            size: 0,
            ..Batch::default()
        },
        Batch {
            size: 2,
            index: 2,
            id: 0,
        },
        Batch {
            size: 1 << 31,
            ..Batch::default()
        },
    ] {
        assert_eq!(Migration::new(vec![], batch).unwrap_err(), MigrationError::Batch);
    }
    let many = vec![totp(Totp::default()); 1000];
    assert_eq!(
        Migration::new(many, Batch::default()).unwrap_err(),
        MigrationError::TooLong
    );
}

/// A token that an export can tell.
fn exportable() -> impl Strategy<Value = OtpauthUri> {
    tokens().prop_map(|token| {
        let digits = if token.digits() == Digits::SEVEN {
            Digits::SIX
        } else {
            token.digits()
        };
        let key = TokenKey::new(token.key().as_bytes()).unwrap();
        let (issuer, account) = (token.issuer(), token.account());
        match token.token_type() {
            TokenType::Hotp { counter } => {
                let hotp = Hotp {
                    algorithm: token.algorithm(),
                    digits,
                };
                OtpauthUri::hotp(issuer, account, key, &hotp, counter >> 1).unwrap()
            }
            _ => {
                let totp = Totp::default()
                    .with_algorithm(token.algorithm())
                    .with_digits(digits);
                OtpauthUri::totp(issuer, account, key, &totp).unwrap()
            }
        }
    })
}

fn batches() -> impl Strategy<Value = Batch> {
    (1..1_u32 << 31, any::<u32>(), any::<i32>()).prop_map(|(size, index, id)| Batch {
        size,
        index: index % size,
        id,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exports_round_trip(tokens in vec(exportable(), 0..6), batch in batches()) {
        let text = Migration::new(tokens.clone(), batch).unwrap().to_uri();
        let read = Migration::parse(&text).unwrap();
        prop_assert_eq!(read.batch(), batch);
        prop_assert_eq!(read.to_uri(), text);
        let uris = |tokens: &[OtpauthUri]| tokens.iter().map(OtpauthUri::to_uri).collect::<Vec<_>>();
        prop_assert_eq!(uris(read.tokens()), uris(&tokens));
    }

    /// Cut anywhere, an export is an error or has the tokens that stand before the cut.
    #[test]
    fn truncated_exports_are_total(tokens in vec(exportable(), 1..3)) {
        let text = Migration::new(tokens.clone(), Batch::default()).unwrap().to_uri();
        for len in 0..text.len() {
            if let Ok(read) = Migration::dangerous_parse_allow_short(&text[..len]) {
                prop_assert!(read.tokens().len() <= tokens.len());
                for (read, token) in read.tokens().iter().zip(&tokens) {
                    prop_assert_eq!(read.to_uri(), token.to_uri());
                }
            }
        }
    }

    #[test]
    fn any_message_parses_or_fails(message in vec(any::<u8>(), 0..200), rest in vec(any::<u8>(), 0..40)) {
        for message in [message, entry(&rest), [entry(&[]), rest.clone()].concat()] {
            if let Ok(read) = Migration::dangerous_parse_allow_short(&uri(&message)) {
                let text = read.to_uri();
                let again = Migration::dangerous_parse_allow_short(&text).unwrap();
                prop_assert_eq!(again.to_uri(), text);
            }
        }
    }
}
