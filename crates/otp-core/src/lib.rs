#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod algorithm;
pub mod base32;
mod diagnosis;
mod digits;
pub mod hex;
mod hotp;
mod key;
mod mac;
mod otp;
mod totp;
pub mod uri;
mod window;

pub use algorithm::{Algorithm, AlgorithmError};
pub use diagnosis::Mistake;
pub use digits::{Digits, DigitsError};
pub use hotp::{Hotp, HotpMatch, HotpState, hotp};
pub use key::{KeyError, TokenKey};
pub use otp::{Otp, OtpError};
pub use totp::{TimeError, TimeStep, Totp, TotpMatch, TotpState};
pub use uri::{OtpauthUri, UriError};
pub use window::{Verdict, Window};
