//! Why a backup cannot be made or used.

use std::{io, sync::Arc};

use crate::{Kind, error::Fault, seal::KeyId};

/// Why a backup cannot be made or used. Whatever the variant: nothing was restored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file cannot be written.
    #[error("cannot write the backup")]
    Write(#[source] Arc<io::Error>),
    /// The file cannot be read.
    #[error("cannot read the backup")]
    Read(#[source] Arc<io::Error>),
    /// The file does not begin as a backup does.
    #[error("the file is no backup of this program")]
    NotABackup,
    /// A newer version of this program has made it.
    #[error(
        "the backup has format {found}, this program knows formats up to {known}; restore it with the version that made it"
    )]
    NewerFormat {
        /// The number in its first line.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The end is missing.
    #[error("the backup is torn: it ends after {0} octets; take another one")]
    Torn(u64),
    /// It is not as this program writes backups.
    #[error("the backup is damaged before octet {0}; take another one")]
    Malformed(u64),
    /// Its MAC is not that of its content.
    #[error("the backup was changed or damaged since it was made; take another one")]
    Changed,
    /// A sealed value that does not belong where it stands.
    #[error(
        "the sealed {kind} {name} cannot be opened: it was damaged before the backup was made; take an older one"
    )]
    Unsealable {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It needs a key that is not in the key file.
    #[error(
        "the backup needs the sealing key {needed}, and {} holds {}; put the copy of that key there, or name it with \
         `--key-file`",
        .path,
        crate::error::list(.found)
    )]
    WrongKey {
        /// The key that it was made with.
        needed: KeyId,
        /// The keys that there are.
        found: Vec<KeyId>,
        /// The key file.
        path: String,
    },
}

impl From<BackupError> for Fault {
    fn from(error: BackupError) -> Self {
        Self::Store(error.into())
    }
}
