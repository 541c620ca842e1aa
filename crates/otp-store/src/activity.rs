//! What a store is doing, for those who watch it: counted on the way, read without asking the database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::time::Instant;

/// How many values there were up to each of some bounds.
///
/// Recording is two additions to atomic numbers; whoever reads may see a value that was recorded just now in one of them alone.
///
/// ```
/// let sizes = otp_store::Histogram::new(&[1, 10, 100]);
/// for size in [1, 7, 5000] {
///     sizes.record(size);
/// }
/// let seen = sizes.distribution();
/// assert_eq!(seen.up_to().collect::<Vec<_>>(), [(1, 1), (10, 2), (100, 2)]);
/// assert_eq!((seen.count(), seen.sum), (3, 5008));
/// ```
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is above all of them.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one; `bounds` ascend.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn record(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What has been counted so far.
    pub fn distribution(&self) -> Distribution {
        Distribution {
            bounds: self.bounds,
            counts: self
                .buckets
                .iter()
                .map(|bucket| bucket.load(Ordering::Relaxed))
                .collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// What a [`Histogram`] has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    bounds: &'static [u64],
    counts: Vec<u64>,
    /// All values together.
    pub sum: u64,
}

impl Distribution {
    /// Each bound, and how many values were no greater.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let totals = self.counts.iter().scan(0_u64, |total, count| {
            *total = total.saturating_add(*count);
            Some(*total)
        });
        self.bounds.iter().copied().zip(totals)
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |total, count| total.saturating_add(*count))
    }
}

/// What a store has done since this process opened it, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Decisions in one transaction; their number is that of transactions.
    pub group_sizes: Distribution,
    /// Microseconds from a decision to its commit being durable, or having failed.
    pub commit_micros: Distribution,
    /// Decisions that were not committed because the account had changed; they were made again.
    pub conflicts: u64,
    /// Transactions that failed: nobody in them was accepted.
    pub failed_groups: u64,
    /// Decisions that wait for their commit now.
    pub waiting: u64,
    /// Writers of this process that wait for another program to finish writing.
    pub turns_awaited: u64,
}

/// What the writer has done since this process opened the store.
#[derive(Debug)]
pub(crate) struct Counters {
    sizes: Histogram,
    micros: Histogram,
    pub(crate) conflicts: AtomicU64,
    pub(crate) failed_groups: AtomicU64,
    waiting: AtomicU64,
    /// Whether the last attempt to commit, by the writer or as a probe, failed.
    pub(crate) failing: AtomicBool,
}

/// No transaction is larger than the last but one.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Microseconds.
const TIMES: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000,
];

impl Default for Counters {
    fn default() -> Self {
        Self {
            sizes: Histogram::new(SIZES),
            micros: Histogram::new(TIMES),
            conflicts: AtomicU64::default(),
            failed_groups: AtomicU64::default(),
            waiting: AtomicU64::default(),
            failing: AtomicBool::default(),
        }
    }
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A transaction with so many decisions is durable.
    pub(crate) fn committed(&self, decisions: usize) {
        self.sizes.record(u64::try_from(decisions).unwrap_or(u64::MAX));
    }

    /// A decision begins to wait for its commit, until what is returned is dropped.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting {
            counters: self,
            since: Instant::now(),
        }
    }

    /// How many transactions were committed.
    pub(crate) fn groups(&self) -> u64 {
        self.sizes.distribution().count()
    }

    /// How many decisions were in them.
    pub(crate) fn changes(&self) -> u64 {
        self.sizes.distribution().sum
    }

    pub(crate) fn activity(&self, turns_awaited: u64) -> Activity {
        Activity {
            group_sizes: self.sizes.distribution(),
            commit_micros: self.micros.distribution(),
            conflicts: self.conflicts.load(Ordering::Relaxed),
            failed_groups: self.failed_groups.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            turns_awaited,
        }
    }
}

/// A decision that waits for its commit.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    counters: &'a Counters,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters.micros.record(micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_each_bound() {
        let histogram = Histogram::new(SIZES);
        for value in [0, 1, 2, 3, 256, 512, 513, u64::MAX / 2] {
            histogram.record(value);
        }
        let seen = histogram.distribution();
        let up_to: Vec<_> = seen.up_to().map(|(_, count)| count).collect();
        assert_eq!(up_to, [2, 3, 4, 4, 4, 4, 4, 4, 5, 6]);
        assert_eq!(seen.count(), 8);
    }

    #[test]
    fn who_waits_is_counted_until_it_is_over() {
        let counters = Counters::default();
        let waiting = counters.wait();
        assert_eq!(counters.activity(0).waiting, 1);
        drop(waiting);
        let seen = counters.activity(3);
        assert_eq!(
            (seen.waiting, seen.turns_awaited, seen.commit_micros.count()),
            (0, 3, 1)
        );
    }
}
