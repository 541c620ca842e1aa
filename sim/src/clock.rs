//! A wall clock on virtual time: it may be wrong, and it may be set.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use otp_service::Clock;
use otp_validation::UnixTime;
use tokio::time::Instant;

/// When every run begins, by clocks that are right.
pub(crate) const BEGIN: u64 = 1_800_000_000;

/// The clock of one daemon.
#[derive(Debug)]
pub(crate) struct SimClock {
    started: Instant,
    /// Seconds by which it is ahead.
    ahead: AtomicI64,
}

impl SimClock {
    pub(crate) fn new(ahead: i64) -> Self {
        Self {
            started: Instant::now(),
            ahead: AtomicI64::new(ahead),
        }
    }

    pub(crate) fn step(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The time of a clock that is right.
    pub(crate) fn true_time(started: Instant) -> u64 {
        BEGIN.saturating_add(started.elapsed().as_secs())
    }
}

impl Clock for SimClock {
    fn now(&self) -> UnixTime {
        let right = Self::true_time(self.started);
        UnixTime(right.saturating_add_signed(self.ahead.load(Ordering::Relaxed)))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
