//! The lanes: tasks that commit whatever has queued, each on a connection of its own.
//!
//! A lane locks the rows that its group is about, decides what becomes of each change ([`plan`]), writes with one
//! statement for each table, and commits. It never cancels anything: a commit without an answer, or one that was answered
//! with a warning, is looked for by what it would have appended to the audit trail, and counts only after another commit
//! behind it has become durable.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
    time::{sleep, timeout},
};
use tracing::{error, info};

use crate::{
    Commit, StoreError,
    activity::Counters,
    audit::{self, Batch, Trail},
    commit::{Applied, Job},
    error::Fault,
    postgres::{
        batch::plan,
        rows::{self, Appended, Found, Locked, Mark},
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
            };
            // It ends by itself when the last sender is dropped.
            driver.spawn(lane.run());
        }
        Self { queue }
    }

    /// Hands `job` over without waiting.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.tell(Work::Commit(Box::new(job)))
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
    Commit(Box<Job>),
    /// There are records of the audit trail that nobody waits for.
    Records,
}

impl Work {
    fn job(self) -> Option<Job> {
        match self {
            Self::Commit(job) => Some(*job),
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
}

/// How an attempt failed.
enum Failure {
    /// Nothing was committed.
    NotAtAll(Fault),
    /// A COMMIT was sent, and nobody knows what became of it.
    Perhaps(Fault, Doubt),
}

/// What a commit in doubt would have brought about.
struct Doubt {
    fates: Vec<Applied>,
    mark: Mark,
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
        let mut doubt: Option<Doubt> = None;
        let mut last = StoreError::UnknownOutcome;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                sleep(PAUSE.saturating_mul(1 << attempt)).await;
            }
            if doubt.is_none() {
                // Nobody would learn of the outcome, so nothing is spent.
                group.retain(|job| !job.reply.is_closed());
            }
            if group.iter().all(|job| job.reply.is_closed()) && records.is_empty() {
                // Of a commit in doubt, whoever asks again finds what became.
                return true;
            }
            let failure = match doubt.take() {
                None => match self.attempt(&group, records).await {
                    Ok(fates) => {
                        self.succeeded(group, fates);
                        return true;
                    }
                    Err(failure) => failure,
                },
                Some(doubt) => match self.look_for(&doubt.mark).await {
                    Ok(Trace::Found) => {
                        self.succeeded(group, doubt.fates);
                        return true;
                    }
                    Ok(Trace::Absent) => continue,
                    // Still in doubt, whatever became of the looking.
                    Err(cause) => Failure::Perhaps(cause, doubt),
                },
            };
            let (cause, still) = match failure {
                Failure::NotAtAll(cause) => (cause, None),
                Failure::Perhaps(cause, doubt) => (cause, Some(doubt)),
            };
            doubt = still;
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
    async fn attempt(&mut self, group: &[Job], records: &Batch) -> Result<Vec<Applied>, Failure> {
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
            if *fate == Applied::Done {
                appended.add(digests, &job.record)?;
                appended.note(&job.change);
            }
        }
        records.each(|record| appended.add(digests, record))?;
        let mark = appended.mark().map_err(Fault::from)?;
        let session = self.session().await?;
        rows::write(session, &writes, &appended).await?;
        match session.commit().await {
            Committed::Durably => Ok(fates),
            Committed::NotAtAll(fault) => Err(Failure::NotAtAll(fault)),
            Committed::Perhaps(fault) => Err(Failure::Perhaps(fault, Doubt { fates, mark })),
        }
    }

    /// Looks for what a commit in doubt has appended to the audit trail.
    ///
    /// Its chain is locked first: a commit that is still under way is waited for. A trace of it may be of a commit that no
    /// standby has, so it counts when a write behind it is durable.
    async fn look_for(&mut self, mark: &Mark) -> Result<Trace, Fault> {
        let session = self.session().await?;
        let found = rows::look_for(session, mark).await?;
        let Some(Found {
            is_there: true,
            waits_for,
        }) = found
        else {
            session.rollback().await?;
            return Ok(Trace::Absent);
        };
        self.servers.check_replication(&waits_for)?;
        let session = self.session().await?;
        rows::confirm(session, mark).await?;
        match session.commit().await {
            Committed::Durably => Ok(Trace::Found),
            Committed::NotAtAll(fault) | Committed::Perhaps(fault) => Err(fault),
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

    fn succeeded(&self, group: Vec<Job>, fates: Vec<Applied>) {
        if self.counters.failing.swap(false, Ordering::Relaxed) {
            info!(database = self.servers.name(), "the store commits again");
        }
        self.counters.committed(group.len());
        for (job, fate) in group.into_iter().zip(fates) {
            let answer = match fate {
                Applied::Done => Commit::durable(job.accepts),
                Applied::Conflict => {
                    Counters::add(&self.counters.conflicts, 1);
                    Commit::Conflict
                }
            };
            // Whoever has gone away in the meantime has decided not to know.
            let _ = job.reply.send(Ok(answer));
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
