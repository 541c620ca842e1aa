#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`UserString`], [`Token`] | the attribute; [`UserString::decode`], [`to_json`](UserString::to_json), [`kadmin_line`](UserString::kadmin_line), [`kadmin_command`](UserString::kadmin_command), [`kadmin_argv`](UserString::kadmin_argv) |
//! | [`Decoded`], [`Warning`], [`WarningKind`], [`Effect`] | what the KDC sees, and what is odd about it |
//! | [`DecodeError`], [`BuildError`], [`KadminError`] | the stored value, the operator's tokens, or the command line is at fault |
//! | [`json`] | the dialect itself |
#![forbid(unsafe_code)]

mod decode;
mod error;
pub mod json;
mod kadmin;
mod token;
mod user_string;
mod warning;

pub use decode::Decoded;
pub use error::{BuildError, DecodeError, KadminError};
pub use token::{DEFAULT_TYPE, Field, Token};
pub use user_string::{ATTRIBUTE, UserString};
pub use warning::{Effect, Warning, WarningKind};
