//! Where something stands, and why a profile is not usable.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line of a file: where a section, a relation or a mistake stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    file: Arc<Path>,
    line: usize,
}

impl Position {
    /// Line `line` of `file`, counted from 1; line 0 stands for the file as a whole.
    pub fn new(file: impl Into<Arc<Path>>, line: usize) -> Self {
        Self {
            file: file.into(),
            line,
        }
    }

    /// The file, as it was named in the search path or by the `include` directive.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line, counted from 1 as an editor counts.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", shown(&self.file), self.line)
    }
}

/// Why a profile cannot be loaded; the fault of whoever wrote the files.
///
/// Every variant stops a Kerberos program that reads the same files, so a KDC does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `[section]` inside an open brace (`PROF_SECTION_NOTOP`): close the subsection first.
    #[error("{0}: a section header inside a subsection; a closing brace is missing above")]
    SectionNotTop(Position),
    /// A section header that does not end after `]` or `]*` (`PROF_SECTION_SYNTAX`).
    #[error("{0}: malformed section header; write [name], with nothing after the bracket")]
    SectionSyntax(Position),
    /// A line that is not `tag = value` (`PROF_RELATION_SYNTAX`).
    #[error("{0}: malformed line; write tag = value, with no blanks inside the tag")]
    RelationSyntax(Position),
    /// `}` with nothing to close (`PROF_EXTRA_CBRACE`).
    #[error("{0}: a closing brace that closes nothing")]
    ExtraClosingBrace(Position),
    /// `tag =` opens a subsection, and the next line does not begin with `{` (`PROF_MISSING_OBRACE`).
    #[error(
        "{0}: an opening brace was expected, because the line before has no value; write \"\" for an empty value"
    )]
    MissingOpeningBrace(Position),
    /// The file of an `include` directive cannot be opened (`PROF_FAIL_INCLUDE_FILE`).
    #[error("{at}: cannot include {}: {kind}", shown(path))]
    IncludeFile {
        /// The directive.
        at: Position,
        /// What it names.
        path: PathBuf,
        /// Why it cannot be opened.
        kind: std::io::ErrorKind,
    },
    /// The directory of an `includedir` directive cannot be listed (`PROF_FAIL_INCLUDE_DIR`).
    #[error("{at}: cannot include the directory {}: {kind}", shown(path))]
    IncludeDirectory {
        /// The directive.
        at: Position,
        /// What it names.
        path: PathBuf,
        /// Why it cannot be listed.
        kind: std::io::ErrorKind,
    },
    /// Files include each other without end, or are too many to be meant; the C library stops when no
    /// descriptor is left (`PROF_FAIL_INCLUDE_FILE`).
    #[error(
        "{at}: including {} exceeds {limit}; does a file include itself?",
        shown(path)
    )]
    IncludeLimit {
        /// The directive.
        at: Position,
        /// What it names.
        path: PathBuf,
        /// The limit, as text.
        limit: &'static str,
    },
    /// A `module` directive hands the profile over to a shared object; this library loads no code.
    #[error("{0}: a module directive; the profile comes from a shared object, which is not loaded here")]
    Module(Position),
    /// A file of the search path cannot be read although it exists.
    #[error("cannot read {}: {kind}", shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        kind: std::io::ErrorKind,
    },
}

impl ConfigError {
    /// Where the mistake stands, if it is in a file's text.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::SectionNotTop(at)
            | Self::SectionSyntax(at)
            | Self::RelationSyntax(at)
            | Self::ExtraClosingBrace(at)
            | Self::MissingOpeningBrace(at)
            | Self::Module(at)
            | Self::IncludeFile { at, .. }
            | Self::IncludeDirectory { at, .. }
            | Self::IncludeLimit { at, .. } => Some(at),
            Self::Read { .. } => None,
        }
    }

    /// The code that libprofile returns for the same mistake (`prof_err.et`), where it has one.
    ///
    /// libkrb5 reports the five syntax errors as `KRB5_CONFIG_BADFORMAT`.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        let offset = match self {
            Self::SectionNotTop(_) => 13,
            Self::SectionSyntax(_) => 14,
            Self::RelationSyntax(_) => 15,
            Self::ExtraClosingBrace(_) => 16,
            Self::MissingOpeningBrace(_) => 17,
            Self::IncludeFile { .. } | Self::IncludeLimit { .. } => 31,
            Self::IncludeDirectory { .. } => 32,
            Self::Module(_) => 35,
            Self::Read { .. } => return None,
        };
        Some(PROF_ERROR_BASE + offset)
    }
}

/// Why the text of a relation is not of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not one of `y yes true t 1 on` and `n no false nil 0 off` (`PROF_BAD_BOOLEAN`).
    #[error("{at}: \"{value}\" is not a boolean; write true or false")]
    Boolean {
        /// The relation.
        at: Position,
        /// Its value, made printable.
        value: String,
    },
    /// Not a decimal number that fits a C `int` (`PROF_BAD_INTEGER`).
    #[error(
        "{at}: \"{value}\" is not a whole number between {} and {}",
        i32::MIN,
        i32::MAX
    )]
    Integer {
        /// The relation.
        at: Position,
        /// Its value, made printable.
        value: String,
    },
}

impl ValueError {
    /// The relation that holds the value.
    #[must_use]
    pub fn position(&self) -> &Position {
        match self {
            Self::Boolean { at, .. } | Self::Integer { at, .. } => at,
        }
    }
}

/// A path in a message: directives name paths, and whatever is in them must not end the line.
fn shown(path: &Path) -> String {
    text(path.as_os_str().as_encoded_bytes())
}

/// Makes octets of a profile printable: control characters, quotes and what is not UTF-8 are escaped.
///
/// ```
/// assert_eq!(krb5_profile::text(b"a\tb\xff"), "a\\tb\u{fffd}");
/// ```
#[must_use]
pub fn text(octets: &[u8]) -> String {
    let mut printable = String::new();
    for c in String::from_utf8_lossy(octets).chars() {
        if c.is_control() || c == '"' || c == '\\' {
            // Writing to a String cannot fail.
            let _ = write!(printable, "{}", c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// `ERROR_TABLE_BASE_prof`.
const PROF_ERROR_BASE: i64 = -1_429_577_728;
