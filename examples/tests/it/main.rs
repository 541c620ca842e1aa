//! The examples, run as programs: the dump tools against the libraries and the tables that they are to agree with,
//! the RADIUS programs against each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod edges;
#[path = "../../../crates/krb5-profile/tests/it/generate.rs"]
mod generate;
mod profile_dump;
mod programs;
mod radius_dump;
mod radius_pap;
mod userstring_dump;
