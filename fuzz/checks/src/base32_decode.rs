//! Base32 keys: a text decodes exactly if a reading of RFC 4648 bit by bit takes it, and to the same octets; what decodes
//! has one canonical text.

use otp_core::base32;

use crate::structured;

/// Checks any text.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(text: &str) {
    let decoded = base32::decode(text).ok();
    assert_eq!(decoded.as_ref().map(|octets| octets.to_vec()), bit_by_bit(text));
    let Some(octets) = decoded else { return };
    let symbols = text.chars().filter(|c| !matches!(c, ' ' | '-' | '='));
    let canonical: String = symbols.map(|c| c.to_ascii_uppercase()).collect();
    assert_eq!(*base32::encode(&octets), canonical);
    assert_eq!(base32::decode(&canonical).as_deref(), Ok(&*octets));
}

/// RFC 4648 §6, bit by bit; blanks and hyphens are nothing, padding is all of it or none.
fn bit_by_bit(text: &str) -> Option<Vec<u8>> {
    if text.len() > base32::MAX_TEXT_LEN {
        return None;
    }
    let text = text.replace([' ', '-'], "");
    let symbols = text.trim_end_matches('=');
    let padding = text.len() - symbols.len();
    let mut bits = Vec::new();
    for symbol in symbols.bytes() {
        let quintet = match symbol.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits.extend((0..5).rev().map(|place| quintet >> place & 1));
    }
    let octets = bits.chunks_exact(8);
    let left = octets.remainder();
    // Five bits or more hold a whole symbol too many.
    let exact = !bits.is_empty() && left.len() < 5 && left.iter().all(|bit| *bit == 0);
    let padded = padding == 0 || text.len().is_multiple_of(8) && padding < 8;
    (exact && padded).then(|| {
        octets
            .map(|bits| bits.iter().fold(0, |octet, bit| octet << 1 | bit))
            .collect()
    })
}
