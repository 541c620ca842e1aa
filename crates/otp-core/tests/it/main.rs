//! Tests of the public API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod diagnosis;
mod hotp_search;
mod lanes;
mod migration;
mod secrecy;
mod texts;
mod totp_search;
mod uris;
mod vectors;

use otp_core::{Digits, Hotp, Otp, TokenKey};

/// The key of RFC 4226 Appendix D.
fn rfc_key() -> TokenKey {
    TokenKey::from(*b"12345678901234567890")
}

fn otp(text: &str) -> Otp {
    Otp::parse(text.as_bytes()).unwrap()
}

/// A code of six digits that stands for none of the given counters or steps.
fn code_of_none_of(key: &TokenKey, mut factors: impl Iterator<Item = u64> + Clone) -> Otp {
    let hotp = Hotp {
        digits: Digits::SIX,
        ..Hotp::default()
    };
    (0..)
        .map(|number: u32| otp(&format!("{number:06}")))
        .find(|otp| {
            !factors
                .clone()
                .any(|factor| hotp.generate(key, factor).matches(otp))
        })
        .unwrap_or_else(|| panic!("{:?} is the code of every value", factors.next()))
}

/// Two moving factors with the same six digits and no third between them.
fn twin_codes(key: &TokenKey, distance_is_even: bool) -> (u64, u64) {
    let mut seen = std::collections::HashMap::new();
    (0..20_000_u64)
        .find_map(|factor| {
            let code = Hotp::default().generate(key, factor).as_str().to_owned();
            seen.insert(code, factor)
                .filter(|earlier| !distance_is_even || (factor - earlier) % 2 == 0)
                .map(|earlier| (earlier, factor))
        })
        .expect("of 20,000 codes of six digits, some are the same")
}
