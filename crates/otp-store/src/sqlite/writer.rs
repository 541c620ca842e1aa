//! The one writer of a process: a thread with a connection of its own, which commits whatever has queued in one go.
//!
//! A commit costs a sync of the disk, whether it holds one change or hundreds. So the thread waits for one change, takes
//! its turn, takes everything else that has come in by then, and answers all of them after the one COMMIT. Records of the
//! audit trail that nobody waits for go along.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use tracing::{error, info, warn};

use crate::{
    Commit, Paths, StoreError,
    activity::Counters,
    apply::apply,
    audit::{self, Batch, Tail, Trail},
    commit::{Applied, Job},
    error::Fault,
    queue::{GroupCommit, Groups, Queue, Refused},
    sql::Sql,
    sqlite::limits::Limits,
    sqlite::session::WriteSession,
};

/// Changes in one transaction at most, so that the first of them does not wait for ever.
const GROUP: usize = 256;
/// Changes that may wait at most.
const QUEUE: usize = 4096;

/// The way to the thread, which is started by the first job. It ends when this is dropped and nothing waits any more.
#[derive(Debug)]
pub(crate) struct Writer {
    paths: Arc<Paths>,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    trail: Arc<Trail>,
    queue: Arc<Queue<Job>>,
}

impl Writer {
    pub(crate) fn new(
        paths: Arc<Paths>,
        limits: Arc<Limits>,
        counters: Arc<Counters>,
        trail: Arc<Trail>,
    ) -> Self {
        Self {
            paths,
            limits,
            counters,
            trail,
            queue: Arc::new(Queue::new(QUEUE)),
        }
    }

    /// Hands `job` over without waiting.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        let handed_over = self.queue.push(job, |groups| self.start(groups));
        handed_over.map_err(|refused| self.error(refused))
    }

    /// Tells the thread of records that wait.
    pub(crate) fn wake(&self) -> Result<(), StoreError> {
        let told = self.queue.nudge(|groups| self.start(groups));
        told.map_err(|refused| self.error(refused))
    }

    /// The first thread, or one in the place of one that has ended, which only a defect can bring about.
    fn start(&self, groups: Groups<Job>) -> io::Result<()> {
        let mut thread = WriterThread {
            paths: Arc::clone(&self.paths),
            limits: Arc::clone(&self.limits),
            counters: Arc::clone(&self.counters),
            trail: Arc::clone(&self.trail),
            session: None,
        };
        thread::Builder::new()
            .name("otp-store-writer".into())
            .spawn(move || groups.serve(&mut thread))?;
        Ok(())
    }

    fn error(&self, refused: Refused) -> StoreError {
        match refused {
            Refused::Full => StoreError::Overloaded,
            Refused::Closed => StoreError::WriterGone,
            Refused::NotStarted(error) => StoreError::io("start the writer of", self.paths.database(), error),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct WriterThread {
    paths: Arc<Paths>,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    trail: Arc<Trail>,
    /// `None` before the first group and after a failure.
    session: Option<WriteSession>,
}

impl WriterThread {
    /// Commits `group` and whatever joins it; the outcomes stand in its order. The `records` that go along are the
    /// caller's, should it fail.
    fn transact(
        &mut self,
        group: &mut Vec<Job>,
        records: &mut Batch,
        groups: &Groups<Job>,
    ) -> Result<Vec<Applied>, Fault> {
        let digests = self.trail.digests()?;
        let mut session = match self.session.take() {
            Some(session) => session,
            None => WriteSession::open(&self.paths, &self.limits)?,
        };
        let outcomes = session.transaction(|transaction| {
            // Now that it is our turn: all that came in while we waited.
            groups.take_more(group, GROUP);
            *records = self.trail.take();
            // Nobody would learn of the outcome, so nothing is spent.
            group.retain(|job| !job.reply.is_closed());
            let transaction = Sql::Sqlite(transaction);
            let mut tail = Tail::claim(transaction)?;
            let mut outcomes = Vec::with_capacity(group.len());
            for job in &*group {
                let applied = apply(transaction, &job.change)?;
                if applied == Applied::Done {
                    tail.append(transaction, digests, &job.record)?;
                    tail.note(&job.change);
                }
                outcomes.push(applied);
            }
            records.each(|record| tail.append(transaction, digests, record))?;
            tail.release(transaction)?;
            Ok(outcomes)
        })?;
        // Only a session that has worked is used again.
        self.session = Some(session);
        Ok(outcomes)
    }
}

impl GroupCommit<Job> for WriterThread {
    type Outcome = Applied;
    type Failure = Fault;

    fn patience(&self) -> Option<Duration> {
        self.trail.is_waiting().then_some(audit::WAIT)
    }

    fn commit(&mut self, group: &mut Vec<Job>, groups: &Groups<Job>) -> Result<Vec<Self::Outcome>, Fault> {
        let mut records = Batch::default();
        let committed = self.transact(group, &mut records, groups);
        if committed.is_err() {
            self.trail.put_back(records);
        }
        committed
    }

    fn succeeded(&mut self, group: Vec<Job>, outcomes: Vec<Self::Outcome>) {
        if self.counters.failing.swap(false, Ordering::Relaxed) {
            info!(path = %self.paths.state_dir.display(), "the store commits again");
        }
        self.counters.committed(group.len());
        for (job, outcome) in group.into_iter().zip(outcomes) {
            let answer = match outcome {
                Applied::Done => Commit::durable(job.accepts),
                Applied::Conflict => {
                    Counters::add(&self.counters.conflicts, 1);
                    Commit::Conflict
                }
            };
            // Whoever has gone away in the meantime has decided not to know.
            let _ = job.reply.send(Ok(answer));
        }
        // Everybody has been answered: time to tidy up.
        if let Some(Err(fault)) = self.session.as_mut().map(WriteSession::tidy) {
            let cause = fault.during("emptying the write-ahead log");
            warn!(
                error = &cause as &dyn std::error::Error,
                "the write-ahead log keeps growing"
            );
            self.session = None;
        }
    }

    /// Fails closed: whether anything of the group is on disk is unknown, so nobody gets an acceptance.
    fn failed(&mut self, group: Vec<Job>, fault: Fault) {
        self.session = None;
        let cause = fault.during("committing");
        Counters::add(&self.counters.failed_groups, 1);
        if !self.counters.failing.swap(true, Ordering::Relaxed) {
            error!(
                error = &cause as &dyn std::error::Error,
                path = %self.paths.state_dir.display(),
                "the store does not commit: nobody is accepted until it does. Look for a full disk, another program that holds \
                 the database, a failing device; it recovers by itself"
            );
        }
        for job in group {
            let _ = job.reply.send(Err(cause.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
