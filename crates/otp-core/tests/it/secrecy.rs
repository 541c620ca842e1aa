//! Secrets do not show, neither in `Debug` nor in errors.

use otp_core::{OtpauthUri, TokenKey, Totp};
use zeroize::Zeroize;

use crate::{otp, rfc_key};

#[test]
fn debug_shows_neither_keys_nor_codes() {
    let uri = OtpauthUri::totp(None, "alice", rfc_key(), &Totp::default()).unwrap();
    let shown = format!("{:?} {:#?} {:?} {uri:?}", rfc_key(), rfc_key(), otp("755224"));
    for secret in ["12345", "49, 50", "0x31", "755224", "GEZDGN"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(
        shown.contains("TokenKey(20 octets)") && shown.contains("Otp(6 digits)"),
        "{shown}"
    );
}

#[test]
fn debug_of_a_prepared_token_shows_its_parameters_alone() {
    let shown = format!("{:?}", Totp::default().prepare(&rfc_key()));
    let parameters = format!("{:?}", Totp::default());
    assert_eq!(shown, format!("Prepared {{ parameters: {parameters}, .. }}"));
}

#[test]
fn errors_do_not_repeat_the_text() {
    let errors: [Box<dyn std::error::Error>; 4] = [
        Box::new(TokenKey::from_base32("SECRET-SECRET-!").unwrap_err()),
        Box::new(TokenKey::from_hex("c0ffee c0ffee c").unwrap_err()),
        Box::new(otp_core::Otp::parse(b"75522X").unwrap_err()),
        Box::new(OtpauthUri::parse("otpauth://totp/a?secret=SECRET-SECRET-!").unwrap_err()),
    ];
    for error in errors {
        let mut text = format!("{error:?}");
        let mut next = Some(&*error as &dyn std::error::Error);
        while let Some(error) = next {
            text.push_str(&format!(" {error}"));
            next = error.source();
        }
        for secret in ["SECRET-", "c0ffee", "75522"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_wiped_code_has_no_digits_and_matches_no_code() {
    let mut wiped = otp("000000");
    wiped.zeroize();
    assert_eq!(wiped.as_str(), "\0\0\0\0\0\0");
    assert!(!wiped.matches(&otp("000000")));
}
