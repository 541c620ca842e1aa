//! Virtual time.

use std::time::{Duration, Instant};

/// When a test begins.
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do, and there is no other way to make one"
)]
pub fn start() -> Instant {
    Instant::now()
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
