//! Where a store is: its files, and the database if that is elsewhere.

use crate::{Paths, Postgres};

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Location {
    /// The files of this machine: at least the sealing key, and the database unless that is elsewhere.
    pub paths: Paths,
    /// The database, if several machines share it; else it is a file in the state directory.
    pub database: Option<Postgres>,
}

impl Location {
    /// What to call it in messages: the directory, or the database without its password.
    pub fn name(&self) -> String {
        match &self.database {
            Some(database) => database.to_string(),
            None => self.paths.state_dir.display().to_string(),
        }
    }
}

impl From<&Paths> for Location {
    /// A store in the state directory.
    fn from(paths: &Paths) -> Self {
        Self {
            paths: paths.clone(),
            database: None,
        }
    }
}

impl From<&Self> for Location {
    fn from(location: &Self) -> Self {
        location.clone()
    }
}
