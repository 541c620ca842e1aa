//! A writer's connection: one transaction at a time, each in its turn.

use std::{fs, sync::Arc};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::{
    Paths, StoreError,
    database::{self, PageLimit, Role},
    error::Fault,
    schema,
    turnstile::Turnstile,
};

/// Size in octets above which the write-ahead log is emptied. Checkpoints that happen along the way let it grow as long as
/// somebody writes without a pause.
const WAL_LIMIT: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct WriteSession {
    connection: Connection,
    turnstile: Turnstile,
    paths: Arc<Paths>,
    /// The log is emptied above this size.
    truncate_above: u64,
}

impl WriteSession {
    /// Opens the database for writing, brings its schema up to date and makes durable whatever is in it.
    pub(crate) fn open(paths: &Arc<Paths>, limit: &PageLimit) -> Result<Self, Fault> {
        let connection = database::open(&paths.database(), Role::Writer, limit)?;
        let turnstile = Turnstile::open(&paths.state_dir)?;
        let mut session = Self {
            connection,
            turnstile,
            paths: Arc::clone(paths),
            truncate_above: WAL_LIMIT,
        };
        if schema::version(&session.connection)? < schema::newest() {
            session.in_turn(|transaction| schema::migrate(transaction))?;
        }
        session.make_visible_durable()?;
        Ok(session)
    }

    /// Runs `work` in one transaction; what it wrote is on disk when this returns `Ok`.
    ///
    /// After an error, outcome and connection are in doubt: the caller drops the session, and never tries to commit
    /// or to sync again on the same handle. Refusals ([`Fault::is_refusal`]) are the exception: nothing was written.
    pub(crate) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.in_turn(|transaction| {
            if schema::check(transaction)? != schema::newest() {
                return Err(StoreError::corrupt("the schema went back to an older version").into());
            }
            work(transaction)
        })
    }

    fn in_turn<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let _turn = self.turnstile.enter()?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Moves the write-ahead log into the database.
    ///
    /// A process that was killed between writing and syncing leaves a commit that the next one finds in the log, though it
    /// may not be on disk. Readers answer from what they see, so what they see is made durable first. The checkpoint
    /// writes the pages anew and syncs them; where another process is at work, it has done so itself.
    fn make_visible_durable(&self) -> Result<(), Fault> {
        self.checkpoint("PASSIVE").map(drop)
    }

    /// Empties the write-ahead log if it has become large.
    pub(crate) fn tidy(&mut self) -> Result<(), Fault> {
        let size = fs::metadata(self.paths.wal()).map_or(0, |metadata| metadata.len());
        if size <= self.truncate_above {
            return Ok(());
        }
        let blocked = self.checkpoint("TRUNCATE")?;
        // A reader that does not end must not make every commit wait for it.
        self.truncate_above = if blocked {
            size.saturating_add(WAL_LIMIT)
        } else {
            WAL_LIMIT
        };
        Ok(())
    }

    /// Whether somebody else stood in the way.
    fn checkpoint(&self, mode: &str) -> Result<bool, Fault> {
        let blocked = self
            .connection
            .pragma_update_and_check(None, "wal_checkpoint", mode, |row| row.get(0));
        match blocked.map_err(Fault::from) {
            Err(Fault::Engine(error)) if is_busy(&error) => Ok(true),
            other => other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}
