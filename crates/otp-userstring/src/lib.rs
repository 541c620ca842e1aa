#![doc = include_str!("../README.md")]
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
