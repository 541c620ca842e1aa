//! Hexadecimal keys: a text decodes exactly if a reading digit by digit takes it, and to the same octets, which are
//! written and read again as the same.

use otp_core::hex;

use crate::structured;

/// Checks any text.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(text: &str) {
    let decoded = hex::decode(text).ok();
    assert_eq!(
        decoded.as_ref().map(|octets| octets.to_vec()),
        digit_by_digit(text)
    );
    let Some(octets) = decoded else { return };
    let canonical: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(hex::decode(&canonical).as_deref(), Ok(&*octets));
    assert_eq!(hex::decode(&canonical.to_uppercase()).as_deref(), Ok(&*octets));
}

/// RFC 4648 §8; blanks, hyphens and colons are nothing.
fn digit_by_digit(text: &str) -> Option<Vec<u8>> {
    let digits = text.replace([' ', '-', ':'], "");
    let whole = text.len() <= hex::MAX_TEXT_LEN && !digits.is_empty() && digits.len().is_multiple_of(2);
    if !whole || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}
