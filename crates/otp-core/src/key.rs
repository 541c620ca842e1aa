//! The shared secret `K` of a token (RFC 4226 §5.1, §4 R6).

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

#[cfg(feature = "rand")]
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::base32::{self, Base32Error};
use crate::hex::{self, HexError};

/// Shared secret `K` of one token (RFC 4226 §5.1).
///
/// The octets stand on the heap, so that moving the key leaves no copy behind, and are wiped on drop. The
/// type has no `Display` and no `PartialEq`, and its `Debug` shows the length alone.
///
/// ```
/// # use otp_core::TokenKey;
/// let key = TokenKey::from_base32("gezd gnbv gy3t qojq gezd gnbv gy3t qojq")?; // as apps print it
/// assert_eq!(key.as_bytes(), b"12345678901234567890");
/// assert_eq!(format!("{key:?}"), "TokenKey(20 octets)");
/// # Ok::<(), otp_core::KeyError>(())
/// ```
#[derive(Clone, ZeroizeOnDrop)]
pub struct TokenKey {
    octets: Box<[u8]>,
}

impl TokenKey {
    /// Octets of a generated key: 160 bits, the length that RFC 4226 §4 R6 recommends.
    pub const GENERATED_LEN: usize = 20;
    /// The shortest key that [`TokenKey::new`] takes: 128 bits (RFC 4226 §4 R6).
    pub const MIN_LEN: usize = 16;
    /// The longest key, in octets: the block of SHA-512, past which HMAC replaces the key by its hash (RFC
    /// 2104 §3).
    pub const MAX_LEN: usize = 128;

    /// Takes a key of [`MIN_LEN`](Self::MIN_LEN) to [`MAX_LEN`](Self::MAX_LEN) octets.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] for any other length.
    pub fn new(octets: &[u8]) -> Result<Self, KeyError> {
        Self::with_min_len(octets, Self::MIN_LEN)
    }

    /// Takes a key of 1 to [`MAX_LEN`](Self::MAX_LEN) octets, for tokens that exist already.
    ///
    /// RFC 4226 §4 R6 forbids keys of less than 128 bits, yet seeds of 80 bits are in use; whoever imports
    /// one should plan its replacement.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] for any other length.
    pub fn dangerous_allow_short(octets: &[u8]) -> Result<Self, KeyError> {
        Self::with_min_len(octets, 1)
    }

    fn with_min_len(octets: &[u8], min: usize) -> Result<Self, KeyError> {
        if (min..=Self::MAX_LEN).contains(&octets.len()) {
            Ok(Self {
                octets: octets.into(),
            })
        } else {
            Err(KeyError::Length {
                len: octets.len(),
                min,
            })
        }
    }

    /// Draws a key of [`GENERATED_LEN`](Self::GENERATED_LEN) octets (feature `rand`).
    #[cfg(feature = "rand")]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut octets = Box::new([0; Self::GENERATED_LEN]);
        rng.fill_bytes(&mut *octets);
        Self { octets }
    }

    /// The octets of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    /// The key in base32, upper case, without padding: the form of otpauth:// URIs.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        base32::encode(&self.octets)
    }

    /// Reads a key from the base32 that apps and devices print; [`base32::decode`] says what is allowed.
    ///
    /// A short legacy key goes through [`base32::decode`] and [`TokenKey::dangerous_allow_short`].
    ///
    /// # Errors
    ///
    /// [`KeyError::Base32`] if the text is not base32, [`KeyError::Length`] as for [`TokenKey::new`].
    pub fn from_base32(text: &str) -> Result<Self, KeyError> {
        Self::new(&base32::decode(text)?)
    }

    /// Reads a key from hexadecimal; [`hex::decode`] says what is allowed.
    ///
    /// # Errors
    ///
    /// [`KeyError::Hex`] if the text is not hexadecimal, [`KeyError::Length`] as for [`TokenKey::new`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        Self::new(&hex::decode(text)?)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({} octets)", self.octets.len())
    }
}

/// Keys of the output lengths of SHA-1, SHA-256 and SHA-512, as RFC 6238 §5.1 recommends them.
macro_rules! from_array {
    ($($len:literal)*) => {$(
        impl From<[u8; $len]> for TokenKey {
            fn from(mut octets: [u8; $len]) -> Self {
                let key = Self { octets: Box::from(octets.as_slice()) };
                octets.zeroize();
                key
            }
        }
    )*};
}
from_array!(20 32 64);

/// Why octets or a text are no [`TokenKey`]. The fault is whoever supplies the key: an operator or an import
/// file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is too short or too long (RFC 4226 §4 R6): have a longer one made.
    #[error("the key has {len} octets, outside {min}..={max}", max = TokenKey::MAX_LEN)]
    Length {
        /// Octets of the key.
        len: usize,
        /// The fewest octets allowed here.
        min: usize,
    },
    /// The text is not base32.
    #[error("the key is not base32")]
    Base32(#[from] Base32Error),
    /// The text is not hexadecimal.
    #[error("the key is not hexadecimal")]
    Hex(#[from] HexError),
}
