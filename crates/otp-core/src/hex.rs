//! Hexadecimal keys (RFC 4648 §8), as hardware vendors deliver them.

use alloc::vec::Vec;

use zeroize::Zeroizing;

/// Characters of the longest text that [`decode`] looks at.
pub const MAX_TEXT_LEN: usize = 1024;

/// Decodes the text of a key: either case, with spaces, hyphens and colons between octets or digits.
///
/// ```
/// # use otp_core::hex::{HexError, decode};
/// assert_eq!(**decode("31:32:33").as_ref().unwrap(), *b"123");
/// assert_eq!(decode("313").unwrap_err(), HexError::OddLength);
/// ```
///
/// # Errors
///
/// A [`HexError`] for every text that is not one or more whole octets.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, HexError> {
    if text.len() > MAX_TEXT_LEN {
        return Err(HexError::TooLong);
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len().div_ceil(2)));
    let mut high = None;
    for (position, character) in text.chars().enumerate() {
        if matches!(character, ' ' | '-' | ':') {
            continue;
        }
        let nibble = character
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or(HexError::Character { position })?;
        match high.take() {
            None => high = Some(nibble),
            Some(high) => octets.push((high << 4) | nibble),
        }
    }
    match high {
        Some(_) => Err(HexError::OddLength),
        None if octets.is_empty() => Err(HexError::Empty),
        None => Ok(octets),
    }
}

/// Why a text is not the hexadecimal form of a key. Positions only: the text is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HexError {
    /// No digit at all.
    #[error("the hexadecimal text is empty")]
    Empty,
    /// More than [`MAX_TEXT_LEN`] octets of text.
    #[error("the hexadecimal text is longer than {MAX_TEXT_LEN} characters")]
    TooLong,
    /// A character outside `0`–`9`, `A`–`F`.
    #[error("character {} is not hexadecimal", position.saturating_add(1))]
    Character {
        /// Characters before it.
        position: usize,
    },
    /// The last octet lacks a digit.
    #[error("the number of hexadecimal digits is odd")]
    OddLength,
}
