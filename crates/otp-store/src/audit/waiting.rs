//! Records that nobody waits for: they go with the next decision that is written, or alone after a moment.
//!
//! Whoever may send requests may have any number of them refused. So a refusal that changes nothing costs no sync of its
//! own, only so many of a second are kept, and only so many wait. What is left out is counted, and the count is a record.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use otp_validation::UnixTime;

use crate::{Digests, Record, StoreError};

/// How long records wait for a decision to go with.
pub(crate) const WAIT: Duration = Duration::from_secs(1);
/// Refusals of one second that are kept.
const PER_SECOND: u32 = 256;
/// Records that wait at most.
const LONGEST_QUEUE: usize = 1024;

/// What the writers of a store have in common: the key of the links, and the records that wait.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    digests: OnceLock<Digests>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Record>,
    /// The second of the newest refusal, and how many it has brought.
    second: u64,
    refusals: u32,
    left_out: u64,
    left_out_at: u64,
}

/// Records that are about to be written.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    records: Vec<Record>,
    left_out: u64,
    left_out_at: u64,
}

impl Trail {
    /// The store is open.
    pub(crate) fn begin(&self, digests: Digests) {
        // Set once, by whoever opens the store.
        let _ = self.digests.set(digests);
    }

    pub(crate) fn digests(&self) -> Result<&Digests, StoreError> {
        // Nobody can hand anything to a store that is not open yet.
        self.digests.get().ok_or(StoreError::WriterGone)
    }

    /// Keeps `record` for later; `true` if it is the first that waits, so that the writer has to be told.
    pub(crate) fn defer(&self, record: Record) -> bool {
        let mut waiting = self.lock();
        let was_idle = waiting.is_idle();
        waiting.add(record);
        was_idle
    }

    /// Whether there is anything to be written.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.lock().is_idle()
    }

    /// What has to be written, which is the caller's task now.
    pub(crate) fn take(&self) -> Batch {
        let mut waiting = self.lock();
        Batch {
            records: waiting.records.drain(..).collect(),
            left_out: std::mem::take(&mut waiting.left_out),
            left_out_at: waiting.left_out_at,
        }
    }

    /// It could not be written: it waits again, before all others.
    pub(crate) fn put_back(&self, batch: Batch) {
        let mut waiting = self.lock();
        waiting.left_out = waiting.left_out.saturating_add(batch.left_out);
        waiting.left_out_at = waiting.left_out_at.max(batch.left_out_at);
        for record in batch.records.into_iter().rev() {
            if waiting.records.len() < LONGEST_QUEUE {
                waiting.records.push_front(record);
            } else {
                waiting.leave_out(record.at);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Numbers and a list: no panic leaves them half written.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.records.is_empty() && self.left_out == 0
    }

    fn add(&mut self, record: Record) {
        if !record.accepts {
            if self.second != record.at.0 {
                (self.second, self.refusals) = (record.at.0, 0);
            }
            self.refusals = self.refusals.saturating_add(1);
        }
        let is_one_too_many = !record.accepts && self.refusals > PER_SECOND;
        if is_one_too_many || self.records.len() >= LONGEST_QUEUE {
            self.leave_out(record.at);
        } else {
            self.records.push_back(record);
        }
    }

    fn leave_out(&mut self, at: UnixTime) {
        self.left_out = self.left_out.saturating_add(1);
        self.left_out_at = at.0;
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.left_out == 0
    }

    /// The records, and one of what was left out.
    pub(crate) fn each(
        &self,
        mut visit: impl FnMut(&Record) -> Result<(), crate::error::Fault>,
    ) -> Result<(), crate::error::Fault> {
        self.records.iter().try_for_each(&mut visit)?;
        if self.left_out == 0 {
            return Ok(());
        }
        visit(&Record::of_left_out(self.left_out, UnixTime(self.left_out_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64, accepts: bool) -> Record {
        Record {
            at: UnixTime(at),
            request: None,
            accepts,
            text: "{}".into(),
        }
    }

    fn written(batch: &Batch) -> Vec<String> {
        let mut texts = Vec::new();
        batch
            .each(|record| {
                texts.push(record.text().to_owned());
                Ok(())
            })
            .unwrap();
        texts
    }

    #[test]
    fn the_first_that_waits_wakes_the_writer() {
        let trail = Trail::default();
        assert!(!trail.is_waiting());
        assert_eq!(
            [trail.defer(record(1, false)), trail.defer(record(1, true))],
            [true, false]
        );
        assert!(trail.is_waiting());
        let batch = trail.take();
        assert_eq!(written(&batch), ["{}", "{}"]);
        assert!(!trail.is_waiting() && trail.take().is_empty());
        trail.put_back(batch);
        assert!(trail.is_waiting() && !trail.defer(record(1, false)));
        assert_eq!(written(&trail.take()).len(), 3);
    }

    #[test]
    fn a_flood_is_counted_and_hides_no_acceptance() {
        let trail = Trail::default();
        for _ in 0..10_000 {
            trail.defer(record(5, false));
        }
        trail.defer(record(5, true));
        let texts = written(&trail.take());
        assert_eq!(texts.len(), 256 + 1 + 1);
        assert_eq!(texts.last().unwrap(), r#"{"left_out":9744}"#);
        // The second goes on: what is left out of it is told by the next batch.
        trail.defer(record(5, false));
        assert!(trail.is_waiting());
        trail.defer(record(6, false));
        assert_eq!(written(&trail.take()), ["{}", r#"{"left_out":1}"#]);
    }

    #[test]
    fn a_store_that_does_not_write_is_waited_for_within_bounds() {
        let trail = Trail::default();
        let mut kept = Batch::default();
        for second in 0..10_u64 {
            for _ in 0..300 {
                trail.defer(record(second, second % 2 == 0));
            }
            trail.put_back(std::mem::take(&mut kept));
            kept = trail.take();
            assert!(kept.records.len() <= LONGEST_QUEUE);
        }
        let total = u64::try_from(kept.records.len()).unwrap() + kept.left_out;
        assert_eq!(total, 3_000, "nothing is lost without being counted");
    }
}
