#![doc = include_str!("../README.md")]
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
