//! Wall clocks are set back. What is remembered for some seconds must not come back with them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use otp_store::{AccountStore, StoreError};
use otp_validation::UnixTime;
use tracing::warn;

use crate::alarm::{Alarm, Alarms};

/// Compares the wall clock that decisions are made by with the time that has passed, and makes the store forget the
/// verdicts that may be asked for again when that clock has gone back.
///
/// A verdict is kept for seconds. If the clock goes back to where it was then, those seconds come again, and with them
/// an acceptance of a code that is long spent. Replay state needs no such care: it does not depend on the clock.
#[derive(Clone, Debug)]
pub(crate) struct ClockWatch {
    seen: Arc<Mutex<Seen>>,
    alarms: Arc<Mutex<Alarms>>,
    /// Alarms so far.
    told: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Seen {
    /// Since when the clock has only gone on: the start, or when it was last found set back.
    since: Duration,
    /// What the clock has been seen to show; `None` before it was compared with what is in the store.
    latest: Option<Reading>,
}

/// What a wall clock showed, and between which moments it was asked ([`Clock::elapsed`](crate::Clock::elapsed)).
///
/// A clock of this machine is asked in no time; that of a database answers from the other end of a network, and answers
/// overtake each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) time: UnixTime,
    pub(crate) asked: Duration,
    pub(crate) answered: Duration,
}

impl Reading {
    /// What the clock shows at `moment` at least, if it only goes on.
    fn at_least(&self, moment: Duration) -> Duration {
        let passed = moment.saturating_sub(self.answered);
        // Two clocks that are both right part by less than this.
        let passed = passed.saturating_sub(passed / DRIFT);
        let too_early = self.answered.saturating_sub(moment);
        Duration::from_secs(self.time.0)
            .saturating_add(passed)
            .saturating_sub(too_early)
    }

    /// Whether this clock must have gone back since `earlier`.
    fn is_behind(&self, earlier: &Self) -> bool {
        // It shows whole seconds: almost one more may have gone by.
        let less_than = Duration::from_secs(self.time.0.saturating_add(1));
        less_than <= earlier.at_least(self.asked)
    }

    /// The one of the two that has more to say of a later reading.
    fn or_stricter(self, other: Self) -> Self {
        let moment = self.answered.max(other.answered);
        if self.at_least(moment) < other.at_least(moment) {
            other
        } else {
            self
        }
    }
}

/// One second in this many.
pub(crate) const DRIFT: u32 = 1000;

impl ClockWatch {
    /// Begins to watch at `now`.
    pub(crate) fn new(now: Duration) -> Self {
        let seen = Seen {
            since: now,
            latest: None,
        };
        Self {
            seen: Arc::new(Mutex::new(seen)),
            alarms: Arc::default(),
            told: Arc::default(),
        }
    }

    /// Tells, in the log, of a clock that jumped and of two that are apart. `store` is the reading of the store's own clock,
    /// taken just before the machine's.
    pub(crate) fn compare(&self, machine: Reading, store: Option<Reading>) {
        let alarms = self
            .alarms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look(machine, store);
        let count = u64::try_from(alarms.len()).unwrap_or(u64::MAX);
        self.told.fetch_add(count, Ordering::Relaxed);
        alarms.into_iter().for_each(Alarm::say);
    }

    /// How many alarms there have been.
    pub(crate) fn alarms(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Since when the clock has only gone on. What is remembered of before is another process's.
    pub(crate) fn since(&self) -> Duration {
        self.lock().since
    }

    /// Whether decisions may be made by `reading`. If not, [`settle`](Self::settle) comes first, and then a new snapshot:
    /// this one may hold verdicts that are to be forgotten.
    pub(crate) fn is_onward(&self, reading: Reading) -> bool {
        let mut seen = self.lock();
        let is_onward = seen.latest.is_some_and(|latest| !reading.is_behind(&latest));
        if is_onward {
            seen.latest = seen.latest.map(|latest| reading.or_stricter(latest));
        }
        is_onward
    }

    /// Compares a reading with what is known, and makes the store forget its verdicts if the clock has gone back.
    ///
    /// # Errors
    ///
    /// What keeps the store from forgetting: nothing may be decided then.
    pub(crate) async fn settle(&self, store: &impl AccountStore, reading: Reading) -> Result<(), StoreError> {
        let newest = store.newest_acceptance().await?;
        let was_set_back = {
            let seen = self.lock();
            let is_behind = seen.latest.is_some_and(|latest| reading.is_behind(&latest));
            // Before the first reading all there is to compare with is what the clock showed to those who were before.
            is_behind || (seen.latest.is_none() && newest.is_some_and(|newest| reading.time < newest))
        };
        if was_set_back {
            store.forget_acceptances().await?;
            warn!(
                now = reading.time.0,
                "the clock went back: verdicts of the last seconds are forgotten, so that no old one comes back with it"
            );
        }
        let mut seen = self.lock();
        if was_set_back {
            seen.since = reading.answered;
            seen.latest = Some(reading);
        } else {
            seen.latest = Some(seen.latest.map_or(reading, |latest| reading.or_stricter(latest)));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A few words: no panic leaves them half written.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading of a clock of this machine, after so many milliseconds.
    fn at(millis: u64, time: u64) -> Reading {
        let moment = Duration::from_millis(millis);
        Reading {
            time: UnixTime(time),
            asked: moment,
            answered: moment,
        }
    }

    #[test]
    fn a_clock_that_goes_on_is_never_behind() {
        // It shows whole seconds of a time that began at 100.7.
        let shown = |millis: u64| at(millis, 100 + (700 + millis) / 1000);
        for earlier in (0..5000).step_by(50) {
            for later in (earlier..5000).step_by(50) {
                assert!(!shown(later).is_behind(&shown(earlier)), "{earlier} {later}");
            }
        }
    }

    #[test]
    fn a_second_back_is_noticed_and_so_is_standing_still() {
        let first = at(0, 100);
        assert!(at(1, 99).is_behind(&first));
        assert!(!at(999, 100).is_behind(&first));
        assert!(at(1002, 100).is_behind(&first), "a second has passed");
        assert!(
            at(60_000, 129).is_behind(&first),
            "thirty seconds back, after a minute"
        );
        assert!(!at(60_000, 160).is_behind(&first));
        assert!(
            !at(60_000, 9000).is_behind(&first),
            "a step forward is no step back"
        );
    }

    #[test]
    fn answers_that_overtake_each_other_are_no_step_back() {
        let from = |asked: u64, answered: u64, time: u64| Reading {
            time: UnixTime(time),
            asked: Duration::from_millis(asked),
            answered: Duration::from_millis(answered),
        };
        // Asked at 100.0 and answered late, after one that was asked at 100.9 and answered 101.
        let (slow, quick) = (from(0, 3000, 100), from(1000, 1100, 101));
        assert!(!slow.is_behind(&quick) && !quick.is_behind(&slow));
        let kept = slow.or_stricter(quick);
        assert_eq!(kept.time, UnixTime(101));
    }

    #[test]
    fn clocks_that_part_slowly_are_both_right() {
        let day = 86_400_u64;
        // Half a second in a thousand slower than this machine's, over a day.
        let slower = at(day * 1000, 100 + day - day / 2000);
        assert!(!slower.is_behind(&at(0, 100)));
        assert!(at(day * 1000, 100 + day - 600).is_behind(&at(0, 100)));
    }
}
