//! The two engines behind one face.

use crate::{StoreError, commit::Job, error::Fault, postgres, sql::Sql, sqlite};

/// What keeps the rows.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(Box<sqlite::Engine>),
    Postgres(postgres::Engine),
}

impl Engine {
    /// Hands a decision over without waiting.
    pub(crate) fn submit(&self, job: Job) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(engine) => engine.submit(job),
            Self::Postgres(engine) => engine.submit(job),
        }
    }

    /// Tells the writer of records that wait.
    pub(crate) fn wake(&self) {
        match self {
            Self::Sqlite(engine) => engine.wake(),
            Self::Postgres(engine) => engine.wake(),
        }
    }

    /// Runs `look` on one consistent snapshot.
    pub(crate) fn read<T>(&self, look: impl FnOnce(Sql<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match self {
            Self::Sqlite(engine) => engine.read(look),
            Self::Postgres(engine) => engine.read(look),
        }
    }

    /// Changes something in one transaction of its own; what it wrote is durable when this returns `Ok`.
    pub(crate) fn administer<T>(&self, change: impl FnOnce(Sql<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match self {
            Self::Sqlite(engine) => engine.administer(change),
            Self::Postgres(engine) => engine.administer(change),
        }
    }

    /// Whether what a reader sees is durable.
    ///
    /// SQLite syncs the log before it moves the log's index, and whatever a killed process may have left in the log
    /// unsynced was made durable when the store was opened. A database server shows what was committed on itself, which
    /// its standbys may never have seen.
    pub(crate) fn shows_durable_alone(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}
