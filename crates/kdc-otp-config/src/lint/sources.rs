//! What the text of the files shows and the parsed profile no longer does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use krb5_profile::{FileAccess, MAX_LINE, Position};

use crate::finding::{Finding, Rule};

/// Hands files through, and keeps what was read: the included files too.
pub(crate) struct Recorder<'a, F> {
    files: &'a F,
    seen: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
}

impl<'a, F: FileAccess> Recorder<'a, F> {
    pub(crate) fn new(files: &'a F) -> Self {
        Self {
            files,
            seen: RefCell::default(),
        }
    }

    /// Looks at the text of every file that was read.
    pub(crate) fn lint(self, findings: &mut Vec<Finding>) {
        for (path, octets) in self.seen.into_inner() {
            lint(&path, &octets, findings);
        }
    }
}

impl<F: FileAccess> FileAccess for Recorder<'_, F> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let octets = self.files.read(path)?;
        self.seen.borrow_mut().insert(path.to_owned(), octets.clone());
        Ok(octets)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.files.list(directory)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.files.is_directory(path)
    }
}

fn lint(path: &Path, octets: &[u8], findings: &mut Vec<Finding>) {
    let mut report = |rule, line, message: &str, advice: &str| {
        findings.push(Finding {
            rule,
            position: Some(Position::new(path, line)),
            token_type: None,
            key: None,
            message: message.to_owned(),
            advice: advice.to_owned(),
        });
    };
    if octets.starts_with(b"\xef\xbb\xbf") {
        report(
            Rule::ByteOrderMark,
            1,
            "the file begins with a byte order mark, and what stands before the second section header is ignored",
            "save the file as UTF-8 without a byte order mark",
        );
    }
    let mut in_section = false;
    for (number, line) in (1_usize..).zip(octets.split(|octet| *octet == b'\n')) {
        let is_header = line.trim_ascii_start().starts_with(b"[");
        if is_header && !in_section && !line.starts_with(b"[") {
            report(
                Rule::IndentedHeader,
                number,
                "before the first section, an indented header is ignored, and so is what stands below it",
                "begin the header in the first column",
            );
        }
        in_section |= line.starts_with(b"[");
        // Where only the line feed is cut off, the rest is a blank line.
        if line.len() > MAX_LINE {
            report(
                Rule::LongLine,
                number,
                "the line is longer than 2047 octets; the KDC cuts it, and reads the rest as another line",
                "shorten the line, or divide the comment",
            );
        }
    }
}
