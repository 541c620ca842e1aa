//! The listeners on real loopback sockets, on paused time: it advances when nothing else is left to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod addresses;
mod client;
mod concurrency;
mod duplicates;
mod pool;
mod socket_file;
mod support;
mod tcp;
mod tls;
mod udp;
mod unix;
mod unix_limits;
