//! The hash function under the HMAC (RFC 4226 §5.2, RFC 6238 §1.2).

use core::fmt;
use core::str::FromStr;

/// Hash function `H` of HMAC-`H` (RFC 6238 §1.2).
///
/// SHA-1 is the default because it is the only one that every authenticator app computes; HMAC-SHA-1 is not
/// weakened by the known collisions of SHA-1 (RFC 4226 Appendix B.2 discusses why).
///
/// ```
/// # use otp_core::Algorithm;
/// assert_eq!("hmac-sha-256".parse(), Ok(Algorithm::Sha256));
/// assert_eq!(Algorithm::Sha256.to_string(), "SHA256"); // the spelling of otpauth:// URIs
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC-SHA-1, the algorithm of RFC 4226.
    #[default]
    Sha1,
    /// HMAC-SHA-256 (RFC 6238).
    Sha256,
    /// HMAC-SHA-512 (RFC 6238).
    Sha512,
}

impl Algorithm {
    /// Every algorithm, the most common first.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name in otpauth:// URIs: `SHA1`, `SHA256` or `SHA512`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads the spellings in use: any case, with or without `-` or `_`, with or without a leading `HMAC`.
impl FromStr for Algorithm {
    type Err = AlgorithmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let spells = |name: &str| {
            let letters = || text.bytes().filter(|octet| !matches!(octet, b'-' | b'_'));
            let with_prefix = || b"HMAC".iter().chain(name.as_bytes()).copied();
            let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b);
            iter_eq_by(letters(), name.bytes(), same) || iter_eq_by(letters(), with_prefix(), same)
        };
        Self::ALL
            .into_iter()
            .find(|algorithm| spells(algorithm.as_str()))
            .ok_or(AlgorithmError)
    }
}

fn iter_eq_by(
    mut left: impl Iterator<Item = u8>,
    mut right: impl Iterator<Item = u8>,
    same: impl Fn(u8, u8) -> bool,
) -> bool {
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if same(a, b) => {}
            _ => return false,
        }
    }
}

/// The text names none of the algorithms of [`Algorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the algorithm is none of SHA1, SHA256 and SHA512")]
pub struct AlgorithmError;
