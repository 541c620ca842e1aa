//! A token that has absorbed its key, and the searches that HOTP and TOTP share.

use core::fmt;

use subtle::{Choice, ConditionallySelectable as _};
use zeroize::Zeroize as _;

use crate::mac::KeyedMac;
use crate::search::{Selection, Wanted};
use crate::{Algorithm, Digits, Lanes, Otp, TokenKey};

/// The parameters of a token, [`Hotp`](crate::Hotp) or [`Totp`](crate::Totp), with the key absorbed: half of
/// the work of a code is done.
///
/// Worth keeping where one token answers often. It is as secret as the key: wiped on drop, its `Debug` shows
/// the parameters alone. It lies where it is put; moving it leaves a copy behind, so that a cache does well to
/// box it.
///
/// ```
/// # use otp_core::{Hotp, TokenKey};
/// let token = Hotp::default().prepare(&TokenKey::from(*b"12345678901234567890"));
/// assert_eq!(token.generate(0).as_str(), "755224"); // RFC 4226 Appendix D
/// assert_eq!(token.generate(1).as_str(), "287082");
/// ```
pub struct Prepared<P> {
    parameters: P,
    mac: KeyedMac,
}

impl<P> Prepared<P> {
    pub(crate) fn new(parameters: P, algorithm: Algorithm, key: &TokenKey) -> Self {
        Self {
            parameters,
            mac: KeyedMac::new(algorithm, key),
        }
    }

    /// The parameters of the token.
    #[must_use]
    pub fn parameters(&self) -> &P {
        &self.parameters
    }

    /// How many codes a search computes at once: with SHA-1 [`Lanes::detect`] unless limited, else one.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        self.mac.lanes()
    }

    /// Lets searches compute at most `limit` codes at once. Results are the same for every limit.
    #[must_use]
    pub fn limit_lanes(mut self, limit: Lanes) -> Self {
        self.mac.limit_lanes(limit);
        self
    }

    pub(crate) fn otp(&self, moving_factor: u64, digits: Digits) -> Otp {
        Otp::from_truncated(self.mac.truncated(moving_factor), digits)
    }

    /// Looks for a code among the `candidates`, of which the last is included.
    pub(crate) fn search(
        &self,
        otp: &Otp,
        digits: Digits,
        candidates: (u64, u64),
        next: u64,
        centre: u64,
    ) -> Selection {
        let wanted = Wanted::new(otp, digits);
        let mut selection = Selection::new(next, centre);
        self.mac.for_each_block(candidates.0, candidates.1, |block| {
            selection.offer(block.first, wanted.hits(&block));
        });
        selection
    }

    /// The code among the `candidates`, of which the last is included, that `proves` says yes to; the last one if there are several. All are
    /// asked about, and none of the work here depends on the answers.
    pub(crate) fn find_among(
        &self,
        digits: Digits,
        candidates: (u64, u64),
        mut proves: impl FnMut(&Otp) -> Choice,
    ) -> Option<Otp> {
        let (mut number, mut any) = (0, Choice::from(0));
        self.mac.for_each_block(candidates.0, candidates.1, |block| {
            for value in block.values {
                let mut otp = Otp::from_truncated(*value, digits);
                let proven = proves(&otp);
                otp.zeroize();
                number.conditional_assign(value, proven);
                any |= proven;
            }
        });
        let found = bool::from(any).then(|| Otp::from_truncated(number, digits));
        number.zeroize();
        found
    }

    /// Looks for two codes one right after the other; what is found is the place of the second.
    pub(crate) fn search_pair(
        &self,
        codes: [&Otp; 2],
        digits: Digits,
        candidates: (u64, u64),
        next: u64,
        centre: u64,
    ) -> Selection {
        let [first, second] = codes.map(|otp| Wanted::new(otp, digits));
        // The first code's factor, one below, must be fresh as well.
        let mut selection = Selection::new(next.saturating_add(1), centre);
        let mut carry = 0;
        self.mac.for_each_block(candidates.0, candidates.1, |block| {
            let of_first = first.hits(&block);
            let pairs = second.hits(&block).after(of_first, carry);
            selection.offer(block.first, pairs);
            carry = of_first.carry(&block);
        });
        selection
    }
}

impl<P: fmt::Debug> fmt::Debug for Prepared<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
