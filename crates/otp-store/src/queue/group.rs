//! Jobs that wait for a commit, and the groups in which they are taken.
//!
//! Whoever hands a job over takes one lock, and wakes the writer only if it sleeps: once for all that comes in until it is
//! awake. A job is owned by exactly one: by who hands it over, by the queue, by the writer. So it is answered at most once,
//! and who drops it without an answer tells whoever waits that there will be none.

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::sync::{Condvar, Mutex, MutexGuard};

/// Jobs of type `J` on their way to a writer, which is started by the first of them.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    /// Jobs that may wait at most.
    capacity: usize,
    state: Mutex<State<J>>,
    /// There is something to do for the writer, which sleeps.
    work: Condvar,
}

#[derive(Debug)]
struct State<J> {
    /// Empty while there is no writer.
    jobs: VecDeque<J>,
    /// The writer shall ask again how long it may wait.
    is_nudged: bool,
    /// Nothing comes any more.
    is_closed: bool,
    /// Somebody holds the [`Groups`].
    has_writer: bool,
    /// The writer waits, and nobody has woken it yet.
    is_asleep: bool,
}

/// Why something was not handed over. It has no effect.
#[derive(Debug)]
pub(crate) enum Refused {
    /// As much waits as may.
    Full,
    /// The queue was closed.
    Closed,
    /// There was no writer, and none could be started.
    NotStarted(io::Error),
}

/// The taking end of a queue; there is never more than one. When it is dropped, whatever waits is dropped with it, and the
/// next job starts another writer.
#[derive(Debug)]
pub(crate) struct Groups<J>(Arc<Queue<J>>);

/// What a writer does with a group.
pub(crate) trait GroupCommit<J> {
    /// What became of one job of a group that was committed.
    type Outcome;
    /// Why a group was not committed, or why nobody knows whether it was.
    type Failure;

    /// How long the next group may be waited for, if something has to be written that is no job; without a job it is a
    /// group of none then.
    fn patience(&self) -> Option<Duration>;

    /// Commits `group`, and whatever of `groups` joins it when its turn has come. The outcomes stand in its order.
    fn commit(&mut self, group: &mut Vec<J>, groups: &Groups<J>)
    -> Result<Vec<Self::Outcome>, Self::Failure>;

    /// Answers the jobs of a group that was committed.
    fn succeeded(&mut self, group: Vec<J>, outcomes: Vec<Self::Outcome>);

    /// Answers the jobs of a group that was not, and those that came in meanwhile.
    fn failed(&mut self, group: Vec<J>, failure: Self::Failure);
}

/// What there is to do next.
enum Next<J> {
    Job(J),
    /// To ask again how long to wait.
    Nudged,
    /// The time is over.
    Waited,
    /// Nothing will come any more.
    End,
}

impl<J> Queue<J> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            is_nudged: false,
            is_closed: false,
            has_writer: false,
            is_asleep: false,
        };
        Self {
            capacity,
            state: Mutex::new(state),
            work: Condvar::new(),
        }
    }

    /// Hands `job` over without waiting. `start` is called if there is no writer: it shall make one serve the groups.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the job has been dropped.
    pub(crate) fn push(
        self: &Arc<Self>,
        job: J,
        start: impl FnOnce(Groups<J>) -> io::Result<()>,
    ) -> Result<(), Refused> {
        self.hand_over(Some(job), start)
    }

    /// Tells the writer that there is something to write that is no job.
    ///
    /// # Errors
    ///
    /// [`Refused`], but never [`Refused::Full`].
    pub(crate) fn nudge(
        self: &Arc<Self>,
        start: impl FnOnce(Groups<J>) -> io::Result<()>,
    ) -> Result<(), Refused> {
        self.hand_over(None, start)
    }

    fn hand_over(
        self: &Arc<Self>,
        job: Option<J>,
        start: impl FnOnce(Groups<J>) -> io::Result<()>,
    ) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if job.is_some() && state.jobs.len() >= self.capacity {
            return Err(Refused::Full);
        }
        match job {
            Some(job) => state.jobs.push_back(job),
            None => state.is_nudged = true,
        }
        let was_asleep = mem::take(&mut state.is_asleep);
        let had_writer = mem::replace(&mut state.has_writer, true);
        // Whoever is woken needs the lock.
        drop(state);
        if was_asleep {
            self.work.notify_one();
        }
        if !had_writer {
            // If it fails, it has dropped the groups, and with them the job and all that have come since.
            start(Groups(Arc::clone(self))).map_err(Refused::NotStarted)?;
        }
        Ok(())
    }

    /// Nothing comes any more: the writer commits what waits, and ends.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        drop(state);
        self.work.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // The state is whole whenever the lock is free.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> State<J> {
    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && !self.is_nudged && !self.is_closed
    }
}

impl<J> Groups<J> {
    /// Lets `writer` commit group after group until the queue is closed and empty. A writer that panics answers nobody
    /// of its group, nor of those that wait.
    pub(crate) fn serve(self, writer: &mut impl GroupCommit<J>) {
        while let Some(group) = self.next_group(writer) {
            self.settle(group, writer);
        }
        // Once, whatever becomes of it.
        if writer.patience().is_some() {
            self.settle(Vec::new(), writer);
        }
    }

    /// Takes what waits, up to `limit` jobs in `group`.
    pub(crate) fn take_more(&self, group: &mut Vec<J>, limit: usize) {
        let mut state = self.0.lock();
        let count = limit.saturating_sub(group.len()).min(state.jobs.len());
        group.extend(state.jobs.drain(..count));
    }

    /// The first job of the next group; none, if something else has waited long enough for one. `None` if that is all.
    fn next_group(&self, writer: &impl GroupCommit<J>) -> Option<Vec<J>> {
        loop {
            match self.next(writer.patience()) {
                Next::Job(job) => return Some(vec![job]),
                Next::Nudged => {}
                Next::Waited => return Some(Vec::new()),
                Next::End => return None,
            }
        }
    }

    fn next(&self, patience: Option<Duration>) -> Next<J> {
        let queue = &*self.0;
        let mut state = queue.lock();
        if state.is_idle() {
            state.is_asleep = true;
            state = match patience {
                None => queue
                    .work
                    .wait_while(state, |state| state.is_idle())
                    .unwrap_or_else(PoisonError::into_inner),
                Some(limit) => {
                    let woken = queue
                        .work
                        .wait_timeout_while(state, limit, |state| state.is_idle());
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.is_asleep = false;
        }
        let is_nudged = mem::take(&mut state.is_nudged);
        match state.jobs.pop_front() {
            Some(job) => Next::Job(job),
            None if state.is_closed => Next::End,
            None if is_nudged => Next::Nudged,
            None => Next::Waited,
        }
    }

    fn settle<W: GroupCommit<J>>(&self, mut group: Vec<J>, writer: &mut W) {
        match writer.commit(&mut group, self) {
            Ok(outcomes) => writer.succeeded(group, outcomes),
            Err(failure) => {
                // Nobody shall wait for one attempt after the other.
                self.take_more(&mut group, usize::MAX);
                writer.failed(group, failure);
            }
        }
    }
}

impl<J> Drop for Groups<J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_writer = false;
        let jobs = mem::take(&mut state.jobs);
        // Whoever learns of it may hand over the next job at once.
        drop(state);
        drop(jobs);
    }
}
