//! The secret shared with an upstream, in a file of its own.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Longer than any secret that is typed or generated.
const LONGEST: u64 = 1024;

/// How many octets a secret had better have: what is shorter is found by trying (RFC 2865 §3).
pub(crate) const SHORTEST_GOOD: usize = 16;

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
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
    #[error("the first line of {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the first line of a file that only its owner may read. Blanks at its ends belong to no secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |source| SecretError::Read {
        path: path.to_owned(),
        source,
    };
    // Looked at before it is opened: opening a FIFO would wait for its writer.
    check(path, &fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    check(path, &file.metadata().map_err(unreadable)?)?;
    // As large as it may become: a string that grows would leave copies behind.
    let mut line = Zeroizing::new(String::with_capacity(2048));
    BufReader::new(file.take(LONGEST))
        .read_line(&mut line)
        .map_err(unreadable)?;
    match line.trim() {
        "" => Err(SecretError::Empty {
            path: path.to_owned(),
        }),
        secret => Ok(Zeroizing::new(secret.to_owned())),
    }
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), SecretError> {
    if !metadata.file_type().is_file() {
        return Err(SecretError::Read {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"),
        });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // systemd hands credentials to services as root:root 0440, where the group's bit is the mask of an access control list.
    let is_systemd_credential = metadata.uid() == 0 && metadata.gid() == 0 && mode == 0o440;
    if mode & 0o077 != 0 && !is_systemd_credential {
        return Err(SecretError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
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
            read(&path)
        };
        assert_eq!(
            *write("a secret of ours\n# a comment\n", 0o600).unwrap(),
            "a secret of ours"
        );
        assert!(matches!(
            write("x", 0o640),
            Err(SecretError::Permissions { mode: 0o640, .. })
        ));
        assert!(matches!(write("\nx", 0o600), Err(SecretError::Empty { .. })));
        assert!(matches!(read(directory.path()), Err(SecretError::Read { .. })));
        assert!(matches!(read(&path.join("no")), Err(SecretError::Read { .. })));
    }
}
