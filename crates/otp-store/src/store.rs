//! The store: a handle on everything, and the way decisions take through it.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use otp_validation::{Account, AccountVersion, Decision, Effect, TokenId, UnixTime};
use rand::{CryptoRng, TryRng as _, rngs::SysRng};
use tokio::sync::{Semaphore, oneshot};
use tracing::info;
use zeroize::Zeroizing;

use crate::{
    Commit, Digests, Kind, Location, Paths, Record, StoreError, acceptances,
    activity::{Activity, Counters},
    apply::apply,
    audit::{Actor, Deed, Tail, Trail},
    cache::Cache,
    commit::{Applied, Change, Job, accepted_token},
    engine::Engine,
    error::Fault,
    init,
    keyring::Keyring,
    paths::check_directory,
    postgres,
    route::Routes,
    seal::{KeyId, Place, Sealed},
    sql::{Sql, values},
    sqlite::{self, Limits},
    token,
    value::{Uid, unsigned},
};

/// Threads that look something up at once for a runtime.
const PLACES: usize = 8;

/// Durable state: users, tokens, clients, replay state. A cheap handle; its clones share connections and writer.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    location: Location,
    secrets: Secrets,
    engine: Engine,
    routes: Routes,
    cache: Cache,
    /// For threads that look something up for a runtime: more of them would only stand in each other's way.
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
    trail: Arc<Trail>,
    actor: Actor,
}

/// The keys of a store.
pub(crate) struct Secrets {
    pub(crate) ring: Keyring,
    pub(crate) digests: Digests,
}

impl Secrets {
    pub(crate) fn new(ring: Keyring, index_key: &[u8; 32]) -> Self {
        Self {
            ring,
            digests: Digests::new(index_key),
        }
    }

    /// Seals `secret` for `place` with the key that the database asks for.
    pub(crate) fn seal(
        &self,
        transaction: Sql<'_>,
        secret: &[u8],
        place: Place<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Fault> {
        let key = self.ring.key(present_key(transaction)?)?;
        Ok(key.seal(secret, place, rng)?)
    }

    /// Opens what was sealed for `place`; `None` if `record` is not that.
    pub(crate) fn open(
        &self,
        record: &[u8],
        place: Place<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.ring.open(record, place)
    }
}

/// The key that new records are sealed with.
pub(crate) fn present_key(transaction: Sql<'_>) -> Result<KeyId, Fault> {
    transaction.one("SELECT key_id FROM meta", values![], |row| {
        row.get("key_id").map(KeyId)
    })
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// Figures for those who watch the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Users.
    pub users: u64,
    /// Tokens.
    pub tokens: u64,
    /// Clients.
    pub clients: u64,
    /// Size of the embedded store's write-ahead log in octets.
    pub wal_octets: u64,
    /// Transactions that this process' writer has committed since it opened the store …
    pub groups: u64,
    /// … and the decisions that were in them.
    pub changes: u64,
    /// How many of those were conflicts.
    pub conflicts: u64,
    /// Transactions that failed: nobody in them was accepted.
    pub failed_groups: u64,
}

impl Store {
    /// Makes a store: the state directory (0700), the sealing key (0600), the database and in it the client `kdc` of the
    /// UNIX listener of that name. All of it or, on an error, nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyInitialised`] names what exists already; else whatever keeps it from being made.
    pub fn init(
        location: impl Into<Location>,
        now: UnixTime,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        init::init(&location.into(), now, rng)
    }

    /// Opens a store. It is never made by this.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInitialised`], [`StoreError::NoStoreInDatabase`], [`StoreError::OlderSchema`], what is wrong with
    /// permissions, key or durability, or whatever keeps the database from being opened.
    pub fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        Self::open_with(location.into(), Arc::default())
    }

    pub(crate) fn open_with(location: Location, limits: Arc<Limits>) -> Result<Self, StoreError> {
        let owner = check_directory(&location.paths.state_dir)?;
        let counters = Arc::<Counters>::default();
        let trail = Arc::<Trail>::default();
        if location.database.is_none() {
            sqlite::exists(&location.paths.database())?;
        }
        let ring = Keyring::read(&location.paths.key_file, owner)?;
        let during = |fault: Fault| fault.during("opening the database");
        let engine = match &location.database {
            None => {
                let paths = Arc::new(location.paths.clone());
                Engine::Sqlite(Box::new(
                    sqlite::Engine::open(&paths, limits, &counters, &trail).map_err(during)?,
                ))
            }
            Some(database) => Engine::Postgres(postgres::Engine::open(database, &counters, &trail)?),
        };
        let secrets = engine
            .read(|transaction| read_secrets(transaction, ring, &location))
            .map_err(during)?;
        trail.begin(secrets.digests.clone());
        Ok(Self(Arc::new(Inner {
            location,
            secrets,
            engine,
            routes: Routes::default(),
            cache: Cache::default(),
            places: Arc::new(Semaphore::new(PLACES)),
            counters,
            trail,
            actor: Actor::default(),
        })))
    }

    /// Brings the tables of an older version up to this one, alone; returns the numbers of the schema before and now.
    ///
    /// There is no way back: an older version refuses what it does not know.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInitialised`], [`StoreError::NoStoreInDatabase`], [`StoreError::NewerSchema`], or whatever keeps
    /// the store from writing.
    pub fn migrate(location: impl Into<Location>) -> Result<(i64, i64), StoreError> {
        let location = location.into();
        check_directory(&location.paths.state_dir)?;
        let (found, now) = Self::migrate_tables(&location)?;
        if found < now {
            // The key of the trail is sealed: it can be recorded only by whoever can open the store.
            Self::open(&location)?.record_migration(found, now)?;
        }
        Ok((found, now))
    }

    fn migrate_tables(location: &Location) -> Result<(i64, i64), StoreError> {
        let during = |fault: Fault| fault.during("migrating");
        let Some(database) = &location.database else {
            let found = sqlite::Engine::migrate(&Arc::new(location.paths.clone())).map_err(during)?;
            return Ok((found, sqlite::newest()));
        };
        let engine = postgres::Engine::open(database, &Arc::default(), &Arc::default())?;
        let found = engine.prepare(|transaction| match postgres::migrate(transaction)? {
            0 => Err(StoreError::NoStoreInDatabase {
                database: database.to_string(),
            }
            .into()),
            found => Ok(found),
        });
        Ok((found.map_err(during)?, postgres::newest()))
    }

    /// Where the store is.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// Its files on this machine.
    pub fn paths(&self) -> &Paths {
        &self.0.location.paths
    }

    /// The store's keyed digests.
    pub fn digests(&self) -> Digests {
        self.0.secrets.digests.clone()
    }

    /// Makes the effects of `decision` durable, if `account`, which it was decided on, is what there still is, together with
    /// its `record` in the audit trail. Where there are no effects, nobody waits for the record ([`Store::record`]).
    ///
    /// Waits for the disk together with everybody else who is waiting. Dropping the future before the writer has begun
    /// leaves the code unspent; dropping it later may spend it.
    ///
    /// # Errors
    ///
    /// Any error means that nobody may be accepted: the effects may or may not be durable.
    /// [`StoreError::Unproven`] if an acceptance neither spends a code nor repeats an acceptance.
    pub async fn commit(
        &self,
        account: &Account,
        decision: Decision,
        record: Record,
    ) -> Result<Commit, StoreError> {
        let accepts = accepted_token(&decision)?;
        if decision.effects.is_empty() && !self.needs_confirmation(accepts) {
            self.record(record);
            return Ok(Commit::durable(accepts));
        }
        let becomes = self.next_version(account.version)?;
        let Some((change, after)) = Change::of(account, &decision.effects, becomes)? else {
            self.0.cache.forget(account.user.id);
            return Ok(Commit::Conflict);
        };
        let (reply, answer) = oneshot::channel();
        let waiting = self.0.counters.wait();
        self.0.engine.submit(Job {
            change,
            record,
            accepts,
            reply,
        })?;
        let committed = answer.await.unwrap_or(Err(StoreError::WriterGone));
        drop(waiting);
        let known = committed.as_ref().ok();
        self.0.cache.learn(account.version, after, known);
        committed
    }

    /// [`Store::commit`] for programs that decide one thing and leave: it waits in the calling thread, in a transaction of
    /// its own.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`].
    pub fn commit_blocking(
        &self,
        account: &Account,
        decision: Decision,
        record: Record,
    ) -> Result<Commit, StoreError> {
        let accepts = accepted_token(&decision)?;
        if decision.effects.is_empty() && !self.needs_confirmation(accepts) {
            self.record(record);
            return Ok(Commit::durable(accepts));
        }
        let applied = self.apply_alone(account, &decision.effects, |transaction, change| {
            let mut tail = Tail::claim(transaction)?;
            tail.append(transaction, &self.secrets().digests, &record)?;
            tail.note(change);
            tail.release(transaction)
        })?;
        match applied {
            Applied::Done => Ok(Commit::durable(accepts)),
            Applied::Conflict => Ok(Commit::Conflict),
        }
    }

    /// Makes effects durable that are not a decision's: those of a proof at enrolment, as which they are recorded. They never
    /// give the right to accept.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`].
    pub fn commit_effects(&self, account: &Account, effects: &[Effect]) -> Result<Commit, StoreError> {
        let applied = self.apply_alone(account, effects, |transaction, _| {
            let token = effects.iter().find_map(|effect| match effect {
                Effect::Consume { token, .. } | Effect::Activate { token } => Some(*token),
                _ => None,
            });
            let name = token.map(|id| token::full_name(transaction, id)).transpose()?;
            let proven = Deed::on_token("token-proven", name.as_deref().unwrap_or_default());
            self.log(transaction, &proven)
        })?;
        match applied {
            Applied::Done => Ok(Commit::Recorded),
            Applied::Conflict => Ok(Commit::Conflict),
        }
    }

    /// The version after `version`.
    ///
    /// An embedded store has one history, so versions are counted. Where a fail-over can cut off the end of a history, a
    /// version must never come up again in another one: it is drawn by lot.
    fn next_version(&self, version: AccountVersion) -> Result<AccountVersion, StoreError> {
        if !self.is_shared() {
            return Ok(AccountVersion(version.0.wrapping_add(1)));
        }
        let lot = SysRng.try_next_u64().map_err(|_| StoreError::NoRandomness)?;
        Ok(AccountVersion(lot.cast_signed()))
    }

    /// Whether an acceptance that repeats another has to wait for a commit, because the one that it repeats may be seen and
    /// yet be lost.
    fn needs_confirmation(&self, accepts: Option<TokenId>) -> bool {
        accepts.is_some() && !self.0.engine.shows_durable_alone()
    }

    /// Applies effects, and records what they are if they could be applied.
    fn apply_alone(
        &self,
        account: &Account,
        effects: &[Effect],
        record: impl FnOnce(Sql<'_>, &Change) -> Result<(), Fault>,
    ) -> Result<Applied, StoreError> {
        let becomes = self.next_version(account.version)?;
        let Some((change, _)) = Change::of(account, effects, becomes)? else {
            return Ok(Applied::Conflict);
        };
        self.0.cache.forget(account.user.id);
        self.administer("committing", |transaction| {
            let applied = apply(transaction, &change)?;
            if applied == Applied::Done {
                record(transaction, &change)?;
            }
            Ok(applied)
        })
    }

    /// When somebody was last let in, by the clock of that time, unless that was forgotten.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from reading.
    pub fn newest_acceptance(&self) -> Result<Option<UnixTime>, StoreError> {
        self.read("looking for the newest acceptance", acceptances::newest)
    }

    /// Forgets every verdict that could be asked for again. The codes stay spent.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from writing.
    pub fn forget_acceptances(&self) -> Result<(), StoreError> {
        self.administer("forgetting acceptances", |transaction| {
            acceptances::forget_all(transaction)?;
            self.log(transaction, &Deed::of_store("verdicts-forgotten"))
        })
    }

    /// Whether other machines may use this store too.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.engine, Engine::Postgres(_))
    }

    /// The time by the clock of the database, if that may be another machine's.
    pub(crate) async fn clock(&self) -> Result<Option<UnixTime>, StoreError> {
        match &self.0.engine {
            Engine::Sqlite(_) => Ok(None),
            Engine::Postgres(engine) => engine.now().await.map(Some),
        }
    }

    /// Whether the last attempt to commit a decision, or a [`check`](Self::check), succeeded. So it is before the first.
    pub fn is_available(&self) -> bool {
        !self.0.counters.failing.load(Ordering::Relaxed)
    }

    /// Whether the store commits: changes one number, and is done when that is on disk.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn check(&self) -> Result<(), StoreError> {
        let checked = self.administer("committing a probe", |transaction| {
            // It goes up and down between two values, so that it never overflows.
            transaction.execute("UPDATE meta SET probe = 1 - probe", values![])?;
            Ok(())
        });
        let was_failing = self.0.counters.failing.swap(checked.is_err(), Ordering::Relaxed);
        if was_failing && checked.is_ok() {
            info!(store = self.0.location.name(), "the store commits again");
        }
        checked
    }

    /// What the store has done since this process opened it, and what it is about. Nothing is asked of the database.
    pub fn activity(&self) -> Activity {
        self.0.counters.activity(sqlite::turns_awaited())
    }

    /// Figures for those who watch the store.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from reading.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let counters = &self.0.counters;
        self.read("counting", |transaction| {
            let count = |table: &str| -> Result<u64, Fault> {
                let statement = format!("SELECT count(*) AS total FROM {table}");
                let rows: i64 = transaction.one(&statement, values![], |row| row.get("total"))?;
                Ok(unsigned("a number of rows", rows)?)
            };
            Ok(Stats {
                users: count("users")?,
                tokens: count("tokens")?,
                clients: count("clients")?,
                wal_octets: match &self.0.engine {
                    Engine::Sqlite(engine) => engine.log_octets(),
                    Engine::Postgres(_) => 0,
                },
                groups: counters.groups(),
                changes: counters.changes(),
                conflicts: counters.conflicts.load(Ordering::Relaxed),
                failed_groups: counters.failed_groups.load(Ordering::Relaxed),
            })
        })
    }

    /// Makes sure that nothing of what was overwritten is left in the engine's log.
    pub(crate) fn scrub(&self) -> Result<(), StoreError> {
        match &self.0.engine {
            Engine::Sqlite(engine) => engine
                .scrub()
                .map_err(|fault| fault.during("emptying the write-ahead log")),
            // Its log is the server's business.
            Engine::Postgres(_) => Ok(()),
        }
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    pub(crate) fn trail(&self) -> &Trail {
        &self.0.trail
    }

    pub(crate) fn actor(&self) -> &Actor {
        &self.0.actor
    }

    /// Tells the writer of records that wait.
    pub(crate) fn wake_writer(&self) {
        self.0.engine.wake();
    }

    pub(crate) fn places(&self) -> &Arc<Semaphore> {
        &self.0.places
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.0.routes
    }

    /// Looks at one consistent snapshot.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        look: impl FnOnce(Sql<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.0.engine.read(look).map_err(|fault| fault.during(doing))
    }

    /// As [`read`](Self::read), of sealed values.
    ///
    /// A snapshot of just before a rotation may need a key that the file has no more: then there is a newer snapshot.
    pub(crate) fn read_sealed<T>(
        &self,
        doing: &'static str,
        look: impl Fn(Sql<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        const AGAIN: usize = 3;
        for _ in 0..AGAIN {
            match self.read(doing, &look) {
                Err(StoreError::WrongKey { .. }) => {}
                other => return other,
            }
        }
        self.read(doing, look)
    }

    /// Changes something in one transaction of its own.
    pub(crate) fn administer<T>(
        &self,
        doing: &'static str,
        change: impl FnOnce(Sql<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.0
            .engine
            .administer(change)
            .map_err(|fault| fault.during(doing))
    }
}

/// Opens the sealed key of the digests, if `ring` holds the key that the database asks for.
fn read_secrets(transaction: Sql<'_>, ring: Keyring, location: &Location) -> Result<Secrets, Fault> {
    let (uid, expected, record): (Uid, [u8; 4], Vec<u8>) = transaction.one(
        "SELECT uid, key_id, index_key_sealed FROM meta",
        values![],
        |row| Ok((row.get("uid")?, row.get("key_id")?, row.get("index_key_sealed")?)),
    )?;
    // The one that new records take is needed in any case.
    ring.key(KeyId(expected))?;
    let opened = ring.open(&record, Place::of(Sealed::IndexKey, &uid))?;
    let index_key = opened
        .and_then(|octets| <[u8; 32]>::try_from(octets.as_slice()).ok())
        .map(Zeroizing::new);
    let index_key = index_key.ok_or_else(|| StoreError::Unsealable {
        kind: Kind::IndexKey,
        name: location.name(),
    })?;
    Ok(Secrets::new(ring, &index_key))
}
