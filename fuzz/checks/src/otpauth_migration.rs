//! Any text and any message parse or fail; what parses is written in a form that reads back as the same tokens,
//! and each token as an `otpauth://` URI of its own.

use otp_core::uri::migration::{MAX_URI_LEN, Migration, MigrationError};
use otp_core::{OtpauthUri, TokenKey};

/// Percent-encoding makes base64 of any octets, without which few inputs would get past it.
fn uri(message: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut uri = String::from("otpauth-migration://offline?data=");
    for chunk in message.chunks(3) {
        let group = (0..3).fold(0, |group, place| {
            group << 8 | usize::from(*chunk.get(place).unwrap_or(&0))
        });
        uri.extend((0..=chunk.len()).map(|place| char::from(SYMBOLS[group >> (18 - 6 * place) & 63])));
    }
    uri
}

fn text(text: &str) {
    let strict = Migration::parse(text);
    let Ok(export) = Migration::dangerous_parse_allow_short(text) else {
        assert!(
            strict.is_err(),
            "the strict parser takes no more than the lenient one"
        );
        return;
    };
    let tokens = export.tokens();
    let long_enough = |token: &OtpauthUri| token.key().as_bytes().len() >= TokenKey::MIN_LEN;
    assert_eq!(strict.is_ok(), tokens.iter().all(long_enough));
    assert!(export.batch().index < export.batch().size);

    for token in tokens {
        let single = token.to_uri();
        if single.len() <= otp_core::uri::MAX_URI_LEN {
            let read = OtpauthUri::dangerous_parse_allow_short(&single).expect("each token has a URI");
            assert_eq!(read.to_uri(), single);
        }
    }
    // Written out, defaults and percent-encoding may make an export longer than what is read.
    let again = Migration::new(tokens.to_vec(), export.batch());
    let rendered = export.to_uri();
    if rendered.len() > MAX_URI_LEN {
        assert_eq!(again.unwrap_err(), MigrationError::TooLong);
        return;
    }
    assert_eq!(again.expect("what was read can be written").to_uri(), rendered);
    let read = Migration::dangerous_parse_allow_short(&rendered).expect("what is written can be read");
    assert_eq!(read.batch(), export.batch());
    assert_eq!(read.tokens().len(), tokens.len());
    for (read, token) in read.tokens().iter().zip(tokens) {
        assert_eq!(read.to_uri(), token.to_uri());
    }
}

/// Checks any octets as a text, and as a message.
pub fn check(octets: &[u8]) {
    text(&String::from_utf8_lossy(octets));
    text(&uri(octets));
}
