//! What is wrong with a dictionary, where, and what to do.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::definition::{DataType, Oid};

/// A dictionary that cannot be used: which file, which line, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{}: {problem}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct DictionaryError {
    file: PathBuf,
    line: Option<u64>,
    #[source]
    problem: DictionaryProblem,
}

impl DictionaryError {
    pub(super) fn new(file: &Path, line: Option<u64>, problem: DictionaryProblem) -> Self {
        Self {
            file: file.to_owned(),
            line,
            problem,
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line, from 1; `None` if it is about the whole file.
    #[must_use]
    pub const fn line(&self) -> Option<u64> {
        self.line
    }

    /// What is wrong.
    #[must_use]
    pub const fn problem(&self) -> &DictionaryProblem {
        &self.problem
    }
}

/// What is wrong with a line of a dictionary.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DictionaryProblem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(Arc<io::Error>),
    /// Files include each other too deeply, perhaps in a circle.
    #[error("more than {0} files include each other; do they form a circle?")]
    IncludeDepth(usize),
    /// The line does not begin with a keyword.
    #[error(
        "unknown keyword {0:?}; known are ATTRIBUTE, VALUE, VENDOR, BEGIN-VENDOR, END-VENDOR, BEGIN-TLV, END-TLV, \
         PROTOCOL, BEGIN-PROTOCOL, END-PROTOCOL, $INCLUDE and $INCLUDE-"
    )]
    Keyword(String),
    /// Too few or too many words.
    #[error("write it as: {0}")]
    Usage(&'static str),
    /// Not a name.
    #[error("{0:?} is not a name: letters, digits and - _ . / : + * are")]
    Name(String),
    /// Not a name of a value.
    #[error("{0:?} is not a name for a value: printable ASCII is")]
    ValueName(String),
    /// Not a number, or one that is too large.
    #[error("{0:?} is not a number that fits here; write it in decimal or as 0x and hexadecimal")]
    Number(String),
    /// Not a type.
    #[error("unknown type {0:?}; known are {names}", names = DataType::NAMES.join(", "))]
    DataType(String),
    /// Not a flag.
    #[error(
        "unknown flag {0:?}; known are has_tag, encrypt=1 to 3, array, concat, secret, virtual and a vendor's name"
    )]
    Flag(String),
    /// Not a layout.
    #[error("unknown layout {0:?}; write format=T,L or format=1,1,c with T of 1, 2 or 4 and L of 0, 1 or 2")]
    Format(String),
    /// The attribute is not defined.
    #[error("no attribute {0:?}; define it with ATTRIBUTE, or include the dictionary that does")]
    UnknownAttribute(String),
    /// The vendor is not defined.
    #[error("no vendor {0:?}; define it with VENDOR, or include the dictionary that does")]
    UnknownVendor(String),
    /// The attribute is not one that others can be in.
    #[error(
        "nothing can be nested in {0}: it is not defined before, or not as tlv, vsa, extended, long-extended or evs"
    )]
    Nesting(Oid),
    /// Named values of something that is neither an integer nor octets.
    #[error("{name} is of type {data_type}; only integers and octets have named values", data_type = .data_type.name())]
    ValueOfType {
        /// Name of the attribute.
        name: String,
        /// Its type.
        data_type: DataType,
    },
    /// A name that is taken.
    #[error("{name} is already {defined}; choose another name, or remove one of the two")]
    Conflict {
        /// The name.
        name: String,
        /// What it stands for.
        defined: String,
    },
    /// An END without its BEGIN.
    #[error("{found} does not end {open}")]
    Unbalanced {
        /// What the line says.
        found: String,
        /// What is open at this point.
        open: String,
    },
    /// A BEGIN without its END in the same file.
    #[error("{0} is not ended in this file")]
    NotEnded(String),
    /// A dictionary of another protocol.
    #[error("protocol {0:?}: this is a dictionary of RADIUS")]
    Protocol(String),
}
