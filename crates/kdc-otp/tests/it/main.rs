//! The KDC's side of OTP on virtual time, against servers in memory, and beside libkrb5.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod flow;
mod library;
mod network;
mod random;
mod timing;
mod user_strings;
mod wire;
