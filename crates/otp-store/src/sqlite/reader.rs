//! Readers: a few connections that cannot write.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, Transaction};

use crate::{
    error::Fault,
    sqlite::database::{self, Role},
    sqlite::limits::Limits,
};

/// Connections kept for later; more are opened when more read at once.
const IDLE: usize = 8;

#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Runs `look` on one consistent snapshot.
    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let idle = self.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => database::open(&self.path, Role::Reader, &Limits::default())?,
        };
        let transaction = connection.transaction()?;
        let seen = look(&transaction);
        transaction.rollback()?;
        // After an error of the engine the connection is dropped with it.
        if !matches!(seen, Err(Fault::Engine(_))) {
            let mut idle = self.lock();
            if idle.len() < IDLE {
                idle.push(connection);
            }
        }
        seen
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // Each connection in the list is idle: a panic elsewhere has left nothing half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
