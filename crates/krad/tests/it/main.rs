//! Vectors, refusals and properties of `krad`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod attributes;
mod authenticity;
mod client;
mod clock;
mod decode;
mod dictionary;
mod hex;
mod properties;
mod radius11;
mod round_trip;
mod stream;
mod user_password;
mod vectors;
