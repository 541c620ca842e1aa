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
    #[error("{} does not hold a sealing key (a line `otp-seal-key-1` and 64 hexadecimal digits, or two while it is rotated); restore it from where you keep its copy", .path.display())]
    KeyFileMalformed {
        /// The key file.
        path: PathBuf,
    },
    /// The database was sealed with another key.
    #[error(
        "{} holds the sealing key {}, the database needs {expected}; give that key with `--key-file`, or, if it was \
         rotated on another machine, copy that machine's key file here",
        .path.display(),
        list(.found)
    )]
    WrongKey {
        /// The key file.
        path: PathBuf,
        /// Ids of the keys in the file.
        found: Vec<KeyId>,
        /// Id of the key that the database was sealed with.
        expected: KeyId,
    },
    /// A rotation of the sealing key has begun, here or on another machine, and is to be finished first.
    #[error(
        "a rotation of the sealing key was begun and has not ended; finish it with `otpctl key rotate --commit`, on a \
         machine whose key file holds both keys"
    )]
    RotationUnfinished,
    /// There is no key to go on to.
    #[error("the key file holds no other key than the present one; run `otpctl key rotate --prepare` first")]
    NoPreparedKey,
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
    /// The database has the tables of an older version.
    #[error(
        "the database has schema {found}, this program needs {known}; run `otpctl db migrate` while no older version of the daemon runs"
    )]
    OlderSchema {
        /// Schema of the database.
        found: i64,
        /// The schema that this program works on.
        known: i64,
    },
    /// A database URL that cannot be used.
    #[error("the URL of the database cannot be used: {why}")]
    DatabaseUrl {
        /// What is wrong with it.
        why: String,
    },
    /// Others may read the file that holds the URL of the database.
    #[error("{0}, which leads to the database, may be read by others (mode {mode:04o}); run `chmod 600 {0}`", .path.display())]
    DatabaseFilePermissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no store in the database that the URL leads to.
    #[error("there is no store in {database}; run `otpctl init --database URL`")]
    NoStoreInDatabase {
        /// The database, without its password.
        database: String,
    },
    /// The database holds a store already.
    #[error(
        "{database} holds a store already, nothing was changed; on another machine, copy the sealing key of the first one instead"
    )]
    DatabaseInUse {
        /// The database, without its password.
        database: String,
    },
    /// The database cluster may lose commits that it has acknowledged.
    #[error(
        "{database} may lose acknowledged commits when it fails over ({why}), and a code would be accepted twice; \
         replicate synchronously (Patroni: synchronous_mode and synchronous_mode_strict), or start with \
         `accept_lost_commits` if you take that"
    )]
    LosesCommits {
        /// The database, without its password.
        database: String,
        /// How that is known.
        why: String,
    },
    /// No server of the database can be reached, or none of them takes writes.
    #[error("no server of {database} takes writes; it is tried again with every request")]
    Unreachable {
        /// The database, without its password.
        database: String,
        /// What the last server that was tried said.
        #[source]
        source: EngineError,
    },
    /// A commit whose outcome nobody knows.
    #[error("the database did not say whether the commit is durable, so nobody is accepted on it")]
    UnknownOutcome,
    /// The database engine does not promise that what was committed survives a power cut.
    #[error("the database is not durable: `{setting}` is {found:?}; {remedy}")]
    NotDurable {
        /// The setting that could not be had.
        setting: &'static str,
        /// What it is instead.
        found: String,
        /// What to do about it.
        remedy: &'static str,
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
    /// A backup that cannot be made or used.
    #[error(transparent)]
    Backup(#[from] crate::BackupError),
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
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness, so nothing can be made durable; see its log")]
    NoRandomness,
    /// A reader ended before it answered.
    #[error("a reader ended before it answered; try again")]
    ReaderGone,
}

pub(crate) fn list(keys: &[KeyId]) -> String {
    let ids: Vec<_> = keys.iter().map(ToString::to_string).collect();
    ids.join(" and ")
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
    /// A rule.
    Rule,
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
            Self::Rule => "rule",
            Self::IndexKey => "index key of",
        })
    }
}

/// An error of the database engine, opaque: which engine it is may change.
#[derive(Clone, Debug)]
pub struct EngineError(Arc<EngineFault>);

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

/// What an engine reports.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineFault {
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    #[error("{}", postgres_message(.0))]
    Postgres(tokio_postgres::Error),
    /// A server that does not answer.
    #[error("the server does not answer")]
    Silent,
    /// A commit that succeeded with a warning.
    #[error("the server warned that the commit may not be durable everywhere")]
    Warned,
    /// A server that is a standby.
    #[error("the server is a standby")]
    Standby,
}

/// The driver's own text names the kind of an error alone.
fn postgres_message(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => said.to_string(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

impl EngineFault {
    /// Whether a constraint of the schema stood against it: what is there already, or what a trigger refuses.
    fn is_constraint(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
            }
            // Class 23, integrity constraint violation.
            Self::Postgres(error) => error.code().is_some_and(|state| state.code().starts_with("23")),
            _ => false,
        }
    }

    /// What it means, where there is a name for it.
    fn named(&self, doing: &'static str) -> Option<StoreError> {
        use rusqlite::ErrorCode as Code;
        use tokio_postgres::error::SqlState;
        match self {
            Self::Sqlite(error) => match error.sqlite_error_code()? {
                Code::DatabaseBusy | Code::DatabaseLocked => Some(StoreError::Busy { doing }),
                Code::DiskFull => Some(StoreError::Full { doing }),
                Code::DatabaseCorrupt | Code::NotADatabase => Some(StoreError::corrupt(error.to_string())),
                _ => None,
            },
            Self::Postgres(error) => {
                let state = error.code()?;
                if *state == SqlState::LOCK_NOT_AVAILABLE {
                    Some(StoreError::Busy { doing })
                } else if *state == SqlState::DISK_FULL {
                    Some(StoreError::Full { doing })
                } else {
                    None
                }
            }
            _ => None,
        }
    }
}

/// What goes wrong inside of a transaction, before anybody has said what it was for.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine failed.
    Engine(EngineFault),
    /// The store refused.
    Store(StoreError),
}

impl Fault {
    /// The error, now that it is known what was attempted.
    pub(crate) fn during(self, doing: &'static str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Engine(fault) => fault.named(doing).unwrap_or_else(|| StoreError::Engine {
                doing,
                source: fault.into(),
            }),
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
        matches!(self, Self::Engine(fault) if fault.is_constraint())
    }

    /// Whether a COMMIT that ended in this has certainly taken everything back.
    pub(crate) fn takes_back(&self) -> bool {
        use tokio_postgres::error::SqlState;
        match self {
            Self::Engine(EngineFault::Postgres(error)) => error.code().is_some_and(|state| {
                [
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::T_R_DEADLOCK_DETECTED,
                ]
                .contains(state)
                    || state.code().starts_with("23")
            }),
            _ => false,
        }
    }

    /// Whether another attempt may do better.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Engine(EngineFault::Postgres(error)) => crate::postgres::is_transient(error),
            Self::Engine(EngineFault::Silent | EngineFault::Warned | EngineFault::Standby)
            | Self::Store(StoreError::Unreachable { .. }) => true,
            _ => false,
        }
    }

    /// Whether another server may do better than the one that said this.
    pub(crate) fn is_of_the_server(&self) -> bool {
        match self {
            Self::Engine(EngineFault::Postgres(error)) => crate::postgres::is_of_the_server(error),
            Self::Engine(EngineFault::Silent | EngineFault::Standby) => true,
            _ => false,
        }
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

impl From<EngineFault> for EngineError {
    fn from(fault: EngineFault) -> Self {
        Self(Arc::new(fault))
    }
}

impl From<EngineFault> for Fault {
    fn from(fault: EngineFault) -> Self {
        Self::Engine(fault)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(EngineFault::Sqlite(error))
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Engine(EngineFault::Postgres(error))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
