#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod check;
mod decode;
mod finding;
mod kdc;
mod lint;
mod schedule;
mod secret;
mod token_type;

pub use check::{Outcome, Report, check};
pub use decode::{InitError, decode};
pub use finding::{Finding, Rule, Severity};
pub use kdc::KdcBuild;
pub use krb5_profile::{ConfigError, FileAccess, Filesystem, FinalRule, MemoryFiles, Position};
pub use schedule::{Hazard, Schedule};
pub use secret::{MAX_SECRET, Secret};
pub use token_type::{DEFAULT_TYPE, MAX_SOCKET_PATH, Server, TokenType};
