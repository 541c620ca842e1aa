//! A writer's connection: one transaction at a time, each in its turn.

use std::{fs, sync::Arc, time::Duration};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::{
    Paths, StoreError,
    error::{EngineFault, Fault},
    sqlite::database::{self, Role},
    sqlite::limits::Limits,
    sqlite::{schema, turnstile::Turnstile},
};

/// How long emptying the log waits for readers, while nobody is answered: much longer than any of ours reads.
const READERS_LEAVE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct WriteSession {
    connection: Connection,
    turnstile: Turnstile,
    paths: Arc<Paths>,
    limits: Arc<Limits>,
    /// Size of the log when somebody stood in the way of emptying it, 0 if nobody did.
    blocked_at: u64,
}

impl WriteSession {
    /// Opens the database for writing and makes durable whatever is in it.
    pub(crate) fn open(paths: &Arc<Paths>, limits: &Arc<Limits>) -> Result<Self, Fault> {
        let connection = database::open(&paths.database(), Role::Writer, limits)?;
        let turnstile = Turnstile::open(&paths.state_dir)?;
        let session = Self {
            connection,
            turnstile,
            paths: Arc::clone(paths),
            limits: Arc::clone(limits),
            blocked_at: 0,
        };
        let (found, known) = (schema::version(&session.connection)?, schema::newest());
        if found < known {
            return Err(StoreError::OlderSchema { found, known }.into());
        }
        session.make_visible_durable()?;
        Ok(session)
    }

    /// Brings the tables of an older version up to this one; returns the schema before.
    pub(crate) fn migrate(paths: &Arc<Paths>, limits: &Arc<Limits>) -> Result<i64, Fault> {
        let connection = database::open(&paths.database(), Role::Writer, limits)?;
        let mut session = Self {
            connection,
            turnstile: Turnstile::open(&paths.state_dir)?,
            paths: Arc::clone(paths),
            limits: Arc::clone(limits),
            blocked_at: 0,
        };
        let found = session.in_turn(|transaction| {
            let found = schema::version(transaction)?;
            schema::migrate(transaction)?;
            Ok(found)
        })?;
        session.make_visible_durable()?;
        Ok(found)
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
        let limit = self.limits.log_octets();
        // A reader that does not end must not make every commit wait for it: tried again when as much has come on top.
        if size <= self.blocked_at.saturating_add(limit) {
            return Ok(());
        }
        self.connection.busy_timeout(READERS_LEAVE)?;
        let blocked = self.checkpoint("TRUNCATE");
        self.connection.busy_timeout(database::BUSY_TIMEOUT)?;
        let blocked = blocked?;
        self.blocked_at = if blocked { size } else { 0 };
        Ok(())
    }

    /// Empties the write-ahead log, once its readers have left.
    pub(crate) fn empty_log(&mut self) -> Result<(), Fault> {
        let _turn = self.turnstile.enter()?;
        if self.checkpoint("TRUNCATE")? {
            return Err(StoreError::Busy {
                doing: "emptying the write-ahead log",
            }
            .into());
        }
        Ok(())
    }

    /// Whether somebody else stood in the way.
    fn checkpoint(&self, mode: &str) -> Result<bool, Fault> {
        let blocked = self
            .connection
            .pragma_update_and_check(None, "wal_checkpoint", mode, |row| row.get(0));
        match blocked.map_err(Fault::from) {
            Err(Fault::Engine(EngineFault::Sqlite(error))) if is_busy(&error) => Ok(true),
            other => other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}
