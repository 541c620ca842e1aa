//! OTP values: what a user types, what a token shows.

use core::fmt;

use subtle::{Choice, ConstantTimeEq, CtOption};
use zeroize::Zeroize;

use crate::Digits;

/// The most digits of any value.
const MAX: usize = 8;

/// An OTP value: exactly 6, 7 or 8 ASCII digits (RFC 4226 §5.3).
///
/// It is a credential until it is spent: `Debug` does not show it, and there is neither `Display` nor
/// `PartialEq`. A value that was [`zeroize`](Zeroize::zeroize)d matches no code of any token.
///
/// ```
/// # use otp_core::{Otp, OtpError};
/// let otp = Otp::parse(b"755224")?;
/// assert_eq!(otp.as_str(), "755224");
/// assert_eq!(format!("{otp:?}"), "Otp(6 digits)");
/// assert_eq!(Otp::parse(b"755224\n").unwrap_err(), OtpError::NotDigit { position: 6 });
/// # Ok::<(), OtpError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Otp {
    /// ASCII digits, then NUL: values of different lengths differ in their octets.
    octets: [u8; MAX],
    digits: Digits,
}

impl Otp {
    /// Takes exactly 6 to 8 ASCII digits. Nothing is trimmed: a value with a space around it is another
    /// spelling of the same code, and a store that compares spellings would take it twice.
    ///
    /// # Errors
    ///
    /// [`OtpError::Length`] for fewer or more octets, [`OtpError::NotDigit`] for anything but `0`–`9`.
    pub fn parse(octets: &[u8]) -> Result<Self, OtpError> {
        let wrong_length = OtpError::Length(octets.len());
        let digits = u8::try_from(octets.len())
            .ok()
            .and_then(|len| Digits::try_from(len).ok())
            .ok_or(wrong_length)?;
        if let Some(position) = octets.iter().position(|octet| !octet.is_ascii_digit()) {
            return Err(OtpError::NotDigit { position });
        }
        let mut otp = Self {
            octets: [0; MAX],
            digits,
        };
        otp.octets
            .iter_mut()
            .zip(octets)
            .for_each(|(to, from)| *to = *from);
        Ok(otp)
    }

    /// The last `digits` decimal digits of the truncated HMAC (RFC 4226 §5.3, `Snum mod 10^Digit`).
    pub(crate) fn from_truncated(snum: u32, digits: Digits) -> Self {
        // The leading digits go, NUL comes in behind.
        let surplus = u32::from(Digits::EIGHT.get().abs_diff(digits.get())).saturating_mul(8);
        Self {
            octets: (eight_digits(snum) >> surplus).to_le_bytes(),
            digits,
        }
    }

    /// The value as a number; none of a wiped value. In constant time.
    pub(crate) fn number(&self) -> CtOption<u32> {
        let digits = self.octets.iter().take(self.digits.get().into());
        let number = digits.fold(0_u32, |number, octet| {
            number.wrapping_mul(10).wrapping_add((octet & 0x0f).into())
        });
        let wiped = u64::from_ne_bytes(self.octets).ct_eq(&0);
        CtOption::new(number, !wiped)
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let digits = self.octets.get(..self.digits.get().into()).unwrap_or_default();
        core::str::from_utf8(digits).unwrap_or_default()
    }

    /// How many digits the value has.
    #[must_use]
    pub fn digits(&self) -> Digits {
        self.digits
    }

    /// Whether both are the same value of the same length, in constant time.
    ///
    /// For logins use the searches of [`Hotp`](crate::Hotp) and [`Totp`](crate::Totp): they also say which
    /// moving factor matched, without which a code cannot be spent.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }

    pub(crate) fn ct_eq(&self, other: &Self) -> Choice {
        u64::from_ne_bytes(self.octets).ct_eq(&u64::from_ne_bytes(other.octets))
    }
}

/// The last eight decimal digits in ASCII, the first in the lowest octet.
///
/// Halves, quarters and digits are split off in all parts of a word at once: a fifth of the time of a code
/// would go into digits one by one. No part is large enough to reach into its neighbour.
fn eight_digits(number: u32) -> u64 {
    let (high, low) = (number % 100_000_000 / 10_000, number % 10_000);
    let halves = u64::from(high) | u64::from(low) << 32;
    // 10486 / 2^20 is 1/100, and 103 / 2^10 is 1/10, near enough for four and for two digits.
    let hundreds = halves.wrapping_mul(10_486) >> 20 & 0x0000_007f_0000_007f;
    let quarters = hundreds | halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
    let tens = quarters.wrapping_mul(103) >> 10 & 0x000f_000f_000f_000f;
    let digits = tens | quarters.wrapping_sub(tens.wrapping_mul(10)) << 8;
    digits | 0x3030_3030_3030_3030
}

impl Zeroize for Otp {
    fn zeroize(&mut self) {
        self.octets.zeroize();
    }
}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Otp({} digits)", self.digits)
    }
}

/// Why octets are no OTP value. The fault is the user's; the octets themselves are not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtpError {
    /// Fewer than 6 or more than 8 octets.
    #[error("{0} octets are not 6 to 8 digits")]
    Length(usize),
    /// An octet that is no ASCII digit.
    #[error("octet {} is not an ASCII digit", position.saturating_add(1))]
    NotDigit {
        /// Octets before it.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    /// Every pair and every quadruple of digits in every place.
    #[test]
    fn digits_are_those_of_the_number() {
        let numbers = (0..10_000).flat_map(|four| [four, four * 10_000 + 9_999, four * 200_001]);
        for number in numbers.chain([99_999_999, 100_000_000, 0x7fff_ffff]) {
            let decimal = format!("{number:010}");
            for digits in [Digits::SIX, Digits::SEVEN, Digits::EIGHT] {
                let expected = &decimal[10 - usize::from(digits.get())..];
                assert_eq!(Otp::from_truncated(number, digits).as_str(), expected);
            }
        }
    }
}
