//! Files that hold one secret in their first line, and that only their owner may read.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Longer than any secret or URL that is typed or generated, in octets.
const LONGEST: usize = 4096;

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{} has mode {mode:04o}: others may read the secret; chmod 0600 it, and let it belong to the daemon's user", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is nothing in its first line.
    #[error("the first line of {} is empty: write the secret into it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A part of it would be another secret.
    #[error("the first line of {} has more than {LONGEST} octets: write the secret alone into it", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the first line of a file that only its owner may read (mode 0600 or less, or a credential of systemd). Blanks at its ends
/// belong to no secret.
///
/// # Errors
///
/// If others may read the file, if it is none, and if its first line is empty, no UTF-8 or longer than 4096 octets.
pub fn read_secret_file(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
    let unreadable = |source| SecretFileError::Read {
        path: path.to_owned(),
        source,
    };
    // Looked at before it is opened: opening a FIFO would wait for its writer.
    check(path, &fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    check(path, &file.metadata().map_err(unreadable)?)?;
    // As large as it may become: what grows, or goes through a buffer, would leave copies of the secret behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let mut beginning = file.take(LONGEST as u64 + 1);
    beginning.read_to_end(&mut octets).map_err(unreadable)?;
    let line = octets.split(|&octet| octet == b'\n').next().unwrap_or_default();
    if line.len() > LONGEST {
        return Err(SecretFileError::TooLong {
            path: path.to_owned(),
        });
    }
    let line = str::from_utf8(line)
        .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    match line.trim() {
        "" => Err(SecretFileError::Empty {
            path: path.to_owned(),
        }),
        secret => Ok(Zeroizing::new(secret.to_owned())),
    }
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), SecretFileError> {
    if !metadata.file_type().is_file() {
        return Err(SecretFileError::Read {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"),
        });
    }
    let mode = mode(metadata);
    if mode & 0o077 != 0 && !is_systemd_credential(metadata) {
        return Err(SecretFileError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// What `chmod` sets.
pub(crate) fn mode(metadata: &fs::Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

/// Whether it looks as systemd hands credentials to services: root:root 0440, where the group's bit is the mask of an access
/// control list.
pub(crate) fn is_systemd_credential(metadata: &fs::Metadata) -> bool {
    metadata.uid() == 0 && metadata.gid() == 0 && mode(metadata) == 0o440
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_secret_if_nobody_else_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("corp.secret");
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_secret_file(&path)
        };
        assert_eq!(
            *write("a secret of ours\n# a comment\n", 0o600).unwrap(),
            "a secret of ours"
        );
        assert!(matches!(
            write("x", 0o640),
            Err(SecretFileError::Permissions { mode: 0o640, .. })
        ));
        assert!(matches!(write("\nx", 0o600), Err(SecretFileError::Empty { .. })));
        assert!(matches!(
            read_secret_file(directory.path()),
            Err(SecretFileError::Read { .. })
        ));
        assert!(matches!(
            read_secret_file(&path.join("no")),
            Err(SecretFileError::Read { .. })
        ));
    }

    /// What fits is taken whole, and nothing is cut.
    #[test]
    fn a_secret_that_is_too_long_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (length, fits) in [
            (1025, true),
            (LONGEST, true),
            (LONGEST + 1, false),
            (3 * LONGEST, false),
        ] {
            fs::write(&path, format!("{}\n", "x".repeat(length))).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            match read_secret_file(&path) {
                Ok(secret) => assert!(fits && secret.len() == length, "{length}"),
                Err(error) => {
                    assert!(
                        !fits && matches!(error, SecretFileError::TooLong { .. }),
                        "{length}: {error}"
                    );
                }
            }
        }
    }
}
