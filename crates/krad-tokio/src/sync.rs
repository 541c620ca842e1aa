//! The lock of the standard library, or, in the tests of this crate's own modules, one whose every use is a point at which a
//! schedule of threads may go another way.

#[cfg(test)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard};
