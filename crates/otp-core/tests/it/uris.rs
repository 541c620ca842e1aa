//! `otpauth://` URIs: what is written, what is read, what is refused.

use otp_core::base32::Base32Error;
use otp_core::uri::TokenType;
use otp_core::{Algorithm, Digits, Hotp, KeyError, OtpauthUri, TokenKey, Totp, UriError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::rfc_key;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn totp_type(period: u64) -> TokenType {
    TokenType::Totp {
        period: period.try_into().unwrap(),
    }
}

#[test]
fn uris_are_written_in_the_strict_common_form() {
    let totp = Totp::default()
        .with_algorithm(Algorithm::Sha512)
        .with_digits(Digits::EIGHT);
    let rows = [
        (
            OtpauthUri::totp(
                Some("Beispiel & Söhne"),
                "host/www.example.com@EXAMPLE.COM",
                rfc_key(),
                &totp,
            ),
            format!(
                "otpauth://totp/Beispiel%20%26%20S%C3%B6hne:host%2Fwww.example.com@EXAMPLE.COM?secret={SECRET}\
                 &issuer=Beispiel%20%26%20S%C3%B6hne&algorithm=SHA512&digits=8&period=30"
            ),
        ),
        (
            OtpauthUri::hotp(None, "alice+vpn", rfc_key(), &Hotp::default(), u64::MAX),
            format!(
                "otpauth://hotp/alice%2Bvpn?secret={SECRET}&algorithm=SHA1&digits=6&counter=18446744073709551615"
            ),
        ),
        (
            OtpauthUri::totp(Some(" "), " alice ", rfc_key(), &Totp::default()),
            format!("otpauth://totp/alice?secret={SECRET}&algorithm=SHA1&digits=6&period=30"),
        ),
    ];
    for (uri, expected) in rows {
        assert_eq!(*uri.unwrap().to_uri(), expected);
    }
}

#[test]
fn names_that_no_label_can_carry_are_refused() {
    let rows = [
        (None, "", UriError::Account),
        (Some("Example"), "  ", UriError::Account),
        (None, "a:b", UriError::Account),
        (Some("Example"), "a\0b", UriError::Account),
        (Some("Ex:ample"), "alice", UriError::Issuer),
        (Some("Ex\nample"), "alice", UriError::Issuer),
    ];
    for (issuer, account, expected) in rows {
        let refused = OtpauthUri::totp(issuer, account, rfc_key(), &Totp::default()).unwrap_err();
        assert_eq!(refused, expected, "{issuer:?} {account:?}");
    }
    let shifted = Totp::default().with_t0(1);
    assert_eq!(
        OtpauthUri::totp(None, "alice", rfc_key(), &shifted).unwrap_err(),
        UriError::T0
    );
}

#[test]
fn the_usual_spellings_are_read() {
    let rows = [
        // Google's own example, with an 80-bit key replaced by one of 160 bits.
        (
            "otpauth://totp/Example:alice@google.com?secret=@&issuer=Example",
            Some("Example"),
            "alice@google.com",
        ),
        (
            "otpauth://totp/Example%3Aalice?secret=@",
            Some("Example"),
            "alice",
        ),
        (
            "otpauth://totp/Example%3a%20alice?secret=@&issuer=Example",
            Some("Example"),
            "alice",
        ),
        (
            "otpauth://totp/Example:%20%20alice?secret=@",
            Some("Example"),
            "alice",
        ),
        (
            "OTPAUTH://TOTP/alice?SECRET=@&Issuer=Example",
            Some("Example"),
            "alice",
        ),
        (
            "otpauth://totp/alice?issuer=Example+Corp&secret=@",
            Some("Example Corp"),
            "alice",
        ),
        (
            "otpauth://totp/alice+vpn@example.com?secret=@",
            None,
            "alice+vpn@example.com",
        ),
        (
            "otpauth://totp/Old:alice?secret=@&issuer=New",
            Some("New"),
            "alice",
        ),
        ("otpauth://totp/alice?secret=@&issuer=", None, "alice"),
        ("otpauth://totp/:alice?secret=@", None, "alice"),
        ("otpauth://totp/Example:a:b?secret=@", Some("Example"), "a:b"),
        ("otpauth://totp/a/b c?secret=@", None, "a/b c"),
        ("otpauth://totp/S%C3%B6hne:Zoë?secret=@", Some("Söhne"), "Zoë"),
        (
            "otpauth://totp/alice?image=https%3A%2F%2Fexample.com&lock=true&&secret=@",
            None,
            "alice",
        ),
    ];
    for (text, issuer, account) in rows {
        for secret in [
            SECRET,
            &SECRET.to_lowercase(),
            "GEZD GNBV GY3T QOJQ-GEZD+GNBV%20GY3TQOJQ",
        ] {
            let text = text.replacen("=@", &format!("={secret}"), 1);
            let uri = OtpauthUri::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((uri.issuer(), uri.account()), (issuer, account), "{text}");
            assert_eq!(uri.key().as_bytes(), rfc_key().as_bytes());
            assert_eq!(uri.to_totp(), Some(Totp::default()), "{text}");
            assert_eq!(uri.to_hotp(), None);
        }
    }
}

#[test]
fn parameters_are_read_and_have_the_defaults_of_the_apps() {
    let rows = [
        ("totp", "", Algorithm::Sha1, 6, totp_type(30)),
        (
            "totp",
            "&algorithm=sha256&digits=8&period=60",
            Algorithm::Sha256,
            8,
            totp_type(60),
        ),
        (
            "totp",
            "&algorithm=HmacSHA512&digits=7&counter=9",
            Algorithm::Sha512,
            7,
            totp_type(30),
        ),
        (
            "hotp",
            "&counter=42",
            Algorithm::Sha1,
            6,
            TokenType::Hotp { counter: 42 },
        ),
        ("HOTP", "", Algorithm::Sha1, 6, TokenType::Hotp { counter: 0 }),
        (
            "hotp",
            "&counter=007&period=60",
            Algorithm::Sha1,
            6,
            TokenType::Hotp { counter: 7 },
        ),
    ];
    for (kind, parameters, algorithm, digits, token_type) in rows {
        let text = format!("otpauth://{kind}/alice?secret={SECRET}{parameters}");
        let uri = OtpauthUri::parse(&text).unwrap();
        assert_eq!(
            (uri.algorithm(), uri.token_type()),
            (algorithm, token_type),
            "{text}"
        );
        assert_eq!(uri.digits().get(), digits, "{text}");
        let hotp = match token_type {
            TokenType::Hotp { counter } => Some((
                Hotp {
                    algorithm,
                    digits: uri.digits(),
                },
                counter,
            )),
            _ => None,
        };
        assert_eq!(uri.to_hotp(), hotp);
        assert_eq!(uri.to_totp().is_some(), hotp.is_none());
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let padded = |rest: &str| format!("otpauth://totp/alice?secret={SECRET}{rest}");
    let rows = [
        (String::new(), UriError::Scheme),
        ("otpauth:/totp/alice".into(), UriError::Scheme),
        (
            "otpauth-migration://offline?data=CjEK".into(),
            UriError::Migration,
        ),
        ("motp://alice?secret=0123".into(), UriError::Vendor("motp")),
        ("steam://alice?secret=0123".into(), UriError::Vendor("steam")),
        ("ötpauth://totp/alice".into(), UriError::Scheme),
        (
            format!("otpauth://steam/alice?secret={SECRET}"),
            UriError::Vendor("steam"),
        ),
        (
            format!("otpauth://YAOTP/alice?secret={SECRET}&pin=1234"),
            UriError::Vendor("yaotp"),
        ),
        (
            format!("otpauth://motp/alice?secret={SECRET}"),
            UriError::Vendor("motp"),
        ),
        (
            format!("otpauth://push/alice?secret={SECRET}"),
            UriError::TokenType,
        ),
        (format!("otpauth://?secret={SECRET}"), UriError::TokenType),
        (format!("otpauth://totp?secret={SECRET}"), UriError::Account),
        (format!("otpauth://totp/?secret={SECRET}"), UriError::Account),
        (
            format!("otpauth://totp/Example:?secret={SECRET}"),
            UriError::Account,
        ),
        (format!("otpauth://totp/a%00b?secret={SECRET}"), UriError::Account),
        (padded("&issuer=a%3Ab"), UriError::Issuer),
        ("otpauth://totp/alice".into(), UriError::MissingSecret),
        (
            "otpauth://totp/alice?issuer=Example".into(),
            UriError::MissingSecret,
        ),
        (
            "otpauth://totp/alice?secret=".into(),
            UriError::Key(KeyError::Base32(Base32Error::Empty)),
        ),
        (
            "otpauth://totp/alice?secret".into(),
            UriError::Key(KeyError::Base32(Base32Error::Empty)),
        ),
        (
            "otpauth://totp/alice?secret=ABC".into(),
            UriError::Key(KeyError::Base32(Base32Error::Length(3))),
        ),
        (
            "otpauth://totp/alice?secret=JBSWY3DPEHPK3PXP".into(),
            UriError::Key(KeyError::Length { len: 10, min: 16 }),
        ),
        (padded("&Secret=AAAA"), UriError::Duplicate("secret")),
        (padded("&digits=6&digits=6"), UriError::Duplicate("digits")),
        (padded("&algorithm=MD5"), UriError::Algorithm("MD5")),
        (padded("&algorithm=sha224"), UriError::Algorithm("SHA224")),
        (padded("&algorithm=HMAC-SHA-384"), UriError::Algorithm("SHA384")),
        (padded("&algorithm=SHA3-256"), UriError::Value("algorithm")),
        (padded("&algorithm=SHA1SHA1SHA1"), UriError::Value("algorithm")),
        (padded("&algorithm="), UriError::Value("algorithm")),
        (padded("&digits=5"), UriError::Digits(5)),
        (padded("&digits=9"), UriError::Digits(9)),
        (padded("&digits=262"), UriError::Value("digits")),
        (padded("&digits=%2B6"), UriError::Value("digits")),
        (padded("&digits"), UriError::Value("digits")),
        (padded("&period=0"), UriError::Value("period")),
        (padded("&period=-30"), UriError::Value("period")),
        (padded("&period=18446744073709551616"), UriError::Value("period")),
        (
            format!("otpauth://hotp/alice?secret={SECRET}&counter=x"),
            UriError::Value("counter"),
        ),
        (padded("#fragment"), UriError::Fragment),
        (
            format!("otpauth://totp/#1:alice?secret={SECRET}"),
            UriError::Fragment,
        ),
        (padded("&issuer=%"), UriError::PercentEncoding),
        (padded("&issuer=%4"), UriError::PercentEncoding),
        (padded("&issuer=%zz"), UriError::PercentEncoding),
        (padded("&issuer=%+1"), UriError::PercentEncoding),
        (padded("&issuer=%FF"), UriError::PercentEncoding),
        (
            format!("otpauth://totp/%C3?secret={SECRET}"),
            UriError::PercentEncoding,
        ),
        (padded(&"&".repeat(4096)), UriError::TooLong),
    ];
    for (text, expected) in rows {
        assert_eq!(OtpauthUri::parse(&text).unwrap_err(), expected, "{text}");
    }
}

/// What other apps write: read as they mean it, or refused by its name.
#[test]
fn the_variants_of_other_apps() {
    let digits = |digits: u8| Totp::default().with_digits(digits.try_into().unwrap());
    let algorithm = |algorithm| Totp::default().with_algorithm(algorithm);
    let counter = |counter| Ok((None, Some((Hotp::default(), counter))));
    let totp = |totp: Totp| Ok((Some(totp), None));
    let rows = [
        // A counter is optional with default 0 in FreeOTP, and required by Aegis.
        ("hotp/Example:alice?secret=@", counter(0)),
        ("hotp/Example:alice?secret=@&counter=1", counter(1)),
        ("totp/Example:alice?secret=@", totp(Totp::default())),
        ("totp/Example%3Aalice?secret=@", totp(Totp::default())),
        ("totp/alice?secret=@&algorithm=SHA1", totp(Totp::default())),
        (
            "totp/alice?secret=@&algorithm=SHA256",
            totp(algorithm(Algorithm::Sha256)),
        ),
        (
            "totp/alice?secret=@&algorithm=SHA512",
            totp(algorithm(Algorithm::Sha512)),
        ),
        (
            "totp/alice?secret=@&algorithm=SHA224",
            Err(UriError::Algorithm("SHA224")),
        ),
        (
            "totp/alice?secret=@&algorithm=SHA384",
            Err(UriError::Algorithm("SHA384")),
        ),
        (
            "totp/alice?secret=@&algorithm=MD5",
            Err(UriError::Algorithm("MD5")),
        ),
        ("totp/alice?secret=@&digits=6", totp(digits(6))),
        ("totp/alice?secret=@&digits=7", totp(digits(7))),
        ("totp/alice?secret=@&digits=8", totp(digits(8))),
        ("totp/alice?secret=@&digits=9", Err(UriError::Digits(9))),
        // FreeOTP's own parameters.
        (
            "totp/alice?secret=@&image=file%3A%2F%2Fa.png&color=FFFFFF&lock=false",
            totp(Totp::default()),
        ),
        ("steam/alice?secret=@", Err(UriError::Vendor("steam"))),
        ("yaotp/alice?secret=@&pin=1234", Err(UriError::Vendor("yaotp"))),
    ];
    for (rest, expected) in rows {
        let text = format!("otpauth://{}", rest.replace('@', SECRET));
        let read = OtpauthUri::parse(&text).map(|uri| (uri.to_totp(), uri.to_hotp()));
        assert_eq!(read, expected, "{text}");
    }
    for (text, expected) in [
        (
            "motp://Example:alice?secret=0123456789abcdef",
            UriError::Vendor("motp"),
        ),
        ("otpauth-migration://offline?data=CjEK", UriError::Migration),
    ] {
        assert_eq!(OtpauthUri::parse(text).unwrap_err(), expected, "{text}");
    }
    // FreeOTP takes no key of less than 128 bits; 130 bits are the fewest that base32 can write.
    for (characters, is_taken) in [(24, false), (26, true)] {
        let text = format!("otpauth://totp/alice?secret={}", "A".repeat(characters));
        assert_eq!(OtpauthUri::parse(&text).is_ok(), is_taken, "{characters}");
    }
}

#[test]
fn short_keys_need_the_dangerous_function() {
    let text = "otpauth://totp/alice?secret=JBSWY3DPEHPK3PXP";
    let uri = OtpauthUri::dangerous_parse_allow_short(text).unwrap();
    assert_eq!(uri.key().as_bytes(), b"Hello!\xde\xad\xbe\xef");
}

/// Names as people give them and names as no one does, without what a label cannot carry.
fn names(excluded: &'static [char]) -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            any::<char>(),
            prop::sample::select(b" %+&=?#/:@\\\"~.-_aZ09".to_vec()).prop_map(char::from)
        ],
        1..24,
    )
    .prop_map(move |characters| {
        let kept = characters
            .into_iter()
            .filter(|c| !c.is_control() && !excluded.contains(c));
        kept.collect::<String>().trim().to_owned()
    })
    .prop_filter("a name is not empty", |name| !name.is_empty())
}

pub fn tokens() -> impl Strategy<Value = OtpauthUri> {
    let named = prop_oneof![
        (names(&[':']), names(&[])).prop_map(|(issuer, account)| (Some(issuer), account)),
        names(&[':']).prop_map(|account| (None, account)),
    ];
    let key = vec(any::<u8>(), 16..=128).prop_map(|octets| TokenKey::new(&octets).unwrap());
    let parameters = (prop::sample::select(Algorithm::ALL.as_slice()), 6..=8_u8);
    (named, key, parameters, any::<bool>(), any::<u64>()).prop_map(
        |((issuer, account), key, (algorithm, digits), is_totp, number)| {
            let digits = Digits::try_from(digits).unwrap();
            if is_totp {
                let step = number.max(1).try_into().unwrap();
                let totp = Totp::default()
                    .with_algorithm(algorithm)
                    .with_digits(digits)
                    .with_step(step);
                OtpauthUri::totp(issuer.as_deref(), &account, key, &totp).unwrap()
            } else {
                OtpauthUri::hotp(
                    issuer.as_deref(),
                    &account,
                    key,
                    &Hotp { algorithm, digits },
                    number,
                )
                .unwrap()
            }
        },
    )
}

proptest! {
    #[test]
    fn uris_round_trip(uri in tokens()) {
        let text = uri.to_uri();
        prop_assert!(text.is_ascii());
        let read = OtpauthUri::parse(&text).unwrap();
        prop_assert_eq!((read.issuer(), read.account()), (uri.issuer(), uri.account()));
        prop_assert_eq!(read.key().as_bytes(), uri.key().as_bytes());
        prop_assert_eq!((read.to_totp(), read.to_hotp()), (uri.to_totp(), uri.to_hotp()));
        prop_assert_eq!(read.to_uri(), text);
    }

    /// Cut anywhere, a URI is an error or another URI, never a panic and never one without its key.
    #[test]
    fn truncated_uris_are_total(uri in tokens()) {
        let text = uri.to_uri();
        for len in 0..text.len() {
            if let Ok(read) = OtpauthUri::dangerous_parse_allow_short(&text[..len]) {
                prop_assert!(uri.key().as_bytes().starts_with(read.key().as_bytes()));
            }
        }
    }

    #[test]
    fn any_text_parses_or_fails(tail in ".{0,200}", octets in vec(any::<u8>(), 0..200)) {
        let octets = String::from_utf8_lossy(&octets);
        for text in [tail.clone(), format!("otpauth://totp/{tail}"), format!("otpauth://totp/a?secret={octets}")] {
            if let Ok(uri) = OtpauthUri::dangerous_parse_allow_short(&text) {
                let rendered = uri.to_uri();
                prop_assert_eq!(OtpauthUri::dangerous_parse_allow_short(&rendered).unwrap().to_uri(), rendered);
            }
        }
    }
}
