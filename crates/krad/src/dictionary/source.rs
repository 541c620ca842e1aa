//! Where the text of dictionaries comes from.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Reads the files of a dictionary, so that a program decides what `$INCLUDE` can reach.
pub trait DictionarySource {
    /// The octets of the file at `path`.
    ///
    /// # Errors
    ///
    /// Why it cannot be read. [`io::ErrorKind::NotFound`] is no error to `$INCLUDE-`.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DictionaryFiles;

impl DictionarySource for DictionaryFiles {
    /// Reads a file of up to 4 MiB.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        let read = File::open(path)?
            .take(MAX_FILE_OCTETS.saturating_add(1))
            .read_to_end(&mut octets)?;
        match u64::try_from(read) {
            Ok(..=MAX_FILE_OCTETS) => Ok(octets),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }
}

const MAX_FILE_OCTETS: u64 = 4 << 20;
