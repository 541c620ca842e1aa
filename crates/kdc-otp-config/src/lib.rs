#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`check`] | files in, a [`Report`] out: an [`Outcome`] and [`Finding`]s |
//! | [`Outcome`] | what the KDC does: ready with these [`TokenType`]s, running without OTP ([`InitError`]), or not starting |
//! | [`Finding`], [`Rule`], [`Severity`] | what is wrong, in which file and line, and what to write instead |
//! | [`decode`] | only what the KDC does: types, or the first mistake |
//! | [`Schedule`], [`Hazard`] | what `timeout` and `retries` amount to |
//! | [`Secret`] | the first line of a secret file, zeroized on drop |
//! | [`KdcBuild`] | the directories and the version of the KDC: [`debian`](KdcBuild::debian), [`fedora`](KdcBuild::fedora), or your own |
//! | [`FileAccess`] | the door to files: [`Filesystem`], or [`MemoryFiles`] in tests |
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
