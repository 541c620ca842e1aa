//! HOTP: a counter as the moving factor (RFC 4226).

use subtle::Choice;

use crate::prepared::Prepared;
use crate::search::LAST;
use crate::{Algorithm, Digits, Otp, TokenKey, Verdict};

/// Computes an HOTP value with HMAC-SHA-1 (RFC 4226 §5.3).
///
/// ```
/// # use otp_core::{Digits, TokenKey, hotp};
/// let key = TokenKey::from(*b"12345678901234567890");
/// assert_eq!(hotp(&key, 0, Digits::SIX).as_str(), "755224"); // RFC 4226 Appendix D, first row
/// ```
#[must_use]
pub fn hotp(key: &TokenKey, counter: u64, digits: Digits) -> Otp {
    Hotp {
        algorithm: Algorithm::Sha1,
        digits,
    }
    .generate(key, counter)
}

/// The parameters of an HOTP token. The default is RFC 4226's: SHA-1, 6 digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hotp {
    /// Hash function; RFC 4226 knows SHA-1 alone, the others follow RFC 6238 §1.2.
    pub algorithm: Algorithm,
    /// Digits of each value.
    pub digits: Digits,
}

/// Replay state of an HOTP token: what must survive a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HotpState {
    /// Smallest counter that may still be accepted; `u64::MAX` means that the token is exhausted.
    pub next: u64,
}

/// A counter whose code was given. Only a search makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HotpMatch {
    /// The counter of the code.
    pub counter: u64,
    /// [`HotpState::next`] once the code is spent: `counter + 1`. Of a replay: as it was.
    pub next: u64,
}

impl HotpMatch {
    /// The state to commit before the code is accepted.
    #[must_use]
    pub const fn state(self) -> HotpState {
        HotpState { next: self.next }
    }
}

impl Hotp {
    /// Counters below [`HotpState::next`] that a search computes to tell a replayed code from a wrong one.
    pub const LOOK_BEHIND: u32 = 10;

    /// Does what only depends on the key, for a server that needs more than one code of it.
    #[must_use]
    pub fn prepare(&self, key: &TokenKey) -> Prepared<Self> {
        Prepared::new(*self, self.algorithm, key)
    }

    /// Computes the value of one counter.
    #[must_use]
    pub fn generate(&self, key: &TokenKey, counter: u64) -> Otp {
        self.prepare(key).generate(counter)
    }

    /// Looks for `otp` among the counters `next ..= next + look_ahead` (RFC 4226 §7.2), nearest first, and
    /// among the [`LOOK_BEHIND`](Self::LOOK_BEHIND) spent counters below them.
    ///
    /// If the value belongs to a fresh and to a spent counter alike it is [`Verdict::Fresh`] at the fresh
    /// one. All values are computed and compared in constant time, also when `otp` has another number of
    /// digits.
    pub fn verify(&self, key: &TokenKey, otp: &Otp, state: HotpState, look_ahead: u32) -> Verdict<HotpMatch> {
        self.prepare(key).verify(otp, state, look_ahead)
    }

    /// Finds the counter of a token that is ahead of the window by two consecutive codes (RFC 4226 §7.4).
    ///
    /// `first` is looked for among the counters `next ..= next + look_ahead`, and `second` must be the code
    /// of the counter after it. The match is that of `second`; both codes are spent with it. A pair of which
    /// a code has been spent before is [`Verdict::Replayed`].
    pub fn resynchronize(
        &self,
        key: &TokenKey,
        first: &Otp,
        second: &Otp,
        state: HotpState,
        look_ahead: u32,
    ) -> Verdict<HotpMatch> {
        self.prepare(key).resynchronize(first, second, state, look_ahead)
    }
}

/// A token that has absorbed its key.
impl Prepared<Hotp> {
    /// Computes the value of one counter.
    #[must_use]
    pub fn generate(&self, counter: u64) -> Otp {
        self.otp(counter, self.parameters().digits)
    }

    /// As [`Hotp::verify`].
    pub fn verify(&self, otp: &Otp, state: HotpState, look_ahead: u32) -> Verdict<HotpMatch> {
        let candidates = candidates(state, look_ahead.into());
        let digits = self.parameters().digits;
        let selection = self.search(otp, digits, candidates, state.next, state.next);
        selection.verdict(fresh, spent(state))
    }

    /// The code of a counter that [`verify`](Self::verify) would look at, fresh or spent, to which `proves` says yes: for methods such as CHAP
    /// (RFC 2865 §2.2) that show a digest of the code in its place. `None` if there is none.
    ///
    /// It is asked about every counter, and its answers are selected from in constant time; which counter it was, `verify` tells.
    ///
    /// ```
    /// # use otp_core::{Hotp, HotpState, TokenKey};
    /// # use subtle::ConstantTimeEq;
    /// let token = Hotp::default().prepare(&TokenKey::from(*b"12345678901234567890"));
    /// let found = token.find(HotpState { next: 0 }, 10, |otp| otp.as_str().as_bytes().ct_eq(b"287082"));
    /// assert_eq!(found.map(|otp| otp.as_str().to_owned()).as_deref(), Some("287082"));
    /// ```
    pub fn find(&self, state: HotpState, look_ahead: u32, proves: impl FnMut(&Otp) -> Choice) -> Option<Otp> {
        let candidates = candidates(state, look_ahead.into());
        self.find_among(self.parameters().digits, candidates, proves)
    }

    /// As [`Hotp::resynchronize`].
    pub fn resynchronize(
        &self,
        first: &Otp,
        second: &Otp,
        state: HotpState,
        look_ahead: u32,
    ) -> Verdict<HotpMatch> {
        let candidates = candidates(state, u64::from(look_ahead).saturating_add(1));
        let digits = self.parameters().digits;
        let selection = self.search_pair([first, second], digits, candidates, state.next, state.next);
        selection.verdict(fresh, spent(state))
    }
}

/// The first and the last counter of a search.
fn candidates(state: HotpState, look_ahead: u64) -> (u64, u64) {
    let first = state.next.saturating_sub(Hotp::LOOK_BEHIND.into());
    (first, state.next.saturating_add(look_ahead).min(LAST))
}

fn fresh(counter: u64) -> HotpMatch {
    HotpMatch {
        counter,
        next: counter.saturating_add(1), // `counter <= LAST`: the sum does not saturate
    }
}

fn spent(state: HotpState) -> impl FnOnce(u64) -> HotpMatch {
    move |counter| HotpMatch {
        counter,
        next: state.next,
    }
}
