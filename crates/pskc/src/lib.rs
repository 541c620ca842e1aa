#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | Type | What it is |
//! | --- | --- |
//! | [`Container`], [`KeyPackage`], [`DeviceInfo`], [`Key`] | what a file holds, in the RFC's own words |
//! | [`Credential`] | the secret with its algorithm and state, in the types of `otp-core` |
//! | [`Policy`], [`PinPolicy`], [`KeyUsage`], [`DateTime`] | what a key may be used for, and when |
//! | [`Decoder`] | the choices of a reader; every method weakens one rule |
//! | [`KeySource`], [`PreSharedKey`], [`Passphrase`] | what opens an encrypted container; wiped on drop, never printed |
//! | [`Protection`] | how a container is written |
//! | [`PskcError`], [`Problem`], [`Position`] | what is wrong, in which line and element, and the remedy |
#![forbid(unsafe_code)]

mod container;
mod crypto;
mod date;
mod decode;
mod encode;
mod error;
mod policy;
mod secret;
mod uri;
mod xml;

pub use container::{Container, Credential, DeviceInfo, Key, KeyPackage, Pin, PinError};
pub use date::DateTime;
pub use decode::Decoder;
pub use encode::{EncodeError, Protection};
pub use error::{KeyKind, Position, Problem, PskcError};
pub use policy::{KeyUsage, PinPolicy, PinUsageMode, Policy, ValueFormat};
pub use secret::{KeySource, KeySourceError, Passphrase, PreSharedKey};
