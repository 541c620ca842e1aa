//! The store of a run: the model of `otp-store` on a disk that is slow, fails, and dies with its daemon.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use otp_service::Clock as _;
use otp_store::{
    AccountStore, ClientRecord, Commit, Digests, Freshness, Record, Snapshot, Source, StoreError,
    model::{Cache, Model},
};
use otp_validation::{Account, AccountVersion, Decision, Effect, ReplyRules, UnixTime, UserId, UserName};
use rand::{RngExt as _, rngs::StdRng};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    clock::SimClock,
    plan::{Control, DiskPlan},
};

/// What is durable, and how it came there.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) model: Model,
    /// Every commit that changed something, in the order in which they became durable.
    pub(crate) log: Vec<Committed>,
    /// The clock of a database that several daemons share.
    pub(crate) clock: Option<Arc<SimClock>>,
    plan: DiskPlan,
    control: Control,
    rng: StdRng,
}

/// One durable commit.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) at: Instant,
    pub(crate) user: UserId,
    pub(crate) effects: Vec<Effect>,
}

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    Fails,
    FailsThoughDone,
    Kills,
}

impl Disk {
    pub(crate) fn new(
        mut model: Model,
        clock: Option<Arc<SimClock>>,
        (plan, control): (DiskPlan, Control),
        rng: StdRng,
    ) -> Self {
        if control == Control::DoesNotCompare {
            model.dangerous_stop_comparing();
        }
        let log = Vec::new();
        Self {
            model,
            log,
            clock,
            plan,
            control,
            rng,
        }
    }

    /// From now on, nothing goes wrong.
    pub(crate) fn heal(&mut self) {
        self.plan = DiskPlan {
            slow: 0,
            fails: 0,
            ambiguous: 0,
            fatal: 0,
            latency: Duration::from_millis(1),
        };
    }

    fn latency(&mut self) -> Duration {
        if self.rng.random_ratio(self.plan.slow, 1000) {
            return Duration::from_millis(self.rng.random_range(1000..6000));
        }
        let longest = u64::try_from(self.plan.latency.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.rng.random_range(0..=longest))
    }

    fn fate_of_read(&mut self) -> Fate {
        if self.rng.random_ratio(self.plan.fails, 1000) {
            Fate::Fails
        } else {
            Fate::Works
        }
    }

    fn fate_of_commit(&mut self) -> Fate {
        let lot = self.rng.random_range(0..1000);
        let DiskPlan {
            fails,
            ambiguous,
            fatal,
            ..
        } = self.plan;
        if lot < fails {
            Fate::Fails
        } else if lot < fails + ambiguous {
            Fate::FailsThoughDone
        } else if lot < fails + ambiguous + fatal {
            Fate::Kills
        } else {
            Fate::Works
        }
    }

    fn commit(&mut self, account: &Account, mut decision: Decision) -> Result<Commit, StoreError> {
        if self.control == Control::ForgetsVerdicts {
            decision
                .effects
                .retain(|effect| !matches!(effect, Effect::Remember(_)));
        }
        let commit = self.model.commit(account, &decision)?;
        if commit != Commit::Conflict && !decision.effects.is_empty() {
            self.log.push(Committed {
                at: Instant::now(),
                user: account.user.id,
                effects: decision.effects,
            });
        }
        Ok(commit)
    }
}

/// One daemon's handle on the disk. Its work goes on when nobody waits any more, and ends with the daemon.
#[derive(Clone)]
pub(crate) struct SimStore {
    digests: Digests,
    disk: Arc<Mutex<Disk>>,
    work: Arc<Mutex<JoinSet<()>>>,
    kill: mpsc::UnboundedSender<()>,
    /// What this daemon remembers, as the real store does.
    cache: Arc<Cache>,
}

impl SimStore {
    /// A handle for a daemon that dies when something is sent to `kill`.
    pub(crate) fn new(disk: Arc<Mutex<Disk>>, kill: mpsc::UnboundedSender<()>) -> Self {
        let digests = lock(&disk).model.digests();
        Self {
            digests,
            disk,
            work: Arc::default(),
            kill,
            cache: Arc::default(),
        }
    }

    /// The work in progress, to be ended with the daemon.
    pub(crate) fn work(&self) -> Arc<Mutex<JoinSet<()>>> {
        Arc::clone(&self.work)
    }

    async fn read<T>(&self, look: impl FnOnce(&mut Disk) -> T + Send) -> Result<T, StoreError> {
        let (before, after, fate) = {
            let mut disk = lock(&self.disk);
            (disk.latency(), disk.latency(), disk.fate_of_read())
        };
        sleep(before).await;
        if fate != Fate::Works {
            return Err(StoreError::ReaderGone);
        }
        let seen = look(&mut lock(&self.disk));
        sleep(after).await;
        Ok(seen)
    }
}

impl AccountStore for SimStore {
    fn digests(&self) -> Digests {
        self.digests.clone()
    }

    async fn account(&self, name: &UserName, freshness: Freshness) -> Result<Snapshot, StoreError> {
        if freshness == Freshness::Any
            && let Some(account) = self.cache.find(name.as_str())
        {
            return Ok(Snapshot {
                account: Some(account),
                taken_at: self.time().await?,
                is_fresh: false,
            });
        }
        let snapshot = |disk: &mut Disk| Snapshot {
            account: disk.model.account(name).map(Arc::new),
            taken_at: disk.clock.as_ref().map(|clock| clock.now()),
            is_fresh: true,
        };
        let snapshot = self.read(snapshot).await?;
        if let Some(account) = &snapshot.account {
            self.cache.keep(name.as_str(), account);
        }
        Ok(snapshot)
    }

    async fn time(&self) -> Result<Option<UnixTime>, StoreError> {
        if lock(&self.disk).clock.is_none() {
            return Ok(None);
        }
        self.read(|disk| disk.clock.as_ref().map(|clock| clock.now()))
            .await
    }

    async fn commit(
        &self,
        account: &Account,
        decision: Decision,
        _record: Record,
    ) -> Result<Commit, StoreError> {
        let (before, after, fate, early) = {
            let mut disk = lock(&self.disk);
            let early = disk.control == Control::AcknowledgesEarly;
            (disk.latency(), disk.latency(), disk.fate_of_commit(), early)
        };
        let becomes = AccountVersion(account.version.0.saturating_add(1));
        let changed = match decision.effects.as_slice() {
            [] => Some(account.clone()),
            effects => account.clone().after(effects, becomes),
        };
        let base = account.clone();
        let (reply, answer) = oneshot::channel();
        let (disk, kill) = (Arc::clone(&self.disk), self.kill.clone());
        lock(&self.work).spawn(async move {
            sleep(before).await;
            // Nobody would learn of the outcome: the real writer leaves such a job alone if it has not begun.
            if reply.is_closed() {
                return;
            }
            if fate == Fate::Fails {
                let _ = reply.send(Err(StoreError::WriterGone));
                return;
            }
            if early {
                let would_be = lock(&disk).model.clone().commit(&base, &decision);
                let _ = reply.send(would_be);
                sleep(Duration::from_millis(200)).await;
                let _ = lock(&disk).commit(&base, decision);
                return;
            }
            let committed = lock(&disk).commit(&base, decision);
            if fate == Fate::Kills && committed.is_ok() {
                let _ = kill.send(());
                std::future::pending::<()>().await;
            }
            sleep(after).await;
            let _ = reply.send(match fate {
                Fate::FailsThoughDone => Err(StoreError::WriterGone),
                _ => committed,
            });
        });
        let committed = answer.await.unwrap_or(Err(StoreError::WriterGone));
        // What the effects do not fit is refused by the disk, too.
        let changed = changed.unwrap_or_else(|| account.clone());
        self.cache
            .learn(account.version, changed, committed.as_ref().ok());
        committed
    }

    /// What is told of decisions changes none of them.
    fn record(&self, _record: Record) {}

    fn is_available(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn newest_acceptance(&self) -> Result<Option<UnixTime>, StoreError> {
        self.read(|disk| disk.model.newest_acceptance()).await
    }

    async fn forget_acceptances(&self) -> Result<(), StoreError> {
        self.read(|disk| disk.model.forget_acceptances()).await
    }

    fn reply_rules(&self) -> ReplyRules {
        ReplyRules::none()
    }

    async fn clients_at(&self, address: IpAddr) -> Result<Vec<Arc<ClientRecord>>, StoreError> {
        Ok(lock(&self.disk).model.clients_at(address))
    }

    async fn client_for(&self, source: &Source) -> Result<Option<Arc<ClientRecord>>, StoreError> {
        // Out of memory, as in the real ones.
        Ok(lock(&self.disk).model.client_for(source))
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
