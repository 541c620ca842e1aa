//! The store: a handle on everything, and the way decisions take through it.

use std::{
    fmt, fs,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use otp_validation::{AccountVersion, Decision, Effect, UnixTime, UserId};
use rand::CryptoRng;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::info;
use zeroize::Zeroizing;

use crate::{
    Commit, Digests, Kind, Paths, StoreError,
    commit::{Applied, Change, accepted_token, apply},
    database::exists,
    error::Fault,
    init, keyfile,
    limits::Limits,
    paths::check_directory,
    reader::Readers,
    route::Routes,
    seal::{KeyId, Place, SealKey, Sealed},
    session::WriteSession,
    value::{Uid, unix_time, unsigned},
    writer::{Counters, Job, Writer},
};

/// Durable state: users, tokens, clients, replay state. A cheap handle; its clones share connections and writer.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    paths: Arc<Paths>,
    secrets: Secrets,
    readers: Readers,
    /// The connection of administrators, opened when it is first needed.
    administrator: Mutex<Option<WriteSession>>,
    writer: Writer,
    routes: Routes,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
}

/// The keys of a store.
pub(crate) struct Secrets {
    pub(crate) seal: SealKey,
    pub(crate) digests: Digests,
}

impl Secrets {
    pub(crate) fn new(seal: SealKey, index_key: &[u8; 32]) -> Self {
        Self {
            seal,
            digests: Digests::new(index_key),
        }
    }
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
    /// Remembered acceptances, twins included.
    pub acceptances: u64,
    /// Size of the write-ahead log in octets.
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
    pub fn init(paths: &Paths, now: UnixTime, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        init::init(paths, now, rng)
    }

    /// Opens a store. It is never made by this, but brought up to the schema of this version.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInitialised`], what is wrong with permissions, key or durability, or whatever keeps the database
    /// from being opened.
    pub fn open(paths: &Paths) -> Result<Self, StoreError> {
        Self::open_with(paths, Arc::default())
    }

    pub(crate) fn open_with(paths: &Paths, limits: Arc<Limits>) -> Result<Self, StoreError> {
        let owner = check_directory(&paths.state_dir)?;
        let paths = Arc::new(paths.clone());
        exists(&paths.database())?;
        let seal = keyfile::read(&paths.key_file, owner)?;
        let during = |fault: Fault| fault.during("opening the database");
        let administrator = WriteSession::open(&paths, &limits).map_err(during)?;
        let readers = Readers::new(paths.database());
        let secrets = readers
            .read(|transaction| read_secrets(transaction, seal, &paths))
            .map_err(during)?;
        let counters = Arc::<Counters>::default();
        let writer = Writer::new(Arc::clone(&paths), Arc::clone(&limits), Arc::clone(&counters));
        let administrator = Mutex::new(Some(administrator));
        let routes = Routes::default();
        Ok(Self(Arc::new(Inner {
            paths,
            secrets,
            readers,
            administrator,
            writer,
            routes,
            limits,
            counters,
        })))
    }

    /// Where the store is.
    pub fn paths(&self) -> &Paths {
        &self.0.paths
    }

    /// The store's keyed digests.
    pub fn digests(&self) -> Digests {
        self.0.secrets.digests.clone()
    }

    /// Makes the effects of `decision` durable, if the account still has `version`.
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
        user: UserId,
        version: AccountVersion,
        decision: Decision,
    ) -> Result<Commit, StoreError> {
        let accepts = accepted_token(&decision)?;
        if decision.effects.is_empty() {
            // What a reader sees is on disk: SQLite syncs the log before it moves the log's index, and whatever a killed
            // process may have left in the log unsynced was made durable when the store was opened. So the acceptance that
            // this one repeats needs no second commit.
            return Ok(Commit::durable(accepts));
        }
        let (reply, answer) = oneshot::channel();
        let change = Change {
            user,
            version,
            effects: decision.effects,
        };
        self.0.writer.submit(Job {
            change,
            accepts,
            reply,
        })?;
        answer.await.unwrap_or(Err(StoreError::WriterGone))
    }

    /// [`Store::commit`] for programs that decide one thing and leave: it waits in the calling thread, in a transaction of
    /// its own.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`].
    pub fn commit_blocking(
        &self,
        user: UserId,
        version: AccountVersion,
        decision: Decision,
    ) -> Result<Commit, StoreError> {
        let accepts = accepted_token(&decision)?;
        if decision.effects.is_empty() {
            return Ok(Commit::durable(accepts)); // as in `commit`
        }
        match self.apply_alone(Change {
            user,
            version,
            effects: decision.effects,
        })? {
            Applied::Done => Ok(Commit::durable(accepts)),
            Applied::Conflict => Ok(Commit::Conflict),
        }
    }

    /// Makes effects durable that are not a decision's, such as those of a proof at enrolment. They never give the right to
    /// accept.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`].
    pub fn commit_effects(
        &self,
        user: UserId,
        version: AccountVersion,
        effects: Vec<Effect>,
    ) -> Result<Commit, StoreError> {
        match self.apply_alone(Change {
            user,
            version,
            effects,
        })? {
            Applied::Done => Ok(Commit::Recorded),
            Applied::Conflict => Ok(Commit::Conflict),
        }
    }

    fn apply_alone(&self, change: Change) -> Result<Applied, StoreError> {
        self.administer("committing", |transaction| Ok(apply(transaction, &change)??))
    }

    /// When the newest of the remembered verdicts was given, by the clock of that time.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from reading.
    pub fn newest_acceptance(&self) -> Result<Option<UnixTime>, StoreError> {
        self.read("looking for the newest acceptance", |transaction| {
            let newest: Option<i64> = transaction
                .prepare_cached("SELECT max(accepted_at) FROM acceptances")?
                .query_row([], |row| row.get(0))?;
            Ok(newest
                .map(|at| unix_time("accepted_at of an acceptance", at))
                .transpose()?)
        })
    }

    /// Forgets every verdict that could be asked for again. The codes stay spent.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from writing.
    pub fn forget_acceptances(&self) -> Result<(), StoreError> {
        self.administer("forgetting acceptances", |transaction| {
            transaction
                .prepare_cached("DELETE FROM acceptances")?
                .execute([])?;
            Ok(())
        })
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
            transaction
                .prepare_cached("UPDATE meta SET probe = 1 - probe")?
                .execute([])?;
            Ok(())
        });
        let was_failing = self.0.counters.failing.swap(checked.is_err(), Ordering::Relaxed);
        if was_failing && checked.is_ok() {
            info!(path = %self.0.paths.state_dir.display(), "the store commits again");
        }
        checked
    }

    /// Figures for those who watch the store.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from reading.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let counters = &self.0.counters;
        self.read("counting", |transaction| {
            let count = |statement: &str| -> Result<u64, Fault> {
                let rows: i64 = transaction
                    .prepare_cached(statement)?
                    .query_row([], |row| row.get(0))?;
                Ok(unsigned("a number of rows", rows)?)
            };
            Ok(Stats {
                users: count("SELECT count(*) FROM users")?,
                tokens: count("SELECT count(*) FROM tokens")?,
                clients: count("SELECT count(*) FROM clients")?,
                acceptances: count("SELECT count(*) FROM acceptances")?,
                wal_octets: fs::metadata(self.0.paths.wal()).map_or(0, |metadata| metadata.len()),
                groups: counters.groups.load(Ordering::Relaxed),
                changes: counters.changes.load(Ordering::Relaxed),
                conflicts: counters.conflicts.load(Ordering::Relaxed),
                failed_groups: counters.failed_groups.load(Ordering::Relaxed),
            })
        })
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.0.routes
    }

    /// Looks at one consistent snapshot.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        look: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.0
            .readers
            .read(|transaction| look(transaction))
            .map_err(|fault| fault.during(doing))
    }

    /// Changes something in one transaction of its own.
    pub(crate) fn administer<T>(
        &self,
        doing: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        // A panic while it was held has lost the session (it is taken out below), nothing else.
        let mut slot = self
            .0
            .administrator
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = slot
            .take()
            .map_or_else(|| WriteSession::open(&self.0.paths, &self.0.limits), Ok)
            .and_then(|mut session| {
                let changed = session.transaction(|transaction| change(transaction));
                // After any other failure the connection is in doubt, and is not used again.
                if changed.as_ref().is_ok() || changed.as_ref().is_err_and(Fault::is_refusal) {
                    *slot = Some(session);
                }
                changed
            });
        changed.map_err(|fault| fault.during(doing))
    }
}

/// Opens the sealed key of the digests, if `seal` is the key that the database was sealed with.
fn read_secrets(transaction: &Connection, seal: SealKey, paths: &Paths) -> Result<Secrets, Fault> {
    let (uid, expected, record): (Uid, [u8; 4], Vec<u8>) =
        transaction.query_row("SELECT uid, key_id, index_key_sealed FROM meta", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let (found, expected) = (seal.id(), KeyId(expected));
    if found != expected {
        return Err(StoreError::WrongKey {
            path: paths.key_file.clone(),
            found,
            expected,
        }
        .into());
    }
    let opened = seal.open(&record, Place::of(Sealed::IndexKey, &uid));
    let index_key = opened
        .and_then(|octets| <[u8; 32]>::try_from(octets.as_slice()).ok())
        .map(Zeroizing::new);
    let database = || paths.database().display().to_string();
    let index_key = index_key.ok_or_else(|| StoreError::Unsealable {
        kind: Kind::IndexKey,
        name: database(),
    })?;
    Ok(Secrets::new(seal, &index_key))
}
