//! Texts of keys, codes and names: what is taken, and the exact error of what is not.

use otp_core::base32::{self, Base32Error};
use otp_core::hex::{self, HexError};
use otp_core::{Algorithm, AlgorithmError, Digits, DigitsError, KeyError, Otp, OtpError, TokenKey};
use proptest::collection::vec;
use proptest::prelude::*;

/// RFC 4648 §10, padding removed.
const RFC_4648_SECTION_10: [(&str, &str); 6] = [
    ("f", "MY"),
    ("fo", "MZXQ"),
    ("foo", "MZXW6"),
    ("foob", "MZXW6YQ"),
    ("fooba", "MZXW6YTB"),
    ("foobar", "MZXW6YTBOI"),
];

#[test]
fn base32_matches_rfc4648_section_10() {
    for (octets, text) in RFC_4648_SECTION_10 {
        assert_eq!(*base32::encode(octets.as_bytes()), text);
        let padded = format!("{text:=<width$}", width = text.len().next_multiple_of(8));
        let grouped = text
            .to_lowercase()
            .chars()
            .map(|c| format!("{c}- "))
            .collect::<String>();
        for spelling in [text, &padded, &text.to_lowercase(), &grouped] {
            assert_eq!(
                base32::decode(spelling).unwrap().as_slice(),
                octets.as_bytes(),
                "{spelling}"
            );
        }
    }
    assert_eq!(*base32::encode(b""), "");
}

#[test]
fn base32_refuses_what_is_not_canonical() {
    let rows = [
        ("", Base32Error::Empty),
        (" - ", Base32Error::Empty),
        ("========", Base32Error::Empty),
        ("A", Base32Error::Length(1)),
        ("ABC", Base32Error::Length(3)),
        ("MZXW6Y", Base32Error::Length(6)),
        ("MZXW6YTBO", Base32Error::Length(9)),
        ("MZ=W6===", Base32Error::Padding),
        ("=MZXW6==", Base32Error::Padding),
        ("MZXW6==", Base32Error::Padding),
        ("MZXW6====", Base32Error::Padding),
        ("MZXW6YTB=", Base32Error::Padding),
        ("MZXW6YTB========", Base32Error::Padding),
        ("MZXW7===", Base32Error::TrailingBits),
        ("MZ", Base32Error::TrailingBits),
        ("MZXR", Base32Error::TrailingBits),
        ("MZXW6YR", Base32Error::TrailingBits),
        ("MZXW0", Base32Error::Character { position: 4 }),
        ("1ZXW6", Base32Error::Character { position: 0 }),
        ("MZ\tXW6", Base32Error::Character { position: 2 }),
        ("MZXW6\n", Base32Error::Character { position: 5 }),
        ("ééM!", Base32Error::Character { position: 0 }),
        ("M ſ", Base32Error::Character { position: 2 }), // U+017F, whose upper case is S
    ];
    for (text, expected) in rows {
        assert_eq!(base32::decode(text).unwrap_err(), expected, "{text:?}");
    }
    assert_eq!(base32::decode(&"A".repeat(1024)).unwrap().len(), 640);
    assert_eq!(
        base32::decode(&"A".repeat(1025)).unwrap_err(),
        Base32Error::TooLong
    );
}

#[test]
fn hex_takes_whole_octets_alone() {
    for text in ["deadbeef", "DE:AD:BE:EF", "de-ad be-ef", " d e a d b e e f "] {
        assert_eq!(
            hex::decode(text).unwrap().as_slice(),
            [0xde, 0xad, 0xbe, 0xef],
            "{text}"
        );
    }
    let rows = [
        ("", HexError::Empty),
        (":- ", HexError::Empty),
        ("abc", HexError::OddLength),
        ("0x12", HexError::Character { position: 1 }),
        ("12\n", HexError::Character { position: 2 }),
        ("é0", HexError::Character { position: 0 }),
    ];
    for (text, expected) in rows {
        assert_eq!(hex::decode(text).unwrap_err(), expected, "{text:?}");
    }
    assert_eq!(hex::decode(&"0".repeat(1024)).unwrap().len(), 512);
    assert_eq!(hex::decode(&"0".repeat(1025)).unwrap_err(), HexError::TooLong);
}

#[test]
fn keys_have_16_to_128_octets_unless_they_are_legacy() {
    for len in [0, 1, 15, 16, 128, 129] {
        let octets = vec![0xa5; len];
        let length = |min| KeyError::Length { len, min };
        let strict = (16..=128).contains(&len).then_some(()).ok_or(length(16));
        let lenient = (1..=128).contains(&len).then_some(()).ok_or(length(1));
        assert_eq!(TokenKey::new(&octets).map(drop), strict, "{len} octets");
        assert_eq!(
            TokenKey::dangerous_allow_short(&octets).map(drop),
            lenient,
            "{len} octets"
        );
    }
    assert_eq!(
        TokenKey::from_base32("MZXW6YTBOI").unwrap_err(),
        KeyError::Length { len: 6, min: 16 },
        "too short for a key"
    );
    assert_eq!(
        TokenKey::from_base32("A").unwrap_err(),
        KeyError::Base32(Base32Error::Length(1))
    );
    assert_eq!(
        TokenKey::from_hex("abc").unwrap_err(),
        KeyError::Hex(HexError::OddLength)
    );
    let octets: [u8; 20] = *b"12345678901234567890";
    let text = "3132333435363738393031323334353637383930";
    assert_eq!(TokenKey::from_hex(text).unwrap().as_bytes(), octets);
}

#[cfg(feature = "rand")]
#[test]
fn generated_keys_are_20_octets_of_the_generator() {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    let draw = |seed| TokenKey::generate(&mut StdRng::seed_from_u64(seed));
    assert_eq!(draw(1).as_bytes().len(), TokenKey::GENERATED_LEN);
    assert_eq!(draw(1).as_bytes(), draw(1).as_bytes());
    assert_ne!(draw(1).as_bytes(), draw(2).as_bytes());
    assert!(draw(1).as_bytes().iter().any(|octet| *octet != 0));
}

#[test]
fn codes_are_exact_digits() {
    for text in ["000000", "755224", "0755224", "84755224"] {
        let otp = Otp::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (otp.as_str(), usize::from(otp.digits().get())),
            (text, text.len())
        );
    }
    let rows: [(&[u8], OtpError); 12] = [
        (b"", OtpError::Length(0)),
        (b"75522", OtpError::Length(5)),
        (b"755224755", OtpError::Length(9)),
        (b" 755224", OtpError::NotDigit { position: 0 }),
        (b"755224 ", OtpError::NotDigit { position: 6 }),
        (b"755224\n", OtpError::NotDigit { position: 6 }),
        (b"755224\0", OtpError::NotDigit { position: 6 }),
        (b"755 224", OtpError::NotDigit { position: 3 }),
        (b"+755224", OtpError::NotDigit { position: 0 }),
        (b"75522a", OtpError::NotDigit { position: 5 }),
        (b"75522\xff", OtpError::NotDigit { position: 5 }),
        ("٧٥٥٢".as_bytes(), OtpError::NotDigit { position: 0 }), // Arabic-Indic digits
    ];
    for (octets, expected) in rows {
        assert_eq!(Otp::parse(octets).unwrap_err(), expected, "{octets:?}");
    }
}

#[test]
fn codes_match_only_themselves() {
    let texts = ["000000", "0000000", "00000000", "123456", "123457", "0123456"];
    let parse = |text: &str| Otp::parse(text.as_bytes()).unwrap();
    for left in texts {
        for right in texts {
            assert_eq!(
                parse(left).matches(&parse(right)),
                left == right,
                "{left} and {right}"
            );
        }
    }
}

#[test]
fn algorithms_are_read_in_the_spellings_in_use() {
    for (algorithm, bits) in Algorithm::ALL.into_iter().zip(["1", "256", "512"]) {
        for form in [
            "SHA",
            "sha",
            "SHA-",
            "sha_",
            "Sha",
            "HmacSHA",
            "HMAC-SHA-",
            "hmac_sha_",
            "hmacsha",
        ] {
            let text = format!("{form}{bits}");
            assert_eq!(text.parse(), Ok(algorithm), "{text}");
        }
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
    }
    for text in [
        "", "-", "HMAC", "SHA", "SHA2", "SHA224", "SHA384", "SHA11", "SHA3-256", "MD5", " SHA1", "xSHA1",
    ] {
        assert_eq!(text.parse::<Algorithm>(), Err(AlgorithmError), "{text:?}");
    }
}

#[test]
fn digits_are_6_to_8() {
    for digits in 0..=u8::MAX {
        let expected = if (6..=8).contains(&digits) {
            Ok(digits)
        } else {
            Err(DigitsError(digits))
        };
        assert_eq!(Digits::try_from(digits).map(u8::from), expected);
    }
    assert_eq!(Digits::default(), Digits::SIX);
}

proptest! {
    #[test]
    fn codes_and_keys_parse_or_fail_on_any_octets(octets in vec(any::<u8>(), 0..300)) {
        let is_code = (6..=8).contains(&octets.len()) && octets.iter().all(u8::is_ascii_digit);
        prop_assert_eq!(Otp::parse(&octets).is_ok(), is_code);
        let text = String::from_utf8_lossy(&octets);
        prop_assert!(base32::decode(&text).is_err() || text.is_ascii());
        prop_assert!(hex::decode(&text).is_err() || text.is_ascii());
    }

    #[test]
    fn every_code_parses_as_itself(text in "[0-9]{6,8}") {
        let otp = Otp::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(otp.as_str(), text);
    }

    #[test]
    fn base32_round_trips(octets in vec(any::<u8>(), 1..=640)) {
        let text = base32::encode(&octets);
        let decoded = base32::decode(&text).unwrap();
        prop_assert_eq!(decoded.as_slice(), &octets);
        prop_assert!(text.bytes().all(|octet| matches!(octet, b'A'..=b'Z' | b'2'..=b'7')));
    }

    /// Cut anywhere, with or without padding, the text of a key is refused or is that of the key's first octets.
    #[test]
    fn truncated_base32_is_total(octets in vec(any::<u8>(), 1..=40)) {
        let text = base32::encode(&octets).to_string();
        let padded = format!("{text:=<width$}", width = text.len().next_multiple_of(8));
        for text in [text, padded] {
            for len in 0..text.len() {
                if let Ok(read) = base32::decode(&text[..len]) {
                    prop_assert!(octets.starts_with(&read));
                    prop_assert_eq!(read.len(), (len * 5 / 8).min(octets.len()));
                }
            }
        }
    }

    /// Cut anywhere, the hexadecimal text of a key is refused or is that of the key's first octets.
    #[test]
    fn truncated_hex_is_total(octets in vec(any::<u8>(), 1..=40)) {
        let text: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let whole = hex::decode(&text).unwrap();
        prop_assert_eq!(whole.as_slice(), &octets);
        for len in 1..text.len() {
            match hex::decode(&text[..len]) {
                Ok(read) => prop_assert_eq!(read.as_slice(), &octets[..len / 2]),
                Err(error) => prop_assert_eq!((error, len % 2), (HexError::OddLength, 1)),
            }
        }
    }

    /// No two texts, in capitals and without padding, stand for the same key.
    #[test]
    fn base32_texts_are_unique(text in "[A-Z2-7]{1,40}") {
        if let Ok(octets) = base32::decode(&text) {
            prop_assert_eq!(&*base32::encode(&octets), &text);
        }
    }

    #[test]
    fn keys_round_trip(octets in vec(any::<u8>(), 16..=128)) {
        let key = TokenKey::new(&octets).unwrap();
        let read = TokenKey::from_base32(&key.to_base32()).unwrap();
        prop_assert_eq!(read.as_bytes(), &octets);
    }
}
