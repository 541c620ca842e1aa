//! From a [`Container`] to XML, in the order of the schema (RFC 6030 §11.1).

mod writer;

use std::fmt;

use otp_core::{HotpState, Totp, TotpState};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{Cipher, MacAlgorithm};
use crate::uri::{DS, KeyAlgorithm, PKCS5, PSKC, XENC, XENC11};
use crate::xml::{is_legal, trim};
use crate::{Container, Credential, Decoder, DeviceInfo, Key, KeyPackage, Passphrase, Policy, PreSharedKey};

use writer::Writer;

/// How the secrets of a container are protected (RFC 6030 §6). Everything else is readable in any case.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Protection<'a> {
    /// Not at all: whoever reads the file has the keys.
    Plain,
    /// AES-CBC with a key that both sides have (RFC 6030 §6.1), and HMAC-SHA-256.
    PreSharedKey {
        /// What the other side calls the key.
        name: &'a str,
        /// The key; its length chooses the cipher.
        key: &'a PreSharedKey,
    },
    /// AES-256-CBC with a key that PBKDF2-HMAC-SHA-256 derives from a passphrase (RFC 6030 §6.2), and HMAC-SHA-256.
    Passphrase {
        /// What the other side calls the passphrase.
        name: Option<&'a str>,
        /// The passphrase.
        passphrase: &'a Passphrase,
        /// Iterations of PBKDF2, at least 1000 (RFC 8018 §4.2); more make guessing as much slower as opening.
        iterations: u32,
    },
}

impl Protection<'_> {
    /// Iterations of PBKDF2-HMAC-SHA-256 that are good practice: about half a second on one core.
    pub const DEFAULT_ITERATIONS: u32 = 600_000;
    /// The fewest iterations that are written (RFC 8018 §4.2).
    pub const MIN_ITERATIONS: u32 = 1000;
}

/// Octets of a salt.
const SALT_LEN: usize = 16;
/// Octets of a MAC key: those of SHA-256 (RFC 2104 §3).
const MAC_KEY_LEN: usize = 32;
/// Octets that a key takes in a file, about.
const KEY_TEXT_LEN: usize = 2048;

/// Why a container cannot be written. The fault is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A container has at least one key (RFC 6030 §11.1).
    #[error("the container has no key")]
    NoKey,
    /// The text cannot stand in XML, or would read back as another one: it has a control character, or white space at an
    /// end.
    #[error("{0} has a character that cannot be written")]
    Text(&'static str),
    /// Not an XML name (RFC 6030 §11.1: `xs:ID`).
    #[error("the container's Id is not an XML name")]
    Id,
    /// A text that is needed is empty.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A number that the schema has no room for.
    #[error("{0} is too large")]
    Range(&'static str),
    /// T0 is not 0: PSKC has no place for it.
    #[error("T0 is not 0")]
    T0,
    /// PBKDF2 with fewer iterations than [`Protection::MIN_ITERATIONS`], or more than [`Decoder::MAX_ITERATIONS`].
    #[error("the number of iterations, {0}, is outside {min}..={max}", min = Protection::MIN_ITERATIONS, max = Decoder::MAX_ITERATIONS)]
    Iterations(u32),
}

/// The keys of an encrypted container.
struct Sealer {
    cipher: Cipher,
    key: Zeroizing<Vec<u8>>,
    mac_key: Zeroizing<Vec<u8>>,
}

const MAC: MacAlgorithm = MacAlgorithm::Sha256;

pub(crate) fn container<R: CryptoRng>(
    container: &Container,
    protection: &Protection<'_>,
    rng: &mut R,
) -> Result<Zeroizing<String>, EncodeError> {
    if container.keys.is_empty() {
        return Err(EncodeError::NoKey);
    }
    let mut xml = Writer::new(container.keys.len().saturating_mul(KEY_TEXT_LEN));
    let mut attributes = vec![("xmlns:pskc", PSKC)];
    if !matches!(protection, Protection::Plain) {
        attributes.extend([
            ("xmlns:ds", DS),
            ("xmlns:xenc", XENC),
            ("xmlns:xenc11", XENC11),
            ("xmlns:pkcs5", PKCS5),
        ]);
    }
    attributes.push(("Version", "1.0"));
    if let Some(id) = &container.id {
        if !is_name(id) {
            return Err(EncodeError::Id);
        }
        attributes.push(("Id", id));
    }
    xml.begin("pskc:KeyContainer", &attributes);
    let sealer = encryption_key(&mut xml, protection, rng)?;
    if let Some(sealer) = &sealer {
        xml.begin("pskc:MACMethod", &[("Algorithm", &MAC.uri())]);
        xml.begin("pskc:MACKey", &[]);
        encrypted_data(&mut xml, sealer, &sealer.mac_key, rng);
        xml.end();
        xml.end();
    }
    for package in &container.keys {
        key_package(&mut xml, package, sealer.as_ref(), rng)?;
    }
    xml.end();
    Ok(xml.finish())
}

/// Writes `EncryptionKey` and returns what it names.
fn encryption_key<R: CryptoRng>(
    xml: &mut Writer,
    protection: &Protection<'_>,
    rng: &mut R,
) -> Result<Option<Sealer>, EncodeError> {
    let key = match protection {
        Protection::Plain => return Ok(None),
        Protection::PreSharedKey { name, key } => {
            xml.begin("pskc:EncryptionKey", &[]);
            xml.leaf("ds:KeyName", check("the name of the key", name)?);
            xml.end();
            Zeroizing::new(key.as_bytes().to_vec())
        }
        Protection::Passphrase {
            name,
            passphrase,
            iterations,
        } => {
            if !(Protection::MIN_ITERATIONS..=Decoder::MAX_ITERATIONS).contains(iterations) {
                return Err(EncodeError::Iterations(*iterations));
            }
            let mut salt = [0; SALT_LEN];
            rng.fill_bytes(&mut salt);
            let len = Cipher::Aes256.key_len();
            xml.begin("pskc:EncryptionKey", &[]);
            xml.begin("xenc11:DerivedKey", &[]);
            xml.begin(
                "xenc11:KeyDerivationMethod",
                &[("Algorithm", &format!("{PKCS5}pbkdf2"))],
            );
            xml.begin("pkcs5:PBKDF2-params", &[]);
            // PKCS #5 leaves these elements without a namespace, as figure 7 shows them.
            xml.begin("Salt", &[]);
            xml.base64("Specified", &salt);
            xml.end();
            xml.leaf("IterationCount", &iterations.to_string());
            xml.leaf("KeyLength", &len.to_string());
            xml.empty("PRF", &[("Algorithm", &MAC.uri())]);
            xml.end();
            xml.end();
            if let Some(name) = name {
                xml.leaf("xenc11:MasterKeyName", check("the name of the passphrase", name)?);
            }
            xml.end();
            xml.end();
            MAC.pbkdf2(passphrase.as_bytes(), &salt, *iterations, len)
        }
    };
    let mut mac_key = Zeroizing::new(vec![0; MAC_KEY_LEN]);
    rng.fill_bytes(&mut mac_key);
    // A pre-shared key has the length of one of the ciphers.
    let cipher = Cipher::of_key_len(key.len()).unwrap_or(Cipher::Aes256);
    Ok(Some(Sealer { cipher, key, mac_key }))
}

/// Writes the content of `EncryptedData` and returns the octets that a MAC covers.
fn encrypted_data<R: CryptoRng>(xml: &mut Writer, sealer: &Sealer, plaintext: &[u8], rng: &mut R) -> Vec<u8> {
    // The key has the cipher's length.
    let octets = sealer
        .cipher
        .encrypt(&sealer.key, plaintext, rng)
        .unwrap_or_default();
    xml.empty("xenc:EncryptionMethod", &[("Algorithm", &sealer.cipher.uri())]);
    xml.begin("xenc:CipherData", &[]);
    xml.base64("xenc:CipherValue", &octets);
    xml.end();
    octets
}

fn key_package<R: CryptoRng>(
    xml: &mut Writer,
    package: &KeyPackage,
    sealer: Option<&Sealer>,
    rng: &mut R,
) -> Result<(), EncodeError> {
    xml.begin("pskc:KeyPackage", &[]);
    if let Some(device) = &package.device {
        device_info(xml, device)?;
    }
    if let Some(id) = &package.crypto_module_id {
        xml.begin("pskc:CryptoModuleInfo", &[]);
        xml.leaf("pskc:Id", check("CryptoModuleInfo/Id", id)?);
        xml.end();
    }
    key(xml, &package.key, sealer, rng)?;
    xml.end();
    Ok(())
}

fn device_info(xml: &mut Writer, device: &DeviceInfo) -> Result<(), EncodeError> {
    xml.begin("pskc:DeviceInfo", &[]);
    string(xml, "pskc:Manufacturer", device.manufacturer.as_ref())?;
    string(xml, "pskc:SerialNo", device.serial_no.as_ref())?;
    string(xml, "pskc:Model", device.model.as_ref())?;
    string(xml, "pskc:IssueNo", device.issue_no.as_ref())?;
    string(xml, "pskc:DeviceBinding", device.device_binding.as_ref())?;
    display(xml, "pskc:StartDate", device.start_date);
    display(xml, "pskc:ExpiryDate", device.expiry_date);
    string(xml, "pskc:UserId", device.user_id.as_ref())?;
    xml.end();
    Ok(())
}

fn key<R: CryptoRng>(
    xml: &mut Writer,
    key: &Key,
    sealer: Option<&Sealer>,
    rng: &mut R,
) -> Result<(), EncodeError> {
    if key.id.is_empty() {
        return Err(EncodeError::Empty("the key's Id"));
    }
    let algorithm = match key.credential {
        Credential::Hotp { .. } => KeyAlgorithm::Hotp,
        Credential::Totp { .. } => KeyAlgorithm::Totp,
        Credential::Pin(_) => KeyAlgorithm::Pin,
    };
    let uri = format!("{PSKC}:{}", algorithm.name());
    xml.begin(
        "pskc:Key",
        &[("Id", check("the key's Id", &key.id)?), ("Algorithm", &uri)],
    );
    string(xml, "pskc:Issuer", key.issuer.as_ref())?;
    let (suite, length) = match &key.credential {
        Credential::Hotp { hotp, .. } => (Some(hotp.algorithm), usize::from(hotp.digits.get())),
        Credential::Totp { totp, .. } => (Some(totp.algorithm()), usize::from(totp.digits().get())),
        Credential::Pin(pin) => (None, pin.as_bytes().len()),
    };
    xml.begin("pskc:AlgorithmParameters", &[]);
    if let Some(suite) = suite {
        xml.leaf("pskc:Suite", &format!("HMAC-{suite}"));
    }
    let length = length.to_string();
    let mut format = vec![("Encoding", "DECIMAL"), ("Length", &length)];
    if key.check_digit {
        format.push(("CheckDigits", "true"));
    }
    xml.empty("pskc:ResponseFormat", &format);
    xml.end();
    string(xml, "pskc:KeyProfileId", key.key_profile_id.as_ref())?;
    string(xml, "pskc:KeyReference", key.key_reference.as_ref())?;
    string(xml, "pskc:FriendlyName", key.friendly_name.as_ref())?;
    data(xml, &key.credential, sealer, rng)?;
    string(xml, "pskc:UserId", key.user_id.as_ref())?;
    policy(xml, &key.policy)?;
    xml.end();
    Ok(())
}

fn data<R: CryptoRng>(
    xml: &mut Writer,
    credential: &Credential,
    sealer: Option<&Sealer>,
    rng: &mut R,
) -> Result<(), EncodeError> {
    xml.begin("pskc:Data", &[]);
    let octets = match credential {
        Credential::Hotp { key, .. } | Credential::Totp { key, .. } => key.as_bytes(),
        Credential::Pin(pin) => pin.as_bytes(),
    };
    xml.begin("pskc:Secret", &[]);
    match sealer {
        None => xml.base64("pskc:PlainValue", octets),
        Some(sealer) => {
            xml.begin("pskc:EncryptedValue", &[]);
            let encrypted = encrypted_data(xml, sealer, octets, rng);
            xml.end();
            xml.base64("pskc:ValueMAC", &MAC.mac(&sealer.mac_key, &encrypted));
        }
    }
    xml.end();
    match credential {
        Credential::Hotp {
            state: HotpState { next },
            ..
        } => plain_value(
            xml,
            "pskc:Counter",
            i64::try_from(*next).map_err(|_| EncodeError::Range("Counter"))?,
        ),
        Credential::Totp { totp, state, .. } => moving_factors(xml, totp, state)?,
        Credential::Pin(_) => {}
    }
    xml.end();
    Ok(())
}

fn moving_factors(xml: &mut Writer, totp: &Totp, state: &TotpState) -> Result<(), EncodeError> {
    if totp.t0() != 0 {
        return Err(EncodeError::T0);
    }
    // The last step that was used; none was if the next is 0.
    if let Some(last) = state.next.checked_sub(1) {
        plain_value(
            xml,
            "pskc:Time",
            i32::try_from(last).map_err(|_| EncodeError::Range("Time"))?,
        );
    }
    let step = i32::try_from(totp.step().get()).map_err(|_| EncodeError::Range("TimeInterval"))?;
    plain_value(xml, "pskc:TimeInterval", step);
    if state.drift != 0 {
        let drift = i32::try_from(state.drift).map_err(|_| EncodeError::Range("TimeDrift"))?;
        plain_value(xml, "pskc:TimeDrift", drift);
    }
    Ok(())
}

fn policy(xml: &mut Writer, policy: &Policy) -> Result<(), EncodeError> {
    if *policy == Policy::default() {
        return Ok(());
    }
    xml.begin("pskc:Policy", &[]);
    display(xml, "pskc:StartDate", policy.start_date);
    display(xml, "pskc:ExpiryDate", policy.expiry_date);
    if let Some(pin) = &policy.pin {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let (attempts, min, max) = (
            number(pin.max_failed_attempts),
            number(pin.min_length),
            number(pin.max_length),
        );
        let key_id = pin
            .key_id
            .as_deref()
            .map(|id| check("PINKeyId", id))
            .transpose()?;
        let attributes = [
            ("PINKeyId", key_id),
            ("PINUsageMode", pin.usage_mode.map(|mode| mode.as_str())),
            ("MaxFailedAttempts", attempts.as_deref()),
            ("MinLength", min.as_deref()),
            ("MaxLength", max.as_deref()),
            ("PINEncoding", pin.encoding.map(|encoding| encoding.as_str())),
        ];
        let present: Vec<_> = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        xml.empty("pskc:PINPolicy", &present);
    }
    for usage in &policy.key_usage {
        xml.leaf("pskc:KeyUsage", usage.as_str());
    }
    if let Some(count) = policy.number_of_transactions {
        let count = i64::try_from(count).map_err(|_| EncodeError::Range("NumberOfTransactions"))?;
        display(xml, "pskc:NumberOfTransactions", Some(count));
    }
    xml.end();
    Ok(())
}

fn plain_value(xml: &mut Writer, name: &'static str, value: impl fmt::Display) {
    xml.begin(name, &[]);
    display(xml, "pskc:PlainValue", Some(value));
    xml.end();
}

fn display(xml: &mut Writer, name: &'static str, value: Option<impl fmt::Display>) {
    if let Some(value) = value {
        xml.leaf(name, &value.to_string());
    }
}

fn string(xml: &mut Writer, name: &'static str, text: Option<&String>) -> Result<(), EncodeError> {
    if let Some(text) = text {
        xml.leaf(name, check(name, text)?);
    }
    Ok(())
}

/// Refuses what would not read back as it was.
fn check<'a>(what: &'static str, text: &'a str) -> Result<&'a str, EncodeError> {
    if trim(text).len() == text.len() && text.chars().all(is_legal) {
        Ok(text)
    } else {
        Err(EncodeError::Text(what))
    }
}

/// A name without colon (Namespaces in XML §4), kept to the characters that every reader agrees on.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'))
}
