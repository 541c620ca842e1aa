//! Why a command could not do what it was asked to: exit code, cause, and what to do about it.

use std::{error::Error, io};

use otp_store::{BackupError, StoreError};

use crate::Exit;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) cause: Box<dyn Error + Send + Sync>,
    /// What to do next.
    pub(crate) remedy: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            cause: cause.into(),
            remedy: None,
        }
    }

    /// Data that cannot be used.
    pub(crate) fn data(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Data, cause)
    }

    /// An object that is missing, or in the way.
    pub(crate) fn object(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Object, cause)
    }

    /// Options that do not go together in a way that clap cannot know.
    pub(crate) fn usage(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Usage, cause)
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::new(
            Exit::Io,
            FileError {
                action,
                path: path.display().to_string(),
                source,
            },
        )
    }

    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    /// Whether what was to be read from the store is damaged.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self.cause.downcast_ref(), Some(StoreError::Corrupt { .. }))
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The messages of the cause and of everything beneath it, the outermost first.
    pub(crate) fn messages(&self) -> Vec<String> {
        let mut messages = vec![self.cause.to_string()];
        let mut source = self.cause.source();
        while let Some(error) = source {
            messages.push(error.to_string());
            source = error.source();
        }
        messages
    }
}

/// A stream that cannot be read or written.
impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self::new(Exit::Io, source)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path:?}")]
struct FileError {
    action: &'static str,
    path: String,
    source: io::Error,
}

/// The store's own messages say what to do, so that there is no remedy to add.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(exit_of(&error), error)
    }
}

fn exit_of(error: &StoreError) -> Exit {
    match error {
        StoreError::AlreadyInitialised { .. }
        | StoreError::DatabaseInUse { .. }
        | StoreError::Exists { .. }
        | StoreError::NotFound { .. } => Exit::Object,
        StoreError::Invalid { .. } | StoreError::OutOfRange { .. } => Exit::Data,
        StoreError::Backup(BackupError::Write(_) | BackupError::Read(_)) => Exit::Io,
        StoreError::Backup(BackupError::WrongKey { .. }) => Exit::Store,
        StoreError::Backup(_) => Exit::Data,
        StoreError::Batch { source, .. } => exit_of(source),
        _ => Exit::Store,
    }
}
