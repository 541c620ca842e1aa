//! The one door to files: a trait, the file system behind it, and files in memory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::parse::MAX_FILE_OCTETS;

/// What the parser asks of the outside: whole files and the names in a directory.
///
/// [`Filesystem`] is the real one; [`MemoryFiles`] serves tests and editors.
pub trait FileAccess {
    /// Returns the octets of the file at `path`. A directory reads as an empty file, as it does for `fopen`.
    ///
    /// # Errors
    ///
    /// Why the file cannot be opened.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns the names in a directory, in any order.
    ///
    /// # Errors
    ///
    /// Why the directory cannot be listed.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Whether `path` is a directory.
    fn is_directory(&self, path: &Path) -> bool;

    /// The permission bits of `path` (`0o600`), if there are such things and they can be read.
    fn mode(&self, path: &Path) -> Option<u32> {
        let _ = path;
        None
    }
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filesystem;

impl FileAccess for Filesystem {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let limit = u64::try_from(MAX_FILE_OCTETS).unwrap_or(u64::MAX);
        let file = File::open(path)?;
        // A file can grow while it is read, and some have no size: this only saves growing the buffer step by step.
        let size = file.metadata().map_or(0, |metadata| metadata.len().min(limit));
        let mut octets = Vec::with_capacity(usize::try_from(size).map_or(0, |size| size.saturating_add(1)));
        match file.take(limit.saturating_add(1)).read_to_end(&mut octets) {
            Err(error) if error.kind() != io::ErrorKind::IsADirectory => Err(error),
            _ if octets.len() > MAX_FILE_OCTETS => Err(io::ErrorKind::FileTooLarge.into()),
            _ => Ok(octets),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(directory)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    #[cfg(unix)]
    fn mode(&self, path: &Path) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path)
            .ok()
            .map(|metadata| metadata.permissions().mode() & 0o7777)
    }
}

/// Files that exist in memory only. A directory exists where a file stands below it.
///
/// ```
/// use krb5_profile::{FinalRule, MemoryFiles, Profile};
///
/// let files = MemoryFiles::from([("/etc/krb5.conf", "[libdefaults]\n default_realm = EXAMPLE.COM\n")]);
/// let profile = Profile::load(["/etc/krb5.conf"], &files, FinalRule::Since1_22)?;
/// assert_eq!(profile.value(["libdefaults", "default_realm"]), Some(&b"EXAMPLE.COM"[..]));
/// # Ok::<(), krb5_profile::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(BTreeMap<PathBuf, Vec<u8>>);

impl MemoryFiles {
    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<PathBuf>, octets: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), octets.into());
    }
}

impl<P: Into<PathBuf>, O: Into<Vec<u8>>, const N: usize> From<[(P, O); N]> for MemoryFiles {
    fn from(files: [(P, O); N]) -> Self {
        Self(
            files
                .into_iter()
                .map(|(path, octets)| (path.into(), octets.into()))
                .collect(),
        )
    }
}

impl FileAccess for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.0.get(path) {
            Some(octets) => Ok(octets.clone()),
            None if self.is_directory(path) => Ok(Vec::new()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        if !self.is_directory(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let below = self.0.keys().filter_map(|path| path.strip_prefix(directory).ok());
        let mut names: Vec<OsString> = below
            .filter_map(|path| path.iter().next())
            .map(OsString::from)
            .collect();
        names.dedup();
        Ok(names)
    }

    fn is_directory(&self, path: &Path) -> bool {
        // Every path begins with the empty one, which names nothing.
        !path.as_os_str().is_empty() && self.0.keys().any(|file| file != path && file.starts_with(path))
    }
}
