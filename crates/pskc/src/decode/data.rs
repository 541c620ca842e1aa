//! `Data`: the secret and the moving factors, plain or encrypted (RFC 6030 §4.2).

use std::num::NonZeroU64;

use otp_core::TokenKey;
use zeroize::Zeroizing;

use super::encryption::Opener;
use super::key::number;
use super::once;
use crate::uri::KeyAlgorithm;
use crate::xml::{self, Element};
use crate::{Problem, PskcError};

/// What `Data` holds.
pub(super) struct Data<'a> {
    element: &'a Element,
    secret: Option<(&'a Element, Zeroizing<Vec<u8>>)>,
    /// The next counter.
    pub(super) counter: Option<u64>,
    /// The last time step that was used.
    pub(super) time: Option<u64>,
    pub(super) time_interval: Option<NonZeroU64>,
    pub(super) time_drift: Option<i64>,
}

/// The integers of the schema: `xs:int` and `xs:long`, with their widths when encrypted.
#[derive(Clone, Copy)]
enum Width {
    Int,
    Long,
}

impl<'a> Data<'a> {
    pub(super) fn read(
        element: &'a Element,
        algorithm: KeyAlgorithm,
        opener: &Opener,
    ) -> Result<Self, PskcError> {
        let mut data = Self {
            element,
            secret: None,
            counter: None,
            time: None,
            time_interval: None,
            time_drift: None,
        };
        let (hotp, totp) = (algorithm == KeyAlgorithm::Hotp, algorithm == KeyAlgorithm::Totp);
        for child in element.children(&[])? {
            match child.name() {
                "Secret" => once(&mut data.secret, (child, secret(child, opener)?), child)?,
                "Counter" if hotp => once(&mut data.counter, integer(child, opener, Width::Long, 0)?, child)?,
                "Time" if totp => once(&mut data.time, integer(child, opener, Width::Int, 0)?, child)?,
                "TimeInterval" if totp => {
                    let seconds: u64 = integer(child, opener, Width::Int, 1)?;
                    // The range begins at 1.
                    let seconds = NonZeroU64::new(seconds).unwrap_or(NonZeroU64::MIN);
                    once(&mut data.time_interval, seconds, child)?;
                }
                "TimeDrift" if totp => {
                    let drift = integer(child, opener, Width::Int, i32::MIN.into())?;
                    once(&mut data.time_drift, drift, child)?;
                }
                "Counter" | "Time" | "TimeInterval" | "TimeDrift" => {
                    let name = match algorithm {
                        KeyAlgorithm::Hotp => "an HOTP key",
                        KeyAlgorithm::Totp => "a TOTP key",
                        KeyAlgorithm::Pin => "a PIN",
                    };
                    return Err(child.error(Problem::Inapplicable(name)));
                }
                _ => return Err(child.unsupported()),
            }
        }
        Ok(data)
    }

    pub(super) fn secret(&self) -> Result<&[u8], PskcError> {
        match &self.secret {
            Some((_, octets)) => Ok(octets),
            None => Err(self.element.error(Problem::Missing("Secret"))),
        }
    }

    pub(super) fn token_key(&self, short_keys: bool) -> Result<TokenKey, PskcError> {
        let octets = self.secret()?;
        let key = if short_keys {
            TokenKey::dangerous_allow_short(octets)
        } else {
            TokenKey::new(octets)
        };
        let element = self.secret.as_ref().map_or(self.element, |(element, _)| *element);
        key.map_err(|error| element.error(Problem::Key(error)))
    }
}

/// A value as the file has it: the text of `PlainValue`, or the octets that were encrypted.
enum Value<'a> {
    Plain(&'a Element),
    Decrypted(&'a Element, Zeroizing<Vec<u8>>),
}

fn value<'a>(element: &'a Element, opener: &Opener) -> Result<Value<'a>, PskcError> {
    let (mut plain, mut encrypted, mut mac) = (None, None, None);
    for child in element.children(&[])? {
        match child.name() {
            "PlainValue" => once(&mut plain, child, child)?,
            "EncryptedValue" => once(&mut encrypted, child, child)?,
            "ValueMAC" => once(&mut mac, child, child)?,
            _ => return Err(child.unsupported()),
        }
    }
    match (plain, encrypted, mac) {
        (Some(plain), None, None) => Ok(Value::Plain(plain)),
        // RFC 6030 §6.1.1 defines the MAC over what is encrypted.
        (Some(_), None, Some(mac)) => Err(mac.unsupported()),
        (None, Some(encrypted), mac) => Ok(Value::Decrypted(encrypted, opener.open(encrypted, mac)?)),
        (Some(_), Some(encrypted), _) => Err(encrypted.error(Problem::Repeated)),
        (None, None, _) => Err(element.error(Problem::Missing("PlainValue or EncryptedValue"))),
    }
}

fn secret(element: &Element, opener: &Opener) -> Result<Zeroizing<Vec<u8>>, PskcError> {
    match value(element, opener)? {
        Value::Plain(plain) => xml::base64(plain.text()?).ok_or_else(|| plain.error(Problem::Base64)),
        Value::Decrypted(_, octets) => Ok(octets),
    }
}

fn integer<T: TryFrom<i64>>(
    element: &Element,
    opener: &Opener,
    width: Width,
    min: i64,
) -> Result<T, PskcError> {
    let max = match width {
        Width::Int => i32::MAX.into(),
        Width::Long => i64::MAX,
    };
    match value(element, opener)? {
        Value::Plain(plain) => number(plain, plain.text()?, min, max),
        Value::Decrypted(encrypted, octets) => {
            // RFC 6030 §4.2: four and eight octets in network byte order.
            let number = match width {
                Width::Int => octets
                    .as_slice()
                    .try_into()
                    .ok()
                    .map(i32::from_be_bytes)
                    .map(i64::from),
                Width::Long => octets.as_slice().try_into().ok().map(i64::from_be_bytes),
            };
            number
                .filter(|number| (min..=max).contains(number))
                .and_then(|number| T::try_from(number).ok())
                .ok_or_else(|| encrypted.error(Problem::Plaintext))
        }
    }
}
