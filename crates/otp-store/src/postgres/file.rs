//! The connection URL in a file of its own, where it may hold a password.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{Postgres, StoreError};

/// Longer than any URL that leads somewhere.
const LONGEST: u64 = 4096;

impl Postgres {
    /// Reads the connection URL from the first line of a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// [`StoreError::DatabaseFilePermissions`] if others may read it, [`StoreError::DatabaseUrl`] for what is no URL, or
    /// whatever keeps the file from being read.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        // Looked at before it is opened: opening a FIFO would wait for its writer.
        let named = fs::metadata(path).map_err(|error| StoreError::io("read", path, error))?;
        check(path, &named)?;
        let file = File::open(path).map_err(|error| StoreError::io("read", path, error))?;
        let opened = file
            .metadata()
            .map_err(|error| StoreError::io("look at", path, error))?;
        check(path, &opened)?;
        // As large as it may become: a string that grows would leave copies of a password behind.
        let mut line = Zeroizing::new(String::with_capacity(8192));
        BufReader::new(file.take(LONGEST))
            .read_line(&mut line)
            .map_err(|error| StoreError::io("read", path, error))?;
        let url = line.trim();
        if url.is_empty() {
            return Err(StoreError::DatabaseUrl {
                why: format!("the first line of {} is empty", path.display()),
            });
        }
        url.parse()
    }
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    if !metadata.file_type().is_file() {
        let why = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
        return Err(StoreError::io("read", path, why));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // systemd hands credentials to services as root:root 0440, where the group's bit is the mask of an access control list.
    let is_systemd_credential = metadata.uid() == 0 && metadata.gid() == 0 && mode == 0o440;
    if mode & 0o077 != 0 && !is_systemd_credential {
        return Err(StoreError::DatabaseFilePermissions {
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
    fn the_first_line_is_the_url() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("database");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("postgresql://otp:geheim@localhost/otp\n# of the test\n");
        let postgres = Postgres::read(&path).unwrap();
        assert!(postgres.has_password());
        assert_eq!(postgres.to_string(), "postgresql://localhost:5432/otp");
        for (text, part) in [
            ("", "is empty"),
            ("\npostgresql://otp@localhost/otp", "is empty"),
            ("otp", "cannot be used"),
        ] {
            write(text);
            let refused = Postgres::read(&path).unwrap_err().to_string();
            assert!(refused.contains(part), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("database");
        fs::write(&path, "postgresql://otp@localhost/otp").unwrap();
        for (mode, accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match Postgres::read(&path) {
                Ok(_) => assert!(accepted, "{mode:o}"),
                Err(error) => {
                    assert!(!accepted, "{mode:o}");
                    assert!(error.to_string().contains("chmod 600"), "{error}");
                }
            }
        }
        assert!(matches!(Postgres::read(dir.path()), Err(StoreError::Io { .. })));
    }
}
