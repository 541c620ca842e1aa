//! Percent-encoding (RFC 3986 §2.1) of names and values.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::{Zeroize, Zeroizing};

use super::UriError;

const HEX: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
];

/// Appends `text` with everything but unreserved characters and `@` encoded.
///
/// `@` may stand in a path and in a query (RFC 3986 §3.3); principals stay legible.
pub(super) fn encode(text: &str, uri: &mut String) {
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                uri.push(char::from(octet));
            }
            _ => {
                uri.push('%');
                let digits = [octet >> 4, octet & 0x0f].map(|nibble| HEX.get(usize::from(nibble)));
                uri.extend(digits.into_iter().flatten());
            }
        }
    }
}

/// Appends a number without a buffer in between.
pub(super) fn push_decimal(number: u64, uri: &mut String) {
    // Writing to a string cannot fail.
    let _ = core::fmt::Write::write_fmt(uri, format_args!("{number}"));
}

/// What `+` stands for.
#[derive(Clone, Copy)]
pub(super) enum Plus {
    /// Itself, in a label: accounts such as `alice+vpn@example.com`.
    Literal,
    /// A space, in a parameter: the form encoding that apps and servers use there.
    Space,
}

/// Decodes a label or the value of a parameter, which may be the key.
pub(super) fn decode(text: &str, plus: Plus) -> Result<Zeroizing<String>, UriError> {
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match (octet, plus) {
            (b'%', _) => {
                let high = nibble(rest.next())?;
                let low = nibble(rest.next())?;
                (high << 4) | low
            }
            (b'+', Plus::Space) => b' ',
            _ => octet,
        });
    }
    String::from_utf8(core::mem::take(&mut *octets))
        .map(Zeroizing::new)
        .map_err(|error| {
            error.into_bytes().zeroize();
            UriError::PercentEncoding
        })
}

fn nibble(octet: Option<u8>) -> Result<u8, UriError> {
    octet
        .and_then(|octet| char::from(octet).to_digit(16))
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(UriError::PercentEncoding)
}
