#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
pub mod password;
mod service;
mod watch;

pub use clock::{Clock, SystemClock};
pub use service::{Answer, Outcome, Request, Service};
