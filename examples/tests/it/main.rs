//! The dump tools, run as programs and held against the libraries and the tables that they are to agree with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

#[path = "../../../crates/krb5-profile/tests/it/generate.rs"]
mod generate;
mod profile_dump;
mod programs;
mod radius_dump;
mod userstring_dump;
