//! The file of the sealing key: one line, `otp-seal-key-1` and the key in hexadecimal digits; while the key is rotated, a
//! second line with the new one.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
    slice,
};

use otp_core::hex;
use zeroize::Zeroizing;

use crate::{StoreError, paths::sync_directory, seal::SealKey, secret_file};

/// Format and version.
const MAGIC: &str = "otp-seal-key-1";
/// Longer than any key file that this program writes.
const LONGEST: u64 = 512;

/// Reads the keys, the older one first, if nobody but their owner and root can.
pub(crate) fn read(path: &Path, state_owner: u32) -> Result<Vec<SealKey>, StoreError> {
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
    let mut text = Zeroizing::new(String::with_capacity(1024));
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
    let mode = secret_file::mode(metadata);
    if mode & 0o177 != 0 && !secret_file::is_systemd_credential(metadata) {
        return Err(StoreError::KeyFilePermissions { path, mode });
    }
    Ok(())
}

fn parse(text: &str) -> Option<Vec<SealKey>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let keys: Option<Vec<_>> = text.split('\n').map(parse_line).collect();
    // The same key twice is a slip of whoever edited the file.
    keys.filter(|keys| match keys.as_slice() {
        [_] => true,
        [older, newer] => older.id() != newer.id(),
        _ => false,
    })
}

fn parse_line(line: &str) -> Option<SealKey> {
    let digits = line.strip_prefix(MAGIC)?.strip_prefix(' ')?;
    if digits.len() != SealKey::LEN * 2 {
        return None;
    }
    SealKey::from_slice(&hex::decode(digits).ok()?)
}

/// Writes `key` to a new file and makes it durable.
pub(crate) fn create(path: &Path, key: &SealKey) -> Result<(), StoreError> {
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
    let durable = write(&mut file, path, slice::from_ref(key)).and_then(|()| sync_parent(path));
    if durable.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(path);
    }
    durable
}

/// Puts `keys` in the place of those in the file, at once: whoever reads it, and whatever crash comes in between, finds
/// the ones or the others. Owner and mode stay.
pub(crate) fn replace(path: &Path, keys: &[SealKey]) -> Result<(), StoreError> {
    let before = fs::symlink_metadata(path).map_err(|error| StoreError::io("look at", path, error))?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let draft = PathBuf::from(name);
    // Left behind by an attempt that was killed.
    let _ = fs::remove_file(&draft);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft);
    let mut file = file.map_err(|error| StoreError::io("create", &draft, error))?;
    let written = fchown(&file, Some(before.uid()), Some(before.gid()))
        .and_then(|()| file.set_permissions(before.permissions()))
        .map_err(|error| StoreError::io("change the owner of", &draft, error))
        .and_then(|()| write(&mut file, &draft, keys))
        .and_then(|()| fs::rename(&draft, path).map_err(|error| StoreError::io("replace", path, error)));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
        return written;
    }
    sync_parent(path)
}

fn write(file: &mut File, path: &Path, keys: &[SealKey]) -> Result<(), StoreError> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    for key in keys {
        text.push_str(MAGIC);
        text.push(' ');
        for octet in key.as_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{octet:02x}");
        }
        text.push('\n');
    }
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| StoreError::io("write", path, error))
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rand::{SeedableRng as _, rngs::StdRng};

    use std::os::unix::fs::PermissionsExt as _;

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
        assert_eq!(read(&path, owner).unwrap()[0].as_bytes(), key.as_bytes());
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
    fn two_keys_take_the_place_of_one_and_keep_its_owner_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let owner = fs::metadata(dir.path()).unwrap().uid();
        let keys = [1, 2, 3].map(|seed| SealKey::generate(&mut StdRng::seed_from_u64(seed)));
        create(&path, &keys[0]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        // What an attempt that was killed leaves behind is in nobody's way.
        fs::write(dir.path().join("seal.key.new"), "half").unwrap();
        replace(&path, &keys[..2]).unwrap();
        let ids = |keys: &[SealKey]| keys.iter().map(SealKey::id).collect::<Vec<_>>();
        assert_eq!(ids(&read(&path, owner).unwrap()), ids(&keys[..2]));
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o400);
        replace(&path, &keys[1..2]).unwrap();
        assert_eq!(ids(&read(&path, owner).unwrap()), ids(&keys[1..2]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let line = fs::read_to_string(&path).unwrap();
        let other = line.replace(|c: char| c.is_ascii_digit(), "0");
        assert!(parse(&format!("{line}{other}{line}")).is_none(), "three");
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
            format!("{good}\n{good}\n"),
            format!("{good}0"),
            good.replace("-1", "-2"),
            good.replace("0f", "0x"),
        ] {
            assert!(parse(&bad).is_none(), "{bad:?}");
        }
    }
}
