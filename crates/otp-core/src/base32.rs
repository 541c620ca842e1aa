//! Strict base32 (RFC 4648 §6) behind the lenient spellings in which apps print keys.
//!
//! One key has one canonical text, and every text that is taken stands for exactly one key: what differs from
//! the canonical text in more than case, grouping and padding is refused instead of decoded to a key nobody
//! meant.

use alloc::string::String;
use alloc::vec::Vec;

use ::base32::Alphabet;
use zeroize::Zeroizing;

/// Characters of the longest text that [`decode`] looks at.
pub const MAX_TEXT_LEN: usize = 1024;

const ALPHABET: Alphabet = Alphabet::Rfc4648 { padding: false };
/// Octets and symbols of a full quantum (RFC 4648 §6).
const QUANTUM: (usize, usize) = (5, 8);

/// Encodes in upper case without padding.
///
/// ```
/// assert_eq!(*otp_core::base32::encode(b"foo"), "MZXW6");
/// ```
#[must_use]
pub fn encode(octets: &[u8]) -> Zeroizing<String> {
    let symbols = octets.len().saturating_mul(QUANTUM.1).div_ceil(QUANTUM.0);
    let mut text = Zeroizing::new(String::with_capacity(symbols.next_multiple_of(QUANTUM.1)));
    // Quantum by quantum, each filled up with zero bits: a buffer that grew on the way would leave parts of
    // the key behind in freed memory.
    for chunk in octets.chunks(QUANTUM.0) {
        let mut quantum = Zeroizing::new([0; QUANTUM.0]);
        quantum.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        text.push_str(&Zeroizing::new(::base32::encode(ALPHABET, &*quantum)));
    }
    text.truncate(symbols);
    text
}

/// Decodes the text of a key.
///
/// Taken: upper and lower case, spaces and hyphens anywhere, padding complete or absent.
///
/// ```
/// # use otp_core::base32::{Base32Error, decode};
/// assert_eq!(**decode("mzxw 6ytb").as_ref().unwrap(), *b"fooba");
/// assert_eq!(decode("MZXW7===").unwrap_err(), Base32Error::TrailingBits);
/// ```
///
/// # Errors
///
/// A [`Base32Error`] for every text that is not the encoding of exactly one non-empty octet string.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Base32Error> {
    if text.len() > MAX_TEXT_LEN {
        return Err(Base32Error::TooLong);
    }
    let mut symbols = Zeroizing::new(String::with_capacity(text.len()));
    let mut padding = 0_usize;
    for (position, character) in text.chars().enumerate() {
        match character.to_ascii_uppercase() {
            ' ' | '-' => {}
            '=' => padding = padding.saturating_add(1),
            symbol @ ('A'..='Z' | '2'..='7') if padding == 0 => symbols.push(symbol),
            'A'..='Z' | '2'..='7' => return Err(Base32Error::Padding),
            _ => return Err(Base32Error::Character { position }),
        }
    }
    let len = symbols.len();
    if len == 0 {
        return Err(Base32Error::Empty);
    }
    // RFC 4648 §6: one to five octets are 2, 4, 5, 7 or 8 symbols.
    let partial = len % QUANTUM.1;
    if !matches!(partial, 0 | 2 | 4 | 5 | 7) {
        return Err(Base32Error::Length(len));
    }
    let complete = if partial == 0 {
        0
    } else {
        QUANTUM.1.saturating_sub(partial)
    };
    if padding != 0 && padding != complete {
        return Err(Base32Error::Padding);
    }
    // Every symbol was checked above: `decode` has nothing to refuse.
    let octets = Zeroizing::new(::base32::decode(ALPHABET, &symbols).unwrap_or_default());
    if *encode(&octets) == *symbols {
        Ok(octets)
    } else {
        Err(Base32Error::TrailingBits)
    }
}

/// Why a text is not the base32 of a key. Positions and lengths only: the text is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Base32Error {
    /// No symbol at all.
    #[error("the base32 text is empty")]
    Empty,
    /// More than [`MAX_TEXT_LEN`] octets of text.
    #[error("the base32 text is longer than {MAX_TEXT_LEN} characters")]
    TooLong,
    /// A character outside `A`–`Z`, `2`–`7`. Often `0`, `1` or `8`, read for `O`, `I` or `B`.
    #[error("character {} is not base32: only A-Z and 2-7 are", position.saturating_add(1))]
    Character {
        /// Characters before it.
        position: usize,
    },
    /// A number of symbols that no number of octets encodes to: symbols are missing or doubled.
    #[error("{0} base32 symbols encode no whole number of octets")]
    Length(usize),
    /// `=` before a symbol, or not as many as complete the last quantum.
    #[error("the base32 padding is incomplete or not at the end")]
    Padding,
    /// Bits behind the last octet are set (RFC 4648 §3.5): the last symbol is wrong.
    #[error("the last base32 symbol has bits that belong to no octet")]
    TrailingBits,
}
