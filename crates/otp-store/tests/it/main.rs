//! The store from outside: what it promises, and what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod admin;
mod clients;
mod commits;
mod conflicts;
mod faults;
mod in_memory;
mod model;
mod processes;
mod races;
mod sealing;
mod setup;
mod support;
