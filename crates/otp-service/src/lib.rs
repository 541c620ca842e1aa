#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Service`] | store, clock and password checks; cheap to clone |
//! | [`Request`] | user name, credential, digest of the packet |
//! | [`Outcome`] | what may be answered, and why |
//! | [`Answer::Accept`] | holds the [`otp_store::Accept`] that only a durable commit makes |
//! | [`Clock`] | where the time comes from; tests and simulations bring their own |
//! | [`password`] | Argon2id: make and verify hashes |
#![forbid(unsafe_code)]

mod clock;
pub mod password;
mod service;
mod watch;

pub use clock::{Clock, SystemClock};
pub use service::{Answer, Outcome, Request, Service};
