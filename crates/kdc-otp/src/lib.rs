#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | type | what it is |
//! | --- | --- |
//! | [`OtpModule`] | the token types and the host name of a KDC; [`verify`](OtpModule::verify) begins, [`asks`](OtpModule::asks) only tells what would be asked |
//! | [`Principal`] | the name in the KDC's database; how it is written as a User-Name, with and without its realm |
//! | [`Ask`] | one token, resolved: type, User-Name, indicators |
//! | [`Verification`] | the state machine: [`poll_server`](Verification::poll_server), [`poll_transmit`](Verification::poll_transmit), [`poll_timeout`](Verification::poll_timeout); [`handle_addresses`](Verification::handle_addresses), [`handle_unreachable`](Verification::handle_unreachable), [`handle_packet`](Verification::handle_packet), [`handle_timeout`](Verification::handle_timeout) |
//! | [`Step`], [`Answer`] | what each token came to, and how long it took |
//! | [`Outcome`] | a ticket with its indicators, or why there is none |
//! | [`RequestError`], [`Failure`] | what ends it before and after the first question; [`logged_as`](Failure::logged_as) is what krb5kdc writes in its log |
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
