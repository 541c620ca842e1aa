//! The service on a real store, with a clock that stands where the test puts it.
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

mod clock;
mod passwords;
mod verdicts;
mod world;
