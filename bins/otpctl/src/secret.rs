//! Token keys as they are typed or imported: base32, or hexadecimal after `hex:`.

use otp_core::{
    KeyError, TokenKey,
    base32::{self, Base32Error},
    hex::{self, HexError},
};

/// Why a text is not the key of a token. Positions and lengths only: the text is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Not base32.
    #[error("the secret is not base32: {0}")]
    Base32(Base32Error),
    /// `hex:`, and then something else than hexadecimal digits.
    #[error("the secret is not hexadecimal after \"hex:\": {0}")]
    Hex(HexError),
    /// Shorter than RFC 4226 §4 R6 demands.
    #[error("the secret has {0} octets; RFC 4226 demands {min} or more", min = TokenKey::MIN_LEN)]
    Short(usize),
    /// Longer than any key can be.
    #[error("the secret has {0} octets, more than the {max} that a key can have", max = TokenKey::MAX_LEN)]
    Long(usize),
}

impl SecretError {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Base32(_) => "write base32 (A-Z and 2-7), or hexadecimal as hex:0123…",
            Self::Hex(_) => "write hex: and an even number of digits 0-9 and a-f",
            Self::Short(_) => {
                "have a new key made; --dangerous-allow-short-keys lets one in that cannot be replaced yet"
            }
            Self::Long(_) => "check that the secret was copied once, and alone",
        }
    }
}

/// Reads a key. A short one (less than 16 octets) only where `allow_short` says so.
pub(crate) fn parse(text: &str, allow_short: bool) -> Result<TokenKey, SecretError> {
    let text = text.trim_matches([' ', '\t', '\r']);
    let prefix = text.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case("hex:"));
    let octets = match prefix.and_then(|_| text.get(4..)) {
        Some(digits) => hex::decode(digits).map_err(SecretError::Hex)?,
        None => base32::decode(text).map_err(SecretError::Base32)?,
    };
    let key = if allow_short {
        TokenKey::dangerous_allow_short(&octets)
    } else {
        TokenKey::new(&octets)
    };
    key.map_err(|error| match error {
        KeyError::Length { len, .. } if len < TokenKey::MIN_LEN => SecretError::Short(len),
        _ => SecretError::Long(octets.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_base32_or_hex() {
        let expected = b"12345678901234567890";
        let rows = [
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
            " GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\r",
            "hex:3132333435363738393031323334353637383930",
            "HEX:31 32 33 34 35 36 37 38 39 30 31 32 33 34 35 36 37 38 39 30",
        ];
        for text in rows {
            assert_eq!(parse(text, false).unwrap().as_bytes(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("hex:{}", "00".repeat(129));
        let rows = [
            ("", SecretError::Base32(Base32Error::Empty)),
            ("hex:", SecretError::Hex(HexError::Empty)),
            ("hex:0", SecretError::Hex(HexError::OddLength)),
            (
                "GEZDGNBVGY3TQOJ1",
                SecretError::Base32(Base32Error::Character { position: 15 }),
            ),
            ("GEZDGNBVGY3TQOJQ", SecretError::Short(10)),
            (&long, SecretError::Long(129)),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text, false).unwrap_err(), expected, "{text}");
        }
        assert_eq!(parse("GEZDGNBVGY3TQOJQ", true).unwrap().as_bytes(), b"1234567890");
        assert_eq!(parse(&long, true).unwrap_err(), SecretError::Long(129));
    }
}
