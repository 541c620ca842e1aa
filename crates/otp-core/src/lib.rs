#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod algorithm;
pub mod base32;
mod diagnosis;
mod digits;
pub mod hex;
mod hmac_sha1;
mod hotp;
mod key;
mod lanes;
mod mac;
mod otp;
mod prepared;
mod search;
mod totp;
pub mod uri;
mod window;

pub use algorithm::{Algorithm, AlgorithmError};
pub use diagnosis::Mistake;
pub use digits::{Digits, DigitsError};
pub use hotp::{Hotp, HotpMatch, HotpState, hotp};
pub use key::{KeyError, TokenKey};
pub use lanes::Lanes;
pub use otp::{Otp, OtpError};
pub use prepared::Prepared;
pub use totp::{TimeError, TimeStep, Totp, TotpMatch, TotpState};
pub use uri::{OtpauthUri, UriError};
pub use window::{Verdict, Window};
