//! How long something has taken lately.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Durations of the last times.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What is assumed until something has been seen.
    assumed: Duration,
    latest: Mutex<VecDeque<Duration>>,
}

/// How many times are remembered.
const REMEMBERED: usize = 32;

impl Pace {
    /// Nothing has been seen yet.
    pub(crate) const fn new(assumed: Duration) -> Self {
        Self {
            assumed,
            latest: Mutex::new(VecDeque::new()),
        }
    }

    /// Another time it took this long.
    pub(crate) fn saw(&self, took: Duration) {
        let mut latest = self.lock();
        if latest.len() >= REMEMBERED {
            latest.pop_front();
        }
        latest.push_back(took);
    }

    /// How long it takes: half of the last times were not slower.
    pub(crate) fn median(&self) -> Duration {
        let mut sorted: Vec<_> = self.lock().iter().copied().collect();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len().saturating_sub(1) / 2);
        middle.copied().unwrap_or(self.assumed)
    }

    /// The slowest of the last times.
    pub(crate) fn slowest(&self) -> Duration {
        self.lock().iter().max().copied().unwrap_or(self.assumed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Duration>> {
        // A few numbers: no panic leaves them half written.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_has_been_seen_replaces_what_was_assumed() {
        let pace = Pace::new(ms(80));
        assert_eq!((pace.median(), pace.slowest()), (ms(80), ms(80)));
        pace.saw(ms(20));
        assert_eq!((pace.median(), pace.slowest()), (ms(20), ms(20)));
        for took in [30, 900, 25, 22] {
            pace.saw(ms(took));
        }
        assert_eq!((pace.median(), pace.slowest()), (ms(25), ms(900)));
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let pace = Pace::new(ms(80));
        pace.saw(ms(900));
        for _ in 0..REMEMBERED - 1 {
            pace.saw(ms(20));
        }
        assert_eq!(pace.slowest(), ms(900));
        pace.saw(ms(20));
        assert_eq!((pace.median(), pace.slowest()), (ms(20), ms(20)));
    }
}
