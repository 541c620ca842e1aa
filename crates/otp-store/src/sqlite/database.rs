//! Opening the database: settings that safety rests on are read back, never assumed.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{
    StoreError,
    error::Fault,
    sqlite::{limits::Limits, schema},
};

/// How long a statement waits for a lock that another process holds outside the turnstile.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// Pages in the write-ahead log before they are moved into the database: larger than the default, because a hot page that is
/// written many times is moved once.
const CHECKPOINT_PAGES: i64 = 10_000;
/// Memory for pages that a writer has read or written, in KiB: what is at random places of large tables need not be read again
/// for each row, nor leave for the log before its transaction ends.
const CACHE_KIB: i64 = 65_536;
/// `PRAGMA synchronous`: every commit is synced.
const FULL: i64 = 2;
/// What to do about a database that is not durable.
const LOCAL: &str = "put the state directory on a local file system";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Makes the database.
    Founder,
    /// Changes it.
    Writer,
    /// Only looks.
    Reader,
}

/// Opens the database; makes none unless `role` is [`Role::Founder`].
pub(crate) fn open(path: &Path, role: Role, limits: &Limits) -> Result<Connection, Fault> {
    if role != Role::Founder {
        exists(path)?;
    }
    // Readers too: whoever reads a write-ahead log has to write to its index.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // What is in the file must not make this program do anything: no functions run by views, no damaged cells read.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A statement is planned once, not again for each value of its parameters.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Freed pages are overwritten: a removed secret must not be found in them.
    connection.pragma_update(None, "secure_delete", true)?;
    if role == Role::Founder {
        connection.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        let _: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    }
    if application(&connection)? != schema::APPLICATION_ID {
        return Err(StoreError::ForeignDatabase {
            path: path.to_owned(),
        }
        .into());
    }
    check_durable(&connection)?;
    schema::check(&connection)?;
    if role == Role::Reader {
        connection.pragma_update(None, "query_only", true)?;
    } else {
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        if let Some(pages) = limits.pages() {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
    }
    Ok(connection)
}

/// Looks for the file; what cannot be seen is not missing.
pub(crate) fn exists(path: &Path) -> Result<(), StoreError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::NotInitialised {
            missing: path.to_owned(),
        }),
        Err(error) => Err(StoreError::io("look at", path, error)),
    }
}

fn application(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// A commit must be on disk when it returns: write-ahead log, synced at each commit.
fn check_durable(connection: &Connection) -> Result<(), Fault> {
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal != "wal" {
        return Err(StoreError::NotDurable {
            setting: "journal_mode",
            found: journal,
            remedy: LOCAL,
        }
        .into());
    }
    connection.pragma_update(None, "synchronous", FULL)?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if synchronous != FULL {
        return Err(StoreError::NotDurable {
            setting: "synchronous",
            found: synchronous.to_string(),
            remedy: LOCAL,
        }
        .into());
    }
    Ok(())
}
