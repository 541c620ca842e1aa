//! Between Rust's numbers and names and those of SQL.

use otp_validation::UnixTime;
use rand::CryptoRng;

use crate::StoreError;

/// A random name of a row, to which its sealed values are bound. It survives renaming and renumbering.
pub(crate) type Uid = [u8; 16];

pub(crate) fn random_uid(rng: &mut impl CryptoRng) -> Uid {
    let mut uid = Uid::default();
    rng.fill_bytes(&mut uid);
    uid
}

/// A counter, step or duration that must be held exactly.
pub(crate) fn exact(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::OutOfRange { what, value })
}

/// A time, which may as well be the end of time.
pub(crate) fn time(time: UnixTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// A number that this program never writes as negative.
pub(crate) fn unsigned(what: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::corrupt(format!("{what} is {value}")))
}

pub(crate) fn unix_time(what: &'static str, value: i64) -> Result<UnixTime, StoreError> {
    unsigned(what, value).map(UnixTime)
}

/// Refuses labels and names of clients that cannot be typed, printed in a line or told apart by eye.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), StoreError> {
    let why = if name.is_empty() {
        "must not be empty"
    } else if name.len() > 64 {
        "must have at most 64 octets"
    } else if name.chars().any(char::is_control) {
        "must not contain control characters"
    } else if name.contains('/') {
        "must not contain \"/\", which separates a user from a label"
    } else if name.trim() != name {
        "must not begin or end with a blank"
    } else {
        return Ok(());
    };
    Err(StoreError::Invalid { what, why })
}
