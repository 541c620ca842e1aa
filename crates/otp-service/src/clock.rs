//! Time as something that a service is given.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use otp_validation::UnixTime;

/// Where a service reads the time.
pub trait Clock: Send + Sync + 'static {
    /// Now. It may be set, forward and back.
    fn now(&self) -> UnixTime;

    /// How much time has passed since some moment before the clock was asked first. It only goes on.
    fn elapsed(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place where programs read the machine's clocks"
)]
impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 reads as 1970: every TOTP step is then refused or replayed, which is the safe side.
        UnixTime(since_epoch.map_or(0, |elapsed| elapsed.as_secs()))
    }

    fn elapsed(&self) -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed()
    }
}
