//! Booleans and integers of profiles: the same as C's `strtol` with base 10 and the words of libprofile, read octet by
//! octet with wider arithmetic; every number is read back from its text.

use krb5_profile::{boolean, integer};

/// Checks any value, and the number that its first octets are.
pub fn check(value: &[u8]) {
    assert_eq!(integer(value), like_strtol(value));
    if let Some(number) = integer(value) {
        assert_eq!(integer(number.to_string().as_bytes()), Some(number));
    }
    if let Some(number) = value.first_chunk().map(|octets| i32::from_le_bytes(*octets)) {
        assert_eq!(integer(format!(" \t{number:+}").as_bytes()), Some(number));
        let outside = i64::from(number) + i64::from(number.signum()) * (1 << 32);
        assert_eq!(
            integer(outside.to_string().as_bytes()),
            (number == 0).then_some(0)
        );
    }

    let word = String::from_utf8_lossy(value).to_ascii_lowercase();
    let expected = match word.as_str() {
        "y" | "yes" | "true" | "t" | "1" | "on" => Some(true),
        "n" | "no" | "false" | "nil" | "0" | "off" => Some(false),
        _ => None,
    };
    assert_eq!(boolean(value), expected);
}

/// Blanks, a sign, digits, and nothing more.
fn like_strtol(value: &[u8]) -> Option<i32> {
    let blanks = value
        .iter()
        .take_while(|octet| matches!(octet, b' ' | 9..=13))
        .count();
    let (sign, digits) = match &value[blanks..] {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_i64;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number = number.saturating_mul(10).saturating_add(digit);
    }
    i32::try_from(sign * number).ok()
}
