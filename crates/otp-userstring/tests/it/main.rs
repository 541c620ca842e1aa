//! Properties of the decoder, and the same work done by the installed MIT krb5.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod kadmin;
mod library;
mod outcomes;
mod properties;
mod spelling;
