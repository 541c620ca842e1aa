#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Profile`] | the files of a search path, merged; queries as in `profile.h` |
//! | [`Tree`], [`Section`], [`Relation`], [`Child`] | what one file says, for programs that look further than queries do; [`Tree::to_octets`] writes it |
//! | [`Position`] | file and line |
//! | [`FinalRule`] | what `*` means: up to krb5 1.21, or since 1.22 |
//! | [`FileAccess`] | the door to files: [`Filesystem`], or [`MemoryFiles`] in tests |
//! | [`ConfigError`], [`ValueError`] | what is wrong, where, and the code that libprofile returns for it |
//! | [`search_path`], [`kdc_search_path`] | which files a program reads, from `KRB5_CONFIG` and `KRB5_KDC_PROFILE` |
//! | [`boolean`], [`integer`] | the typed values, from octets |
#![forbid(unsafe_code)]

mod error;
mod files;
mod line;
mod parse;
mod paths;
mod profile;
mod tree;
mod value;
mod write;

pub use error::{ConfigError, Position, ValueError, text};
pub use files::{FileAccess, Filesystem, MemoryFiles};
pub use line::MAX_LINE;
pub use parse::{MAX_FILE_OCTETS, MAX_FILES, MAX_INCLUDE_DEPTH, to_path};
pub use paths::{kdc_search_path, search_path};
pub use profile::Profile;
pub use tree::{Child, FinalRule, Relation, Section, Tree};
pub use value::{boolean, integer};
pub use write::WriteError;
