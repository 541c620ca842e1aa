//! What the searches share: the window, the verdict, the selection in constant time.

use subtle::{Choice, ConditionallySelectable, ConstantTimeLess};

/// What a code is, among the codes of a window.
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

/// The largest moving factor that a search accepts. Its successor must still be a `u64`, for that is what the
/// state holds once it is spent.
pub(crate) const LAST: u64 = u64::MAX - 1;

/// The nearest hit so far. All candidates are offered, in any order; none of the work depends on which of
/// them hit.
pub(crate) struct Nearest {
    found: Choice,
    rank: u64,
    moving_factor: u64,
}

impl Nearest {
    pub(crate) fn new() -> Self {
        Self {
            found: Choice::from(0),
            rank: u64::MAX,
            moving_factor: 0,
        }
    }

    /// Takes the candidate if it hit and its rank is below that of the hits before it.
    pub(crate) fn offer(&mut self, hit: Choice, rank: u64, moving_factor: u64) {
        let nearer = hit & (!self.found | rank.ct_lt(&self.rank));
        self.rank.conditional_assign(&rank, nearer);
        self.moving_factor.conditional_assign(&moving_factor, nearer);
        self.found |= hit;
    }

    pub(crate) fn hit(self) -> Option<u64> {
        bool::from(self.found).then_some(self.moving_factor)
    }
}

/// Two searches in one: over the moving factors that may still be accepted, and over those that are spent.
pub(crate) struct Selection {
    fresh: Nearest,
    spent: Nearest,
}

impl Selection {
    pub(crate) fn new() -> Self {
        Self {
            fresh: Nearest::new(),
            spent: Nearest::new(),
        }
    }

    /// `is_fresh` and `rank` follow from the state and the window, which are no secrets; `hit` is one.
    pub(crate) fn offer(&mut self, hit: Choice, is_fresh: bool, rank: u64, moving_factor: u64) {
        let side = if is_fresh {
            &mut self.fresh
        } else {
            &mut self.spent
        };
        side.offer(hit, rank, moving_factor);
    }

    /// A code that is the code of a fresh factor and of a spent one is fresh, at the fresh factor.
    pub(crate) fn verdict<M>(self, fresh: impl FnOnce(u64) -> M, spent: impl FnOnce(u64) -> M) -> Verdict<M> {
        match (self.fresh.hit(), self.spent.hit()) {
            (Some(factor), _) => Verdict::Fresh(fresh(factor)),
            (None, Some(factor)) => Verdict::Replayed(spent(factor)),
            (None, None) => Verdict::Unmatched,
        }
    }
}
