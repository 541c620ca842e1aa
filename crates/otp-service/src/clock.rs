//! Time as something that a service is given.

use otp_validation::UnixTime;

/// Where a service reads the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> UnixTime;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where programs read the wall clock"
    )]
    fn now(&self) -> UnixTime {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 reads as 1970: every TOTP step is then refused or replayed, which is the safe side.
        UnixTime(since_epoch.map_or(0, |elapsed| elapsed.as_secs()))
    }
}
