//! The connection URL in a file of its own, where it may hold a password.

use std::path::Path;

use crate::{Postgres, SecretFileError, StoreError, read_secret_file};

impl Postgres {
    /// Reads the connection URL from the first line of a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// [`StoreError::DatabaseFilePermissions`] if others may read it, [`StoreError::DatabaseUrl`] for what is no URL, or
    /// whatever keeps the file from being read.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let url = read_secret_file(path).map_err(|error| match error {
            SecretFileError::Read { path, source } => StoreError::io("read", path, source),
            SecretFileError::Permissions { path, mode } => StoreError::DatabaseFilePermissions { path, mode },
            error => StoreError::DatabaseUrl {
                why: error.to_string(),
            },
        })?;
        url.parse()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

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
