#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod ask;
mod failure;
mod module;
mod principal;
mod verification;

pub use ask::Ask;
pub use failure::{Failure, RequestError, Unreachable};
pub use module::{NasIdentifierError, OtpModule};
pub use principal::{Principal, PrincipalError};
pub use verification::{Answer, Outcome, Step, Transmit, Verification};
