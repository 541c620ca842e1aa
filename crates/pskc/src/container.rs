//! The parts of a container (RFC 6030 §4).

use std::fmt;

use otp_core::{Hotp, HotpState, TokenKey, Totp, TotpState};
use rand::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{DateTime, Decoder, EncodeError, KeySource, Policy, Position, Protection, PskcError, encode};

/// A key container (RFC 6030 §4, `KeyContainer`): what a file holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Container {
    /// The container's `Id`, an XML name.
    pub id: Option<String>,
    /// Its keys, each with its package, in the order of the file.
    pub keys: Vec<KeyPackage>,
}

impl Container {
    /// A container of these packages, without an `Id`.
    #[must_use]
    pub fn new(keys: Vec<KeyPackage>) -> Self {
        Self { id: None, keys }
    }

    /// Reads a container; [`Decoder`] has the choices, of which this takes the safe ones.
    ///
    /// `source` opens an encrypted container and is not looked at for a plain one. Without it, an encrypted container is
    /// [`Problem::KeyNeeded`](crate::Problem::KeyNeeded), which says what to ask for.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong; [`Decoder::decode_all`] returns all of them.
    pub fn decode(xml: &[u8], source: Option<&KeySource>) -> Result<Self, PskcError> {
        Decoder::default().decode(xml, source)
    }

    /// Writes the container (RFC 6030 §4), in the order of its schema. `rng` draws keys, salts and initialization
    /// vectors.
    ///
    /// What is written reads back as the same container.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] for what PSKC cannot express.
    pub fn encode(
        &self,
        protection: &Protection<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Zeroizing<String>, EncodeError> {
        encode::container(self, protection, rng)
    }
}

/// A key and where it lives (RFC 6030 §4.1, `KeyPackage`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyPackage {
    /// Where the package begins in the file; the default for one that comes from elsewhere.
    pub position: Position,
    /// The device that holds the key (RFC 6030 §4.3.1).
    pub device: Option<DeviceInfo>,
    /// Which module of the device holds it (RFC 6030 §4.3.2, `CryptoModuleInfo/Id`).
    pub crypto_module_id: Option<String>,
    /// The key.
    pub key: Key,
}

impl KeyPackage {
    /// A package of a key alone.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self {
            position: Position::default(),
            device: None,
            crypto_module_id: None,
            key,
        }
    }
}

/// The device that holds a key (RFC 6030 §4.3.1, `DeviceInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The manufacturer, `oath.` or `iana.` and a registered prefix, or any name.
    pub manufacturer: Option<String>,
    /// The serial number, which names the device among those of its manufacturer.
    pub serial_no: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The issue number, where several devices have one serial number.
    pub issue_no: Option<String>,
    /// What the keys are bound to, so that they work in this device alone.
    pub device_binding: Option<String>,
    /// When the device begins to be valid.
    pub start_date: Option<DateTime>,
    /// When the device ends to be valid.
    pub expiry_date: Option<DateTime>,
    /// Whose device it is, as a distinguished name (RFC 4514).
    pub user_id: Option<String>,
}

/// A key (RFC 6030 §4.2, `Key`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Key {
    /// Names the key between the two sides; never empty.
    pub id: String,
    /// Who issued the key.
    pub issuer: Option<String>,
    /// Names a profile that both sides know, with parameters that are not in the container.
    pub key_profile_id: Option<String>,
    /// Names a key outside of the container.
    pub key_reference: Option<String>,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// The secret, with what turns it into one-time passwords and how far that has come.
    pub credential: Credential,
    /// Whether the device appends a Luhn check digit to every OTP (RFC 6030 §4.3.4, `CheckDigits`). The digit comes on
    /// top of the digits of the algorithm.
    pub check_digit: bool,
    /// Whose key it is, as a distinguished name (RFC 4514).
    pub user_id: Option<String>,
    /// What the key may be used for.
    pub policy: Policy,
}

impl Key {
    /// A key of this `Id`, without anything that can be left out.
    #[must_use]
    pub fn new(id: impl Into<String>, credential: Credential) -> Self {
        Self {
            id: id.into(),
            issuer: None,
            key_profile_id: None,
            key_reference: None,
            friendly_name: None,
            credential,
            check_digit: false,
            user_id: None,
            policy: Policy::default(),
        }
    }
}

/// A secret and its algorithm (RFC 6030 §10).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// An HOTP key (RFC 6030 §10.1).
    Hotp {
        /// The secret K.
        key: TokenKey,
        /// Hash function and digits.
        hotp: Hotp,
        /// `Counter` is the next counter.
        state: HotpState,
    },
    /// A TOTP key. PSKC has no place for T0: it is 0.
    Totp {
        /// The secret K.
        key: TokenKey,
        /// Hash function, digits, and `TimeInterval` as the time step.
        totp: Totp,
        /// `Time` is the last time step that was used, and `TimeDrift` how far the device is ahead of the server, in
        /// time steps (RFC 6030 §4.2): the state goes on behind that step.
        state: TotpState,
    },
    /// A PIN (RFC 6030 §10.2), to which the [`PinPolicy`](crate::PinPolicy) of another key refers.
    Pin(Pin),
}

impl Credential {
    /// The secret of a one-time password algorithm.
    #[must_use]
    pub fn token_key(&self) -> Option<&TokenKey> {
        match self {
            Self::Hotp { key, .. } | Self::Totp { key, .. } => Some(key),
            Self::Pin(_) => None,
        }
    }
}

/// A PIN: 1 to 32 decimal digits, wiped on drop.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Pin(Box<[u8]>);

impl Pin {
    /// Most digits of a PIN.
    pub const MAX_LEN: usize = 32;

    /// Takes the digits of a PIN, in ASCII.
    ///
    /// # Errors
    ///
    /// [`PinError`] if there are none, more than [`MAX_LEN`](Self::MAX_LEN), or anything else than digits.
    pub fn new(digits: &[u8]) -> Result<Self, PinError> {
        let valid = (1..=Self::MAX_LEN).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        valid.then(|| Self(digits.into())).ok_or(PinError)
    }

    /// The digits, in ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

/// Not a PIN of 1 to 32 decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the PIN is not 1 to {max} decimal digits", max = Pin::MAX_LEN)]
pub struct PinError;
