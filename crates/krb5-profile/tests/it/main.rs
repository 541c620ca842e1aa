//! The format's conformance tables, includes, and agreement with MIT's library.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod conformance;
mod dump;
mod final_marks;
mod generate;
mod includes;
mod libprofile;
mod robustness;
mod spelling;
