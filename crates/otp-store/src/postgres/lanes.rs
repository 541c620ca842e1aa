//! The lanes: tasks that commit whatever has queued, each on a connection of its own.
//!
//! A lane locks the rows that its group is about, decides what becomes of each change ([`plan`]), writes with one
//! statement for each table, and commits. It never cancels anything: a commit without an answer, or one that was answered
//! with a warning, is looked for by the versions that it would have given, and counts only after another commit behind it
//! has become durable.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use otp_validation::UnixTime;
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
    time::{sleep, timeout},
};
use tracing::{error, info};

use crate::{
    Commit, StoreError,
    audit::{self, Batch, Trail},
    commit::{ACCEPTANCES_LIVE, Applied, Counters, Job, PRUNE_EVERY, latest_acceptance},
    error::Fault,
    postgres::{
        batch::{Fate, plan},
        rows::{self, Appended, Locked},
        servers::Servers,
        session::{Committed, Session},
    },
};

/// Changes in one transaction at most.
const GROUP: usize = 256;
/// Changes that may wait at most.
const QUEUE: usize = 4096;
/// Transactions at once: while one waits for the disk, the next is prepared.
const LANES: usize = 4;
/// Attempts at one group; before another attempt a lane waits a little longer each time.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// The way to the lanes: tokio's own queue, because tasks wait at its end and not a thread.
#[derive(Debug)]
pub(crate) struct Lanes {
    queue: mpsc::Sender<Work>,
}

impl Lanes {
    pub(crate) fn start(
        driver: &Handle,
        servers: &Arc<Servers>,
        counters: &Arc<Counters>,
        trail: &Arc<Trail>,
    ) -> Self {
        let (queue, work) = mpsc::channel(QUEUE);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..LANES {
            let lane = Lane {
                work: Arc::clone(&work),
                servers: Arc::clone(servers),
                counters: Arc::clone(counters),
                trail: Arc::clone(trail),
                session: None,
                pruned_at: UnixTime(0),
            };
            // It ends by itself when the last sender is dropped.
            driver.spawn(lane.run());
        }
        Self { queue }
    }

    /// Hands `job` over without waiting.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.tell(Work::Commit(job))
    }

    /// Tells the lanes of records that wait.
    pub(crate) fn wake(&self) -> Result<(), StoreError> {
        self.tell(Work::Records)
    }

    fn tell(&self, work: Work) -> Result<(), StoreError> {
        self.queue.try_send(work).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::WriterGone,
        })
    }
}

/// What a lane is told.
#[derive(Debug)]
enum Work {
    /// Somebody waits for this.
    Commit(Job),
    /// There are records of the audit trail that nobody waits for.
    Records,
}

impl Work {
    fn job(self) -> Option<Job> {
        match self {
            Self::Commit(job) => Some(job),
            Self::Records => None,
        }
    }
}

struct Lane {
    work: Arc<Mutex<mpsc::Receiver<Work>>>,
    servers: Arc<Servers>,
    counters: Arc<Counters>,
    trail: Arc<Trail>,
    session: Option<Session>,
    pruned_at: UnixTime,
}

/// How an attempt failed.
enum Failure {
    /// Nothing was committed.
    NotAtAll(Fault),
    /// A COMMIT was sent, which would have brought these about, and nobody knows what became of it.
    Perhaps(Fault, Vec<Fate>),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::NotAtAll(fault)
    }
}

/// What became of a commit in doubt.
enum Trace {
    /// It is durable.
    Found,
    /// It did not happen, and will not any more.
    Absent,
    /// Every account has moved on since: whether by it or without it, is not to be seen.
    Overwritten,
}

impl Lane {
    async fn run(mut self) {
        while let Some(group) = self.next_group().await {
            let records = self.trail.take();
            if !self.settle(group, &records).await {
                self.trail.put_back(records);
            }
        }
    }

    /// The decisions that are next; none, if records of the audit trail have waited long enough for one. `None` if that
    /// is all.
    async fn next_group(&self) -> Option<Vec<Job>> {
        // One lane waits for work; the others work, or wait for it.
        let mut queue = self.work.lock().await;
        loop {
            let mut work = Vec::new();
            let mut waited_enough = false;
            let count = if self.trail.is_waiting() {
                let waited = timeout(audit::WAIT, queue.recv_many(&mut work, GROUP)).await;
                waited_enough = waited.is_err();
                waited.unwrap_or_default()
            } else {
                queue.recv_many(&mut work, GROUP).await
            };
            if count == 0 && !waited_enough {
                return None;
            }
            let group: Vec<_> = work.into_iter().filter_map(Work::job).collect();
            if waited_enough || !group.is_empty() {
                return Some(group);
            }
        }
    }

    /// Brings a group to an end: every job is answered, or has gone. `true` if `records` are written.
    async fn settle(&mut self, mut group: Vec<Job>, records: &Batch) -> bool {
        let mut doubt: Option<Vec<Fate>> = None;
        let mut last = StoreError::UnknownOutcome;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                sleep(PAUSE.saturating_mul(1 << attempt)).await;
            }
            if doubt.is_none() {
                // Nobody would learn of the outcome, so nothing is spent.
                group.retain(|job| !job.reply.is_closed());
            }
            let has_records = doubt.is_none() && !records.is_empty();
            if group.iter().all(|job| job.reply.is_closed()) && !has_records {
                // Of a commit in doubt, whoever asks again finds what became. Its records are written once more: better
                // twice than not at all.
                return records.is_empty();
            }
            let failure = match doubt.take() {
                None => match self.attempt(&group, records).await {
                    Ok(fates) => {
                        self.succeeded(group, fates);
                        return true;
                    }
                    Err(failure) => failure,
                },
                Some(fates) => match self.look_for(&group).await {
                    Ok(Trace::Found) => {
                        self.succeeded(group, fates);
                        return true;
                    }
                    Ok(Trace::Absent) => continue,
                    Ok(Trace::Overwritten) => {
                        let conflicts = group.iter().map(|_| Ok(Applied::Conflict)).collect();
                        self.succeeded(group, conflicts);
                        return records.is_empty();
                    }
                    // Still in doubt, whatever became of the looking.
                    Err(Failure::NotAtAll(cause) | Failure::Perhaps(cause, _)) => {
                        Failure::Perhaps(cause, fates)
                    }
                },
            };
            let (cause, fates) = match failure {
                Failure::NotAtAll(cause) => (cause, None),
                Failure::Perhaps(cause, fates) => (cause, Some(fates)),
            };
            doubt = fates;
            self.give_up_session(&cause);
            let is_final = doubt.is_none() && !cause.is_transient();
            last = if doubt.is_some() {
                StoreError::UnknownOutcome
            } else {
                cause.during("committing")
            };
            self.is_failing(&last);
            if is_final {
                break;
            }
        }
        Counters::add(&self.counters.failed_groups, 1);
        answer_all(group, &last);
        records.is_empty()
    }

    /// One transaction.
    async fn attempt(&mut self, group: &[Job], records: &Batch) -> Result<Vec<Fate>, Failure> {
        let session = self.session().await?;
        let locked = rows::lock(session, group.iter().map(|job| &job.change)).await?;
        let Locked {
            seen,
            tail,
            waits_for,
        } = locked;
        let (fates, writes) = plan(seen, group.iter().map(|job| &job.change));
        if writes.accounts.is_empty() && records.is_empty() {
            session.rollback().await?;
            return Ok(fates);
        }
        self.servers.check_replication(&waits_for).map_err(Fault::from)?;
        let mut appended = Appended::to(tail);
        let digests = self.trail.digests().map_err(Fault::from)?;
        for (job, fate) in group.iter().zip(&fates) {
            if matches!(fate, Ok(Applied::Done)) {
                appended.add(digests, &job.record)?;
            }
        }
        records.each(|record| appended.add(digests, record))?;
        let end = self.prune_before(group);
        let session = self.session().await?;
        rows::write(session, &writes, &appended).await?;
        if let Some(end) = end {
            rows::prune(session, end).await?;
        }
        match session.commit().await {
            Committed::Durably => Ok(fates),
            Committed::NotAtAll(fault) => Err(Failure::NotAtAll(fault)),
            Committed::Perhaps(fault) => Err(Failure::Perhaps(fault, fates)),
        }
    }

    /// Which acceptances may be forgotten, if it is time to.
    fn prune_before(&mut self, group: &[Job]) -> Option<UnixTime> {
        let now = latest_acceptance(group.iter())?;
        if now.distance(self.pruned_at) < PRUNE_EVERY {
            return None;
        }
        self.pruned_at = now;
        Some(UnixTime(now.0.saturating_sub(ACCEPTANCES_LIVE)))
    }

    /// Looks for what a commit in doubt would have done.
    ///
    /// The rows are locked first: a commit that is still under way is waited for. A trace of it may be of a commit that
    /// no standby has, so it counts when a write behind it is durable.
    async fn look_for(&mut self, group: &[Job]) -> Result<Trace, Failure> {
        let session = self.session().await?;
        let Locked { seen, waits_for, .. } = rows::lock(session, group.iter().map(|job| &job.change)).await?;
        let users: Vec<i64> = group.iter().map(|job| job.change.user.0).collect();
        let present = |job: &Job| seen.versions.get(&job.change.user).copied();
        let is_change = |job: &&Job| !job.change.effects.is_empty();
        let mut found = group
            .iter()
            .filter(is_change)
            .any(|job| present(job) == Some(job.change.becomes.0));
        if !found {
            let versions: Vec<i64> = group.iter().map(|job| job.change.becomes.0).collect();
            found = rows::any_acceptance(session, &users, &versions).await?;
        }
        let untouched = |job: &Job| present(job) == Some(job.change.version.0);
        if !found {
            session.rollback().await?;
            return Ok(if group.iter().any(untouched) {
                Trace::Absent
            } else {
                Trace::Overwritten
            });
        }
        self.servers.check_replication(&waits_for).map_err(Fault::from)?;
        let session = self.session().await?;
        rows::confirm(session, &users).await?;
        match session.commit().await {
            Committed::Durably => Ok(Trace::Found),
            Committed::NotAtAll(fault) | Committed::Perhaps(fault) => Err(Failure::NotAtAll(fault)),
        }
    }

    /// The lane's connection, or a new one.
    async fn session(&mut self) -> Result<&Session, Fault> {
        let kept = self
            .session
            .take()
            .filter(|session| self.servers.is_current(session));
        let session = match kept {
            Some(session) => session,
            None => {
                let session = self.servers.connect().await?;
                // Statements that are known are sent in the order in which they are asked for.
                rows::prepare(&session).await?;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    /// After a failure the connection is in doubt, and so may be its server.
    fn give_up_session(&mut self, cause: &Fault) {
        if let Some(session) = self.session.take()
            && cause.is_of_the_server()
        {
            self.servers.abandon(&session);
        }
    }

    fn succeeded(&self, group: Vec<Job>, fates: Vec<Fate>) {
        if self.counters.failing.swap(false, Ordering::Relaxed) {
            info!(database = self.servers.name(), "the store commits again");
        }
        Counters::add(&self.counters.groups, 1);
        Counters::add(&self.counters.changes, group.len());
        for (job, fate) in group.into_iter().zip(fates) {
            let answer = fate.map(|applied| match applied {
                Applied::Done => Commit::durable(job.accepts),
                Applied::Conflict => {
                    Counters::add(&self.counters.conflicts, 1);
                    Commit::Conflict
                }
            });
            // Whoever has gone away in the meantime has decided not to know.
            let _ = job.reply.send(answer);
        }
    }

    fn is_failing(&self, cause: &StoreError) {
        if !self.counters.failing.swap(true, Ordering::Relaxed) {
            error!(
                error = cause as &dyn std::error::Error,
                database = self.servers.name(),
                "the store does not commit: nobody is accepted until it does. Look for a server that is down, standbys that do \
                 not answer, a full disk; it recovers by itself"
            );
        }
    }
}

fn answer_all(jobs: impl IntoIterator<Item = Job>, cause: &StoreError) {
    for job in jobs {
        let _ = job.reply.send(Err(cause.clone()));
    }
}
