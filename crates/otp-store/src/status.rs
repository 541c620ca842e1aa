//! What keeps the rows, where, and how well.

use std::fmt;

use crate::{Location, Store, StoreError, paths::check_directory, postgres, sqlite};

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseEngine {
    /// SQLite, in a file of this machine.
    Sqlite,
    /// PostgreSQL, which several machines may share.
    Postgresql,
}

impl fmt::Display for DatabaseEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgresql => "PostgreSQL",
        })
    }
}

/// What there is to tell about a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseStatus {
    /// The engine.
    pub engine: DatabaseEngine,
    /// Its version: the library's, or that of the server that answered.
    pub version: String,
    /// The file, or the URL without its password.
    pub place: String,
    /// The server that takes writes, as it calls itself.
    pub server: Option<String>,
    /// The schema of the tables; `None` if there are none of ours.
    pub schema: Option<i64>,
    /// The schema that this program works on.
    pub newest_schema: i64,
    /// The settings that durability rests on, and what they are.
    pub durability: Vec<(&'static str, String)>,
    /// The standbys, where there may be some.
    pub replication: Option<Replication>,
}

/// The standbys of a database server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replication {
    /// The server's `synchronous_standby_names`: which standbys a commit waits for.
    pub waits_for: String,
    /// Replication slots that standbys have left behind or use.
    pub slots: u64,
    /// The standbys that are connected.
    pub standbys: Vec<Standby>,
}

impl Replication {
    /// Whether there are standbys, and a commit waits for none of them: it would be lost when one of them takes over.
    pub fn may_lose_commits(&self) -> bool {
        self.waits_for.is_empty() && (self.slots > 0 || !self.standbys.is_empty())
    }
}

/// One line for people.
impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.standbys.is_empty() {
            write!(f, "none connected")?;
        }
        for (index, standby) in self.standbys.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let state = standby
                .sync_state
                .as_deref()
                .unwrap_or("state hidden from this role");
            write!(f, "{comma}{} ({state})", standby.name)?;
        }
        match self.waits_for.as_str() {
            "" if self.may_lose_commits() => write!(f, "; a commit waits for NONE of them"),
            "" => Ok(()),
            names => write!(f, "; a commit waits for {names:?}"),
        }
    }
}

/// One standby.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standby {
    /// Its `application_name`.
    pub name: String,
    /// What it does, e.g. `streaming`; `None` where this role may not see it (`pg_monitor` may).
    pub state: Option<String>,
    /// How far a commit waits for it, e.g. `sync`, `quorum`, `async`; `None` as for `state`.
    pub sync_state: Option<String>,
}

impl Store {
    /// Looks at the database of a store, whatever its schema; the sealing key is not needed.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInitialised`], [`StoreError::Unreachable`], [`StoreError::NotDurable`], or whatever keeps the
    /// database from being looked at.
    pub fn status(location: impl Into<Location>) -> Result<DatabaseStatus, StoreError> {
        let location = location.into();
        match &location.database {
            Some(database) => postgres::status(database),
            None => {
                check_directory(&location.paths.state_dir)?;
                sqlite::status(&location.paths.database())
                    .map_err(|fault| fault.during("looking at the database"))
            }
        }
    }
}
