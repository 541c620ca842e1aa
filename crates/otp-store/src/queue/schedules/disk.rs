//! A disk whose commits fail now and then, take their time, and are watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use shuttle::{
    rand::{Rng as _, thread_rng},
    sync::mpsc::{Receiver, Sender, channel},
    thread::yield_now,
};

use super::group::{GroupCommit, Groups};

/// Jobs in one commit at most.
const GROUP: usize = 3;

/// What is on the disk, and everything that was said about it. Its lock is no step of an order.
#[derive(Default)]
pub(super) struct Disk {
    /// Whether a commit may fail.
    may_fail: bool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The jobs that were committed, in order.
    committed: Vec<u8>,
    /// A writer is at work.
    is_busy: bool,
    handed_over: BTreeSet<u8>,
    /// Whoever handed these over still listens.
    refused: BTreeMap<u8, Handed>,
    /// Those that were answered, or of which nobody waits for the answer any more.
    settled: BTreeSet<u8>,
    failed: BTreeSet<u8>,
    /// Those that waited while a commit failed.
    doomed: BTreeSet<u8>,
    /// Who wants to be told when what nobody waits for is written.
    records: Vec<Sender<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Durable,
    Failed,
    /// The job was dropped.
    Gone,
}

/// What is to be committed. The first digit of its number is the submitter's.
pub(super) struct Job {
    id: u8,
    reply: Sender<Answer>,
    has_left: Arc<AtomicBool>,
}

/// The way back to whoever handed a job over.
pub(super) struct Handed {
    answer: Receiver<Answer>,
    has_left: Arc<AtomicBool>,
}

impl Handed {
    /// Waits.
    pub(super) fn answer(self) -> Answer {
        let answer = self.answer.recv().unwrap_or(Answer::Gone);
        assert!(self.answer.recv().is_err(), "another answer");
        answer
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.has_left.store(true, Ordering::Relaxed);
    }
}

impl Disk {
    pub(super) fn sound() -> Self {
        Self::default()
    }

    pub(super) fn sometimes_failing() -> Self {
        Self {
            may_fail: true,
            ..Self::default()
        }
    }

    pub(super) fn job(&self, id: u8) -> (Job, Handed) {
        let (reply, answer) = channel();
        let has_left = Arc::<AtomicBool>::default();
        let job = Job {
            id,
            reply,
            has_left: Arc::clone(&has_left),
        };
        (job, Handed { answer, has_left })
    }

    pub(super) fn was_handed_over(&self, id: u8) {
        self.seen().handed_over.insert(id);
    }

    pub(super) fn was_refused(&self, id: u8, handed: Handed) {
        self.seen().refused.insert(id, handed);
    }

    /// Keeps something that nobody's answer depends on; `true` if it is the first, so that the writer has to be told.
    pub(super) fn defer(&self, written: Sender<()>) -> bool {
        let mut seen = self.seen();
        seen.records.push(written);
        seen.records.len() == 1
    }

    /// Whether all that was said is true, now that all is over.
    pub(super) fn check(&self) {
        let seen = self.seen();
        let on_disk: BTreeSet<u8> = seen.committed.iter().copied().collect();
        assert_eq!(on_disk.len(), seen.committed.len(), "twice: {:?}", seen.committed);
        let refused = seen.refused.keys().copied().collect();
        for (why, never) in [
            ("refused", &refused),
            ("answered as failed", &seen.failed),
            ("there while a commit failed", &seen.doomed),
        ] {
            assert!(
                on_disk.is_disjoint(never),
                "{never:?} {why}, and {on_disk:?} committed"
            );
        }
        for submitter in 0..10 {
            let own = seen.committed.iter().filter(|id| **id / 10 == submitter);
            assert!(own.is_sorted(), "not in order: {:?}", seen.committed);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

/// A writer of the disk.
pub(super) struct Commits {
    disk: Arc<Disk>,
}

impl Commits {
    pub(super) fn on(disk: &Arc<Disk>) -> Self {
        Self {
            disk: Arc::clone(disk),
        }
    }

    /// Takes a group, does half of what is to be done, and is no more.
    pub(super) fn die_with(self, groups: Groups<Job>) {
        self.begin();
        let mut group = Vec::new();
        groups.take_more(&mut group, GROUP);
        yield_now();
        if thread_rng().r#gen() {
            let mut seen = self.disk.seen();
            seen.committed.extend(group.iter().map(|job| job.id));
        }
        yield_now();
        self.end();
        // As a panic would unwind it.
        drop(group);
        drop(groups);
    }

    fn begin(&self) {
        let was_busy = std::mem::replace(&mut self.disk.seen().is_busy, true);
        assert!(!was_busy, "two writers at once");
    }

    fn end(&self) {
        self.disk.seen().is_busy = false;
    }
}

impl GroupCommit<Job> for Commits {
    /// The job that was committed.
    type Outcome = u8;
    type Failure = ();

    fn patience(&self) -> Option<Duration> {
        let is_waiting = !self.disk.seen().records.is_empty();
        is_waiting.then_some(Duration::from_secs(1))
    }

    fn commit(&mut self, group: &mut Vec<Job>, groups: &Groups<Job>) -> Result<Vec<u8>, ()> {
        self.begin();
        yield_now();
        groups.take_more(group, GROUP);
        assert!(group.len() <= GROUP, "a group of {}", group.len());
        group.retain(|job| !job.has_left.load(Ordering::Relaxed));
        let records = std::mem::take(&mut self.disk.seen().records);
        yield_now();
        let fails = self.disk.may_fail && thread_rng().gen_ratio(1, 3);
        let mut seen = self.disk.seen();
        if fails {
            let waiting: Vec<u8> = seen.handed_over.difference(&seen.settled).copied().collect();
            seen.doomed.extend(waiting);
            seen.records.extend(records);
            drop(seen);
            self.end();
            return Err(());
        }
        let ids: Vec<u8> = group.iter().map(|job| job.id).collect();
        seen.committed.extend(&ids);
        drop(seen);
        for written in records {
            // Whoever wanted to know may have gone.
            let _ = written.send(());
        }
        self.end();
        Ok(ids)
    }

    fn succeeded(&mut self, group: Vec<Job>, outcomes: Vec<u8>) {
        assert_eq!(group.len(), outcomes.len(), "as many as were committed");
        for (job, committed) in group.into_iter().zip(outcomes) {
            assert_eq!(job.id, committed, "the outcome of another job");
            let mut seen = self.disk.seen();
            assert!(seen.committed.contains(&job.id), "durable before it is");
            seen.settled.insert(job.id);
            drop(seen);
            let _ = job.reply.send(Answer::Durable);
        }
    }

    fn failed(&mut self, group: Vec<Job>, (): ()) {
        for job in group {
            let mut seen = self.disk.seen();
            seen.settled.insert(job.id);
            seen.failed.insert(job.id);
            drop(seen);
            let _ = job.reply.send(Answer::Failed);
        }
    }
}
