//! Any text parses or fails; what parses is written in a form that reads back as the same token.

use otp_core::OtpauthUri;

use crate::structured;

/// Checks any text.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(text: &str) {
    let strict = OtpauthUri::parse(text);
    let Ok(uri) = OtpauthUri::dangerous_parse_allow_short(text) else {
        assert!(
            strict.is_err(),
            "the strict parser takes no more than the lenient one"
        );
        return;
    };
    assert_eq!(
        strict.is_ok(),
        uri.key().as_bytes().len() >= otp_core::TokenKey::MIN_LEN
    );

    // Percent-encoding may make a text longer than what is read.
    let rendered = uri.to_uri();
    if rendered.len() > otp_core::uri::MAX_URI_LEN {
        return;
    }
    let read = OtpauthUri::dangerous_parse_allow_short(&rendered).expect("what is written can be read");
    assert_eq!((read.issuer(), read.account()), (uri.issuer(), uri.account()));
    assert_eq!(read.key().as_bytes(), uri.key().as_bytes());
    assert_eq!((read.algorithm(), read.digits()), (uri.algorithm(), uri.digits()));
    assert_eq!(read.token_type(), uri.token_type());
    assert_eq!(read.to_uri(), rendered);
}
