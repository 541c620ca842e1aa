//! Failures, growing delays and locks (RFC 4226 §7.3).
//!
//! Codes and passwords have budgets of their own: whoever guesses codes does not lock the password out, and the other
//! way round. A lock ends by itself, because a lock that only a person can lift is a gift to whoever knows user names.

use crate::UnixTime;

/// Failures in a row before the first delay.
const FREE_FAILURES: u32 = 3;
/// The longest delay, in seconds.
const LONGEST_DELAY: u64 = 15 * 60;

/// Which part of a credential was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// The one-time password.
    Otp,
    /// The password.
    Password,
}

/// Failures in a row and the lock that follows from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lockout {
    /// Wrong codes since the last acceptance.
    pub otp_failures: u32,
    /// Wrong passwords (with a right code) since the last acceptance.
    pub password_failures: u32,
    /// The first second at which a credential is looked at again; 0 = now.
    pub locked_until: u64,
}

impl Lockout {
    /// Whether credentials are refused unseen at `now`.
    pub fn is_locked(&self, now: UnixTime) -> bool {
        self.seconds_left(now) > 0
    }

    /// How long credentials will be refused unseen, in seconds from `now`; 0 if they are looked at.
    ///
    /// A lock that would last longer than any lock does was set by a clock that ran ahead and has been set back since. It
    /// has ended; the failures stay counted.
    pub fn seconds_left(&self, now: UnixTime) -> u64 {
        let left = self.locked_until.saturating_sub(now.0);
        if left > LONGEST_DELAY { 0 } else { left }
    }

    /// The state after one more failure at `now`: from the third in a row on, the delay doubles from 1 s to 15 minutes.
    #[must_use]
    pub fn after_failure(self, factor: Factor, now: UnixTime) -> Self {
        let mut next = self;
        let failures = match factor {
            Factor::Otp => &mut next.otp_failures,
            Factor::Password => &mut next.password_failures,
        };
        *failures = failures.saturating_add(1);
        if let Some(doublings) = failures.checked_sub(FREE_FAILURES) {
            let delay = 1_u64
                .checked_shl(doublings)
                .unwrap_or(LONGEST_DELAY)
                .min(LONGEST_DELAY);
            let until = now.0.saturating_add(delay);
            next.locked_until = if self.is_locked(now) {
                self.locked_until.max(until)
            } else {
                until
            };
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_from_the_third_failure_on() {
        let mut lockout = Lockout::default();
        let mut delays = Vec::new();
        for _ in 0..16 {
            let now = UnixTime(1_000_000.max(lockout.locked_until));
            lockout = lockout.after_failure(Factor::Otp, now);
            delays.push(lockout.locked_until.saturating_sub(now.0));
        }
        assert_eq!(
            delays,
            [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]
        );
    }

    #[test]
    fn factors_have_budgets_of_their_own() {
        let now = UnixTime(50);
        let lockout = Lockout::default()
            .after_failure(Factor::Otp, now)
            .after_failure(Factor::Otp, now)
            .after_failure(Factor::Password, now)
            .after_failure(Factor::Password, now);
        assert!(!lockout.is_locked(now));
        let locked = lockout.after_failure(Factor::Password, now);
        assert!(locked.is_locked(now) && !locked.is_locked(UnixTime(51)));
    }

    #[test]
    fn a_clock_that_ran_ahead_locks_nobody_out_for_ever() {
        let ahead = UnixTime(4_000_000_000);
        let now = UnixTime(1_700_000_000);
        let mut lockout = Lockout::default();
        for _ in 0..20 {
            lockout = lockout.after_failure(Factor::Otp, ahead);
        }
        assert!(lockout.is_locked(ahead) && !lockout.is_locked(now));
        let next = lockout.after_failure(Factor::Otp, now);
        assert_eq!(next.otp_failures, 21, "what was counted stays counted");
        assert_eq!(next.locked_until, now.0 + LONGEST_DELAY, "and the next one locks");
    }

    #[test]
    fn a_failure_never_shortens_a_lock() {
        let now = UnixTime(1_700_000_000);
        let mut lockout = Lockout {
            otp_failures: 20,
            ..Lockout::default()
        };
        lockout = lockout.after_failure(Factor::Otp, now);
        for _ in 0..5 {
            lockout = lockout.after_failure(Factor::Password, now);
            assert_eq!(lockout.locked_until, now.0 + LONGEST_DELAY);
        }
    }

    #[test]
    fn counts_never_overflow() {
        let lockout = Lockout {
            otp_failures: u32::MAX,
            ..Lockout::default()
        };
        let next = lockout.after_failure(Factor::Otp, UnixTime(u64::MAX));
        assert_eq!((next.otp_failures, next.locked_until), (u32::MAX, u64::MAX));
    }
}
