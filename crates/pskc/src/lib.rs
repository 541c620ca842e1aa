#![doc = include_str!("../README.md")]
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
