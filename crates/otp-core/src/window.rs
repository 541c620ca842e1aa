//! How far a search goes, and what it finds.

/// What a code is, among the codes of a window.
///
/// The order in which candidates count is part of the contract, for with six digits a window may hold the same
/// code twice:
///
/// 1. fresh before spent: a code is [`Replayed`](Self::Replayed) only if no factor in reach that may still be
///    accepted has it;
/// 2. nearest first: [`Hotp`](crate::Hotp) from the next counter on, ascending; [`Totp`](crate::Totp) by the
///    distance from the expected step;
/// 3. of two equally near, the later, so that less may be accepted afterwards.
///
/// What is fresh is never below the `next` of the state, and its own `next` lies above it: no sequence of
/// searches whose states are committed accepts a moving factor twice.
///
/// A caller holds the moving factor in its hand exactly when there is one. To accept is to commit the `next`
/// of a fresh match, and to fail when the store has moved on meanwhile:
///
/// ```
/// # use otp_core::{Hotp, HotpState, TokenKey, Verdict};
/// # let (hotp, key) = (Hotp::default(), TokenKey::from(*b"12345678901234567890"));
/// let mut state = HotpState { next: 0 };
/// let otp = hotp.generate(&key, 2);
/// if let Verdict::Fresh(matched) = hotp.verify(&key, &otp, state, 10) {
///     state = matched.state(); // counters 0 and 1 are spent with it
/// }
/// assert_eq!(state, HotpState { next: 3 });
/// assert!(matches!(hotp.verify(&key, &otp, state, 10), Verdict::Replayed(_)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "only `Verdict::Fresh` may be accepted, and only once its state is committed"]
pub enum Verdict<M> {
    /// The code of a moving factor that has not been spent.
    Fresh(M),
    /// The code of a moving factor at or below the last accepted one: refuse. The state in the match is
    /// unchanged.
    Replayed(M),
    /// The code of no moving factor in reach: refuse.
    Unmatched,
}

impl<M> Verdict<M> {
    /// The same verdict about something made of the match.
    pub fn map<N>(self, make: impl FnOnce(M) -> N) -> Verdict<N> {
        match self {
            Self::Fresh(matched) => Verdict::Fresh(make(matched)),
            Self::Replayed(matched) => Verdict::Replayed(make(matched)),
            Self::Unmatched => Verdict::Unmatched,
        }
    }

    /// The match that may be accepted.
    #[must_use]
    pub fn fresh(self) -> Option<M> {
        match self {
            Self::Fresh(matched) => Some(matched),
            Self::Replayed(_) | Self::Unmatched => None,
        }
    }
}

/// How far from the expected time step a code may be (RFC 6238 §5.2, §6). Unit: time steps.
///
/// The default is one step on either side, the most that RFC 6238 §5.2 recommends for delay in transmission.
/// Every step more is one more code that an attacker may hit.
///
/// ```
/// # use otp_core::Window;
/// assert_eq!(Window::default(), Window { past: 1, future: 1 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Steps before the expected one: the user types slowly, or the device's clock is behind.
    pub past: u32,
    /// Steps after the expected one: the device's clock is ahead.
    pub future: u32,
}

impl Window {
    /// The window of `steps` on either side.
    #[must_use]
    pub const fn symmetric(steps: u32) -> Self {
        Self {
            past: steps,
            future: steps,
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::symmetric(1)
    }
}
