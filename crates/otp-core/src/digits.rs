//! The number of digits of an OTP value (RFC 4226 §5.3).

use core::fmt;

/// `Digit`: how many digits an OTP value has, 6 to 8 (RFC 4226 §5.3: at least 6).
///
/// ```
/// # use otp_core::{Digits, DigitsError};
/// assert_eq!(Digits::try_from(8), Ok(Digits::EIGHT));
/// assert_eq!(Digits::try_from(4), Err(DigitsError(4)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digits(u8);

impl Digits {
    /// Six digits: the default, and all that some apps can show.
    pub const SIX: Self = Self(6);
    /// Seven digits.
    pub const SEVEN: Self = Self(7);
    /// Eight digits.
    pub const EIGHT: Self = Self(8);

    /// The number of digits: 6, 7 or 8.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Digits {
    /// [`Digits::SIX`].
    fn default() -> Self {
        Self::SIX
    }
}

impl TryFrom<u8> for Digits {
    type Error = DigitsError;

    fn try_from(digits: u8) -> Result<Self, Self::Error> {
        match digits {
            6..=8 => Ok(Self(digits)),
            _ => Err(DigitsError(digits)),
        }
    }
}

impl From<Digits> for u8 {
    fn from(digits: Digits) -> Self {
        digits.get()
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of digits is outside 6..=8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of digits, {0}, is outside 6..=8")]
pub struct DigitsError(pub u8);
