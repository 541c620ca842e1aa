//! What can go wrong, for the operator: what failed, why, and what to do next.

use std::{fmt, io, path::PathBuf, sync::Arc};

use crate::KeyId;

/// Why the store did not do what it was asked.
///
/// Whatever the variant: an acceptance that ended in one of these must be answered with a rejection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store.
    #[error("there is no store: {} is missing; run `otpctl init`", .missing.display())]
    NotInitialised {
        /// The file that is missing.
        missing: PathBuf,
    },
    /// The database is there, its sealing key is not: a new one would open nothing.
    #[error(
        "the sealing key {} is missing, and nothing else opens the database; restore it from where you keep its copy, \
         or give its path with `--key-file`",
        .path.display()
    )]
    KeyFileMissing {
        /// Where the key was looked for.
        path: PathBuf,
    },
    /// There is a store, or a part of one.
    #[error("{} exists already, nothing was changed; remove it only if no store needs it any more", .path.display())]
    AlreadyInitialised {
        /// What exists.
        path: PathBuf,
    },
    /// Others may enter the state directory.
    #[error("{0} may be entered by others (mode {mode:04o}); run `chmod 700 {0}`", .path.display())]
    DirectoryPermissions {
        /// The state directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others may read the sealing key.
    #[error("the sealing key {0} may be read by others (mode {mode:04o}); run `chmod 600 {0}`", .path.display())]
    KeyFilePermissions {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The sealing key belongs to somebody else.
    #[error(
        "the sealing key {0} belongs to user id {owner}; it must belong to root or to the owner of the state directory, \
         user id {expected}: run `chown {expected} {0}`",
        .path.display()
    )]
    KeyFileOwner {
        /// The key file.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// User id of the owner of the state directory.
        expected: u32,
    },
    /// The sealing key is a directory, a symbolic link, a device …
    #[error("the sealing key {} is not a regular file; give the path of the file itself", .path.display())]
    KeyFileNotRegular {
        /// The key file.
        path: PathBuf,
    },
    /// The file does not hold a sealing key.
    #[error("{} does not hold a sealing key (one line `otp-seal-key-1` and 64 hexadecimal digits); restore it from where you keep its copy", .path.display())]
    KeyFileMalformed {
        /// The key file.
        path: PathBuf,
    },
    /// The database was sealed with another key.
    #[error("{} holds the sealing key {found}, the database needs {expected}; give that key with `--key-file`", .path.display())]
    WrongKey {
        /// The key file.
        path: PathBuf,
        /// Id of the key in the file.
        found: KeyId,
        /// Id of the key that the database was sealed with.
        expected: KeyId,
    },
    /// The file is a database of another program.
    #[error("{} is not a database of this program; check `--state-dir`", .path.display())]
    ForeignDatabase {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program has been here.
    #[error(
        "the database has schema {found}, this program knows schemas up to {known}; install the newer version again"
    )]
    NewerSchema {
        /// Schema of the database.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The database engine does not promise that what was committed survives a power cut.
    #[error(
        "the database is not durable: `{setting}` is {found:?}; put the state directory on a local file system"
    )]
    NotDurable {
        /// The setting that could not be had.
        setting: &'static str,
        /// What it is instead.
        found: String,
    },
    /// There is one of that name (or network) already.
    #[error("{kind} {name} exists already")]
    Exists {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// There is none of that name.
    #[error("there is no {kind} {name}")]
    NotFound {
        /// What it is.
        kind: Kind,
        /// The name that was looked for.
        name: String,
    },
    /// A value that the store does not take.
    #[error("{what} {why}")]
    Invalid {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number beyond 63 bits.
    #[error("{what} {value} is beyond {}, the largest that the store holds", i64::MAX)]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// One of several tokens cannot be added, so none was.
    #[error("token number {} cannot be added, so none was", index.saturating_add(1))]
    Batch {
        /// Its place in the slice, from 0.
        index: usize,
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// A sealed value does not belong where it stands, or was changed.
    #[error(
        "the sealed {kind} {name} cannot be opened: its row was changed or moved outside this program; \
         remove it and add it again, or restore a backup"
    )]
    Unsealable {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A row holds what this program never writes.
    #[error("the database is damaged: {what}; stop the daemon and restore a backup")]
    Corrupt {
        /// What was found.
        what: String,
    },
    /// Another process holds the database.
    #[error("another process holds the database locked; end it or wait, then try again ({doing})")]
    Busy {
        /// What was attempted.
        doing: &'static str,
    },
    /// The disk is full.
    #[error("no space is left for the database; free some, the store recovers by itself ({doing})")]
    Full {
        /// What was attempted.
        doing: &'static str,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database engine failed.
    #[error("the database failed while {doing}")]
    Engine {
        /// What was attempted.
        doing: &'static str,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// An Accept that neither spends a code nor repeats an acceptance.
    #[error("an acceptance must spend a code or repeat an earlier acceptance; this one does neither")]
    Unproven,
    /// An effect that this version does not know.
    #[error("this version of the store does not know the effect {0}")]
    UnknownEffect(String),
    /// More commits wait than the store is willing to hold.
    #[error("too many commits are waiting; the disk does not keep up")]
    Overloaded,
    /// The writer ended before it answered: whether the effects are durable is unknown.
    #[error("the writer ended before it answered; try again")]
    WriterGone,
    /// A reader ended before it answered.
    #[error("a reader ended before it answered; try again")]
    ReaderGone,
}

impl StoreError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.into(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A user.
    User,
    /// The password of a user.
    Password,
    /// A token, named `user/label`.
    Token,
    /// A client.
    Client,
    /// A client's network.
    Network,
    /// The key of the digests that the store keeps.
    IndexKey,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Password => "password of user",
            Self::Token => "token",
            Self::Client => "client",
            Self::Network => "client of network",
            Self::IndexKey => "index key of",
        })
    }
}

/// An error of the database engine, opaque: which engine it is may change.
#[derive(Clone, Debug)]
pub struct EngineError(Arc<rusqlite::Error>);

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// What goes wrong inside of a transaction, before anybody has said what it was for.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine failed.
    Engine(rusqlite::Error),
    /// The store refused.
    Store(StoreError),
}

impl Fault {
    /// The error, now that it is known what was attempted.
    pub(crate) fn during(self, doing: &'static str) -> StoreError {
        use rusqlite::ErrorCode as Code;
        match self {
            Self::Store(error) => error,
            Self::Engine(error) => match error.sqlite_error_code() {
                Some(Code::DatabaseBusy | Code::DatabaseLocked) => StoreError::Busy { doing },
                Some(Code::DiskFull) => StoreError::Full { doing },
                Some(Code::DatabaseCorrupt | Code::NotADatabase) => StoreError::corrupt(error.to_string()),
                _ => StoreError::Engine {
                    doing,
                    source: EngineError(Arc::new(error)),
                },
            },
        }
    }

    /// Whether the fault lies in what was asked, so that the connection and the transaction around it are sound.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(error, StoreError::Corrupt { .. } | StoreError::Io { .. }),
            Self::Engine(_) => self.is_constraint(),
        }
    }

    /// Whether a constraint of the schema stood against it: what is there already, or what a trigger refuses.
    pub(crate) fn is_constraint(&self) -> bool {
        matches!(self, Self::Engine(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation))
    }

    /// Reads a violated constraint as "there is one already".
    pub(crate) fn or_exists(self, kind: Kind, name: impl Into<String>) -> Self {
        if self.is_constraint() {
            Self::Store(StoreError::Exists {
                kind,
                name: name.into(),
            })
        } else {
            self
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
