//! The one writer of a process: a thread with a connection of its own, which commits whatever has queued in one go.
//!
//! A commit costs a sync of the disk, whether it holds one change or hundreds. So the thread waits for one change, takes
//! its turn, takes everything else that has come in by then, and answers all of them after the one COMMIT. Records of the
//! audit trail that nobody waits for go along.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvError, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use otp_validation::UnixTime;
use rusqlite::Connection;
use tracing::{error, info, warn};

use crate::{
    Commit, Paths, StoreError,
    apply::apply,
    audit::{self, Batch, Tail, Trail},
    commit::{ACCEPTANCES_LIVE, Applied, Counters, Job, PRUNE_EVERY, Work, latest_acceptance},
    error::Fault,
    sql::Sql,
    sqlite::limits::Limits,
    sqlite::session::WriteSession,
};

/// Changes in one transaction at most, so that the first of them does not wait for ever.
const GROUP: usize = 256;
/// Changes that may wait at most.
const QUEUE: usize = 4096;
/// The way to the thread, which is started by the first job.
#[derive(Debug)]
pub(crate) struct Writer {
    paths: Arc<Paths>,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    trail: Arc<Trail>,
    queue: Mutex<Option<SyncSender<Work>>>,
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
            queue: Mutex::new(None),
        }
    }

    /// Hands `work` over without waiting.
    pub(crate) fn submit(&self, work: Work) -> Result<(), StoreError> {
        // The queue is whole whenever the lock is free.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let work = match queue.as_ref() {
            Some(sender) => match sender.try_send(work) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => return Err(StoreError::Overloaded),
                // The thread has ended, which only a defect can bring about: the next one may do better.
                Err(TrySendError::Disconnected(work)) => work,
            },
            None => work,
        };
        let sender = self
            .start()
            .map_err(|error| StoreError::io("start the writer of", self.paths.database(), error))?;
        let sent = sender.try_send(work).map_err(|_| StoreError::WriterGone);
        *queue = Some(sender);
        sent
    }

    fn start(&self) -> io::Result<SyncSender<Work>> {
        let (sender, work) = sync_channel(QUEUE);
        let thread = WriterThread {
            work,
            is_last: false,
            paths: Arc::clone(&self.paths),
            limits: Arc::clone(&self.limits),
            counters: Arc::clone(&self.counters),
            trail: Arc::clone(&self.trail),
            session: None,
            pruned_at: UnixTime(0),
        };
        // It ends by itself when the last sender is dropped and its queue is empty.
        thread::Builder::new()
            .name("otp-store-writer".into())
            .spawn(move || thread.run())?;
        Ok(sender)
    }
}

struct WriterThread {
    work: Receiver<Work>,
    /// Whether nobody can hand over anything any more.
    is_last: bool,
    paths: Arc<Paths>,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    trail: Arc<Trail>,
    /// `None` before the first group and after a failure.
    session: Option<WriteSession>,
    pruned_at: UnixTime,
}

impl WriterThread {
    fn run(mut self) {
        while let Some(mut group) = self.next_group() {
            let mut records = Batch::default();
            match self.commit(&mut group, &mut records) {
                Ok(outcomes) => self.succeeded(group, outcomes),
                Err(fault) => {
                    self.trail.put_back(records);
                    self.failed(group, fault);
                }
            }
        }
    }

    /// The first decision of the next group; none, if records have waited long enough for one. `None` if that is all.
    fn next_group(&mut self) -> Option<Vec<Job>> {
        while !self.is_last {
            let next = if self.trail.is_waiting() {
                self.work.recv_timeout(audit::WAIT)
            } else {
                self.work
                    .recv()
                    .map_err(|RecvError| RecvTimeoutError::Disconnected)
            };
            match next {
                Ok(Work::Commit(job)) => return Some(vec![job]),
                // From now on the wait is bounded.
                Ok(Work::Records) => {}
                Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => self.is_last = true,
            }
            if self.is_last && self.trail.is_waiting() {
                return Some(Vec::new());
            }
        }
        None
    }

    /// Commits `group` and whatever joins it; the outcomes stand in its order. The `records` that go along are the
    /// caller's, should it fail.
    fn commit(
        &mut self,
        group: &mut Vec<Job>,
        records: &mut Batch,
    ) -> Result<Vec<Result<Applied, StoreError>>, Fault> {
        let digests = self.trail.digests()?;
        let mut session = match self.session.take() {
            Some(session) => session,
            None => WriteSession::open(&self.paths, &self.limits)?,
        };
        let outcomes = session.transaction(|transaction| {
            // Now that it is our turn: all that came in while we waited.
            let more = self.work.try_iter().filter_map(Work::job);
            group.extend(more.take(GROUP.saturating_sub(group.len())));
            *records = self.trail.take();
            // Nobody would learn of the outcome, so nothing is spent.
            group.retain(|job| !job.reply.is_closed());
            if let Some(now) =
                latest_acceptance(group.iter()).filter(|now| now.distance(self.pruned_at) >= PRUNE_EVERY)
            {
                prune(transaction, now)?;
                self.pruned_at = now;
            }
            let transaction = Sql::Sqlite(transaction);
            let mut tail = Tail::claim(transaction)?;
            let mut outcomes = Vec::with_capacity(group.len());
            for job in &*group {
                let applied = apply(transaction, &job.change)?;
                if matches!(applied, Ok(Applied::Done)) {
                    tail.append(transaction, digests, &job.record)?;
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

    fn succeeded(&mut self, group: Vec<Job>, outcomes: Vec<Result<Applied, StoreError>>) {
        if self.counters.failing.swap(false, Ordering::Relaxed) {
            info!(path = %self.paths.state_dir.display(), "the store commits again");
        }
        Counters::add(&self.counters.groups, 1);
        Counters::add(&self.counters.changes, group.len());
        for (job, outcome) in group.into_iter().zip(outcomes) {
            let answer = outcome.map(|applied| match applied {
                Applied::Done => Commit::durable(job.accepts),
                Applied::Conflict => {
                    Counters::add(&self.counters.conflicts, 1);
                    Commit::Conflict
                }
            });
            // Whoever has gone away in the meantime has decided not to know.
            let _ = job.reply.send(answer);
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
    fn failed(&mut self, mut group: Vec<Job>, fault: Fault) {
        self.session = None;
        // Nobody shall wait for one attempt after the other.
        group.extend(self.work.try_iter().filter_map(Work::job).take(QUEUE));
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

fn prune(transaction: &Connection, now: UnixTime) -> Result<(), Fault> {
    let end = crate::value::time(UnixTime(now.0.saturating_sub(ACCEPTANCES_LIVE)));
    transaction
        .prepare_cached("DELETE FROM acceptances WHERE accepted_at < ?1")?
        .execute([end])?;
    Ok(())
}

#[cfg(test)]
mod tests;
