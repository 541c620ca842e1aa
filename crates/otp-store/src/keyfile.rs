//! The file of the sealing key: one line, `otp-seal-key-1` and the key in hexadecimal digits.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use otp_core::hex;
use zeroize::Zeroizing;

use crate::{StoreError, paths::sync_directory, seal::SealKey};

/// Format and version.
const MAGIC: &str = "otp-seal-key-1";
/// Longer than any key file that this program writes.
const LONGEST: u64 = 256;

/// Reads the key, if nobody but its owner and root can.
pub(crate) fn read(path: &Path, state_owner: u32) -> Result<SealKey, StoreError> {
    // Looked at before it is opened: opening a FIFO would wait for its writer.
    let named = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::KeyFileMissing {
                path: path.to_owned(),
            });
        }
        other => other.map_err(|error| StoreError::io("look at", path, error))?,
    };
    check(path, &named, state_owner)?;
    let file = File::open(path).map_err(|error| StoreError::io("open", path, error))?;
    let opened = file
        .metadata()
        .map_err(|error| StoreError::io("look at", path, error))?;
    if (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
        return Err(StoreError::KeyFileNotRegular {
            path: path.to_owned(),
        });
    }
    check(path, &opened, state_owner)?;
    // As large as it may become: a vector that grows would leave copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(512));
    match file.take(LONGEST).read_to_string(&mut text) {
        Ok(_) => parse(&text).ok_or_else(|| StoreError::KeyFileMalformed {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(StoreError::KeyFileMalformed {
            path: path.to_owned(),
        }),
        Err(error) => Err(StoreError::io("read", path, error)),
    }
}

fn check(path: &Path, metadata: &fs::Metadata, state_owner: u32) -> Result<(), StoreError> {
    let path = path.to_owned();
    if !metadata.file_type().is_file() {
        return Err(StoreError::KeyFileNotRegular { path });
    }
    let owner = metadata.uid();
    if owner != 0 && owner != state_owner {
        return Err(StoreError::KeyFileOwner {
            path,
            owner,
            expected: state_owner,
        });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // systemd hands credentials to services as root:root 0440, where the group's bit is the mask of an access control list.
    let is_systemd_credential = owner == 0 && metadata.gid() == 0 && mode == 0o440;
    if mode & 0o177 != 0 && !is_systemd_credential {
        return Err(StoreError::KeyFilePermissions { path, mode });
    }
    Ok(())
}

fn parse(text: &str) -> Option<SealKey> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let digits = line.strip_prefix(MAGIC)?.strip_prefix(' ')?;
    if digits.len() != SealKey::LEN * 2 {
        return None;
    }
    SealKey::from_slice(&hex::decode(digits).ok()?)
}

/// Writes `key` to a new file and makes it durable.
pub(crate) fn create(path: &Path, key: &SealKey) -> Result<(), StoreError> {
    let mut line = Zeroizing::new(String::with_capacity(128));
    line.push_str(MAGIC);
    line.push(' ');
    for octet in key.as_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(line, "{octet:02x}");
    }
    line.push('\n');
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::AlreadyInitialised {
            path: path.to_owned(),
        },
        _ => StoreError::io("create", path, error),
    })?;
    let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
    let durable = written
        .map_err(|error| StoreError::io("write", path, error))
        .and_then(|()| match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
            Some(parent) => sync_directory(parent),
            None => Ok(()),
        });
    if durable.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(path);
    }
    durable
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn a_key_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let owner = fs::metadata(dir.path()).unwrap().uid();
        let key = SealKey::generate(&mut StdRng::seed_from_u64(1));
        create(&path, &key).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        assert_eq!(read(&path, owner).unwrap().as_bytes(), key.as_bytes());
        assert!(matches!(
            create(&path, &key),
            Err(StoreError::AlreadyInitialised { .. })
        ));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let owner = fs::metadata(dir.path()).unwrap().uid();
        create(&path, &SealKey::generate(&mut StdRng::seed_from_u64(1))).unwrap();
        for (mode, accepted) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o700, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match read(&path, owner) {
                Ok(_) => assert!(accepted, "{mode:o}"),
                Err(error) => {
                    assert!(!accepted, "{mode:o}");
                    assert!(error.to_string().contains("chmod 600"), "{error}");
                }
            }
        }
    }

    #[test]
    fn links_and_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let owner = fs::metadata(dir.path()).unwrap().uid();
        let (key, link) = (dir.path().join("seal.key"), dir.path().join("link"));
        create(&key, &SealKey::generate(&mut StdRng::seed_from_u64(1))).unwrap();
        symlink(&key, &link).unwrap();
        for path in [link, dir.path().to_owned()] {
            assert!(matches!(
                read(&path, owner),
                Err(StoreError::KeyFileNotRegular { .. })
            ));
        }
    }

    #[test]
    fn anything_but_the_one_line_is_malformed() {
        let good = format!("{MAGIC} {}", "0f".repeat(32));
        assert!(parse(&good).is_some() && parse(&format!("{good}\n")).is_some());
        for length in 0..good.len() {
            assert!(parse(&good[..length]).is_none(), "{length} octets");
        }
        for bad in [
            format!("{good}\n\n"),
            format!("{good}0"),
            good.replace("-1", "-2"),
            good.replace("0f", "0x"),
        ] {
            assert!(parse(&bad).is_none(), "{bad:?}");
        }
    }
}
