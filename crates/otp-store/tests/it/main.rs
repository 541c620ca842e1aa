//! The store from outside: what it promises, and what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::duplicate_mod,
    missing_docs,
    unreachable_pub,
    reason = "test code; one battery stands here for each engine"
)]

mod cluster;
mod faults;
#[path = "battery/mod.rs"]
mod on_postgres;
#[path = "battery/mod.rs"]
mod on_sqlite;
mod outages;
mod proxy;
mod sealing;
mod setup;
mod support;
mod together;
