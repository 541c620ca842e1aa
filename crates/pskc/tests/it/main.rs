//! The crate from outside: figures of the RFC, refusals, properties, and other implementations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod figures;
mod harness;
mod oracle;
mod properties;
mod refused;
