#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Service`] | store, clock and password checks; cheap to clone |
//! | [`Request`], [`Credential`], [`ChapResponse`], [`Origin`] | user name, credential, digest of the packet; where it came from |
//! | [`Room`] | whether an acceptance can be told, asked before a code is spent on it |
//! | [`Outcome`] | what may be answered, and why |
//! | [`Answer::Accept`] | holds the [`otp_store::Accept`] that only a durable commit makes |
//! | [`Answer::Challenge`] | a question, and the State that its answer brings back |
//! | [`Answer::Forward`], [`Forwarded`] | other servers decide; what they said |
//! | [`Clock`] | where the time comes from; tests and simulations bring their own |
//! | [`PasswordCache`] | passwords that were proven a moment ago, if wanted |
//! | [`password`] | Argon2id: make and verify hashes |
#![forbid(unsafe_code)]

mod alarm;
mod checker;
mod clock;
mod dialogue;
mod pace;
pub mod password;
mod passwords;
mod proofs;
mod request;
mod service;
#[cfg(test)]
mod testing;
mod threads;
mod trail;
mod turns;
mod watch;

pub use clock::{Clock, SystemClock};
pub use proofs::PasswordCache;
pub use request::{Answer, Challenge, ChapResponse, Credential, Forwarded, Origin, Outcome, Request, Room};
pub use service::Service;
