//! When to ask which server again, as MIT libkrad divides its time.

use std::time::Duration;

/// How long a request may take, and how often each server is asked.
///
/// With `n` servers, each has `timeout / n`, and each try `timeout / n / (retries + 1)`; both divisions
/// truncate to milliseconds. The last try waits until the timeout is over.
///
/// ```
/// # use {krad::RetrySchedule, std::time::Duration};
/// let schedule = RetrySchedule::new(Duration::from_secs(4), 1);
/// assert_eq!(schedule.per_remote(2), Duration::from_secs(2));
/// assert_eq!(schedule.per_try(2), Duration::from_secs(1)); // sends at 0, 1 to one, at 2, 3 to the other
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetrySchedule {
    timeout: Duration,
    retries: u32,
}

impl RetrySchedule {
    /// A request may take `timeout`, and a datagram is sent `retries` times more to each server. Streams know
    /// no retries.
    #[must_use]
    pub const fn new(timeout: Duration, retries: u32) -> Self {
        Self { timeout, retries }
    }

    /// How long the whole request may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How often a datagram is sent again to one server.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The time that each of `remotes` servers has, in whole milliseconds; all of it if there is none.
    #[must_use]
    pub fn per_remote(&self, remotes: usize) -> Duration {
        divided(self.timeout, remotes.try_into().unwrap_or(u64::MAX))
    }

    /// The time that each datagram to each of `remotes` servers has, in whole milliseconds.
    #[must_use]
    pub fn per_try(&self, remotes: usize) -> Duration {
        divided(self.per_remote(remotes), self.tries().into())
    }

    /// How often a datagram is sent to one server.
    pub(crate) const fn tries(&self) -> u32 {
        self.retries.saturating_add(1)
    }
}

impl Default for RetrySchedule {
    /// What a KDC does unless configured otherwise: 5 seconds, 3 retries.
    fn default() -> Self {
        Self::new(Duration::from_secs(5), 3)
    }
}

/// Whole milliseconds of `time / divisor`, truncated; a divisor of zero counts as one.
pub(crate) fn divided(time: Duration, divisor: u64) -> Duration {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(milliseconds.checked_div(divisor).unwrap_or(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (timeout in ms, retries, servers, per server, per try), libkrad 1.20.
    const TABLE: [(u64, u32, usize, u64, u64); 7] = [
        (4000, 3, 1, 4000, 1000),
        (3000, 1, 1, 3000, 1500),
        (4000, 1, 2, 2000, 1000),
        (1000, 3, 1, 1000, 250),
        (5000, 3, 3, 1666, 416),
        (5000, 0, 1, 5000, 5000),
        (2, 3, 1, 2, 0),
    ];

    #[test]
    fn both_divisions_truncate() {
        for (timeout, retries, remotes, per_remote, per_try) in TABLE {
            let schedule = RetrySchedule::new(Duration::from_millis(timeout), retries);
            assert_eq!(
                schedule.per_remote(remotes).as_millis(),
                per_remote.into(),
                "{schedule:?}"
            );
            assert_eq!(
                schedule.per_try(remotes).as_millis(),
                per_try.into(),
                "{schedule:?}"
            );
        }
    }

    #[test]
    fn extremes_are_total() {
        let longest = RetrySchedule::new(Duration::MAX, u32::MAX);
        assert_eq!(longest.per_remote(0), Duration::from_millis(u64::MAX));
        assert_eq!(longest.per_try(usize::MAX), Duration::ZERO);
    }
}
