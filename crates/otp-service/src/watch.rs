//! Wall clocks are set back. What is remembered for some seconds must not come back with them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use otp_store::{AccountStore, StoreError};
use otp_validation::UnixTime;
use tracing::warn;

use crate::Clock;

/// Reads the clock, and makes the store forget the verdicts that may be asked for again when the clock has gone back.
///
/// A verdict is kept for seconds. If the clock goes back to where it was then, those seconds come again, and with them
/// an acceptance of a code that is long spent. Replay state needs no such care: it does not depend on the clock.
#[derive(Clone)]
pub(crate) struct ClockWatch {
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Copy)]
struct Seen {
    /// Since when the clock has only gone on: the start, or when it was last found set back.
    since: UnixTime,
    /// What it showed last; `None` before it was compared with what is in the store.
    latest: Option<UnixTime>,
}

impl ClockWatch {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let seen = Seen {
            since: clock.now(),
            latest: None,
        };
        Self {
            clock,
            seen: Arc::new(Mutex::new(seen)),
        }
    }

    /// Since when the clock has only gone on. What is remembered of before is another process's.
    pub(crate) fn since(&self) -> UnixTime {
        self.lock().since
    }

    /// Now, by a clock that has not gone back since it was read last; verdicts of a time that lies ahead are forgotten.
    ///
    /// # Errors
    ///
    /// What keeps the store from forgetting: nothing may be decided then.
    pub(crate) async fn now(&self, store: &impl AccountStore) -> Result<UnixTime, StoreError> {
        match self.onward() {
            Some(now) => Ok(now),
            None => self.settle(store).await,
        }
    }

    /// Now, unless the clock is behind what it has shown, or was never compared with the store.
    fn onward(&self) -> Option<UnixTime> {
        let mut seen = self.lock();
        // Read under the lock: otherwise a thread that was slow would look like a clock that went back.
        let now = self.clock.now();
        let is_onward = seen.latest.is_some_and(|latest| latest <= now);
        is_onward.then(|| *seen.latest.insert(now))
    }

    async fn settle(&self, store: &impl AccountStore) -> Result<UnixTime, StoreError> {
        let newest = store.newest_acceptance().await?;
        let shown = self.lock().latest.max(newest);
        let now = self.clock.now();
        let was_set_back = shown.is_some_and(|shown| now < shown);
        if was_set_back {
            store.forget_acceptances().await?;
            warn!(
                now = now.0,
                "the clock went back: verdicts of the last seconds are forgotten, so that no old one comes back with it"
            );
        }
        let mut seen = self.lock();
        if was_set_back {
            seen.since = now;
        }
        seen.latest = Some(now);
        Ok(now)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A few words: no panic leaves them half written.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
