//! SQLite: the store in a file of this machine.

mod database;
mod limits;
mod reader;
mod schema;
mod session;
mod status;
mod turnstile;
mod writer;

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
};

pub(crate) use database::{Role, exists, open};
pub(crate) use limits::Limits;
use reader::Readers;
pub(crate) use schema::{APPLICATION_ID, migrate, newest};
use session::WriteSession;
pub(crate) use status::status;
pub(crate) use turnstile::{LOCKS, Turnstile, turns_awaited};
use writer::Writer;

use crate::{Paths, StoreError, activity::Counters, audit::Trail, commit::Job, error::Fault, sql::Sql};

/// The database behind a store.
#[derive(Debug)]
pub(crate) struct Engine {
    paths: Arc<Paths>,
    readers: Readers,
    /// The connection of administrators, opened when it is first needed.
    administrator: Mutex<Option<WriteSession>>,
    writer: Writer,
    limits: Arc<Limits>,
}

impl Engine {
    /// Opens a database that is there already.
    pub(crate) fn open(
        paths: &Arc<Paths>,
        limits: Arc<Limits>,
        counters: &Arc<Counters>,
        trail: &Arc<Trail>,
    ) -> Result<Self, Fault> {
        exists(&paths.database())?;
        let administrator = WriteSession::open(paths, &limits)?;
        Ok(Self {
            readers: Readers::new(paths.database()),
            administrator: Mutex::new(Some(administrator)),
            writer: Writer::new(
                Arc::clone(paths),
                Arc::clone(&limits),
                Arc::clone(counters),
                Arc::clone(trail),
            ),
            paths: Arc::clone(paths),
            limits,
        })
    }

    /// Brings the tables of an older version up to this one; returns the schema before.
    pub(crate) fn migrate(paths: &Arc<Paths>) -> Result<i64, Fault> {
        exists(&paths.database())?;
        WriteSession::migrate(paths, &Arc::default())
    }

    /// Hands a decision over without waiting.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.writer.submit(job)
    }

    /// Tells the writer of records that wait. If there is none and none can be started, they wait for the next decision.
    pub(crate) fn wake(&self) {
        let _ = self.writer.wake();
    }

    /// Size of the write-ahead log in octets.
    pub(crate) fn log_octets(&self) -> u64 {
        fs::metadata(self.paths.wal()).map_or(0, |metadata| metadata.len())
    }

    /// Runs `look` on one consistent snapshot.
    pub(crate) fn read<T>(&self, look: impl FnOnce(Sql<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.readers.read(|transaction| look(Sql::Sqlite(transaction)))
    }

    /// Empties the write-ahead log, unless somebody reads for longer than is waited.
    pub(crate) fn scrub(&self) -> Result<(), Fault> {
        let mut session = WriteSession::open(&self.paths, &self.limits)?;
        session.empty_log()
    }

    /// Changes something in one transaction of its own.
    pub(crate) fn administer<T>(&self, change: impl FnOnce(Sql<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        // A panic while it was held has lost the session (it is taken out below), nothing else.
        let mut slot = self.administrator.lock().unwrap_or_else(PoisonError::into_inner);
        let mut session = match slot.take() {
            Some(session) => session,
            None => WriteSession::open(&self.paths, &self.limits)?,
        };
        let changed = session.transaction(|transaction| change(Sql::Sqlite(transaction)));
        // After any other failure the connection is in doubt, and is not used again.
        if changed.as_ref().is_ok() || changed.as_ref().is_err_and(Fault::is_refusal) {
            *slot = Some(session);
        }
        changed
    }
}
