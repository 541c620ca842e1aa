//! Where the state lives.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// The state directory and the file of the sealing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Holds the database and its locks; mode 0700.
    pub state_dir: PathBuf,
    /// Holds the sealing key; mode 0600 or 0400. Keep its copy apart from the database's backups.
    pub key_file: PathBuf,
}

impl Paths {
    /// The usual layout: the sealing key is `seal.key` in the state directory.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        let state_dir = state_dir.into();
        let key_file = state_dir.join("seal.key");
        Self { state_dir, key_file }
    }

    /// The same with the sealing key elsewhere, for example where systemd puts credentials.
    #[must_use]
    pub fn with_key_file(self, key_file: impl Into<PathBuf>) -> Self {
        Self {
            key_file: key_file.into(),
            ..self
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state_dir.join("otp.db")
    }

    /// The write-ahead log that SQLite keeps beside the database.
    pub(crate) fn wal(&self) -> PathBuf {
        self.state_dir.join("otp.db-wal")
    }
}

/// Refuses a state directory that others may enter; returns the user id of its owner.
pub(crate) fn check_directory(path: &Path) -> Result<u32, StoreError> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::NotInitialised {
                missing: path.to_owned(),
            });
        }
        other => other.map_err(|error| StoreError::io("look at", path, error))?,
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::DirectoryPermissions {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(metadata.uid())
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StoreError::io("sync", path, error))
}
