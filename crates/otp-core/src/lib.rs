#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | Type | What it is |
//! | --- | --- |
//! | [`TokenKey`] | the shared secret `K`; wiped on drop, never printed; [`base32`] and [`hex`] read its texts |
//! | [`Algorithm`], [`Digits`] | SHA-1, SHA-256, SHA-512; 6 to 8 digits |
//! | [`Otp`] | one value; compared in constant time, never printed by `Debug` |
//! | [`Hotp`], [`HotpState`], [`HotpMatch`] | counter tokens: [`generate`](Hotp::generate), [`verify`](Hotp::verify) with look-ahead, [`resynchronize`](Hotp::resynchronize), [`diagnose`](Hotp::diagnose) |
//! | [`Totp`], [`TotpState`], [`TotpMatch`], [`TimeStep`] | time-based tokens: the same, with learned drift |
//! | [`Window`], [`Verdict`] | how far a search goes, and what it found |
//! | [`Prepared`] | a token that has absorbed its key, for servers that keep it: half of the work of a code |
//! | [`Lanes`] | how many codes a search computes at once: 1, 8 (AVX2) or 16 (AVX-512) |
//! | [`Mistake`] | what an app did wrong at enrolment: "the app computes with SHA1" |
//! | [`OtpauthUri`] | `otpauth://` URIs, written and read |
//! | [`Migration`](uri::migration::Migration) | `otpauth-migration://` exports of whole apps, written and read |
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
