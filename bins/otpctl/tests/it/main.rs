//! Runs the built `otpctl` on states of its own, and the library with a terminal that answers by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod audit;
mod auth;
mod backup;
mod client;
mod harness;
mod import;
mod kdc;
mod kdc_try;
mod options;
mod rule;
mod state;
mod terminal;
mod token;
mod user;
