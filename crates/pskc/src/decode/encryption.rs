//! `EncryptionKey`, `MACMethod` and encrypted values (RFC 6030 §6): encrypt-then-MAC.

use zeroize::Zeroizing;

use super::key::number;
use super::once;
use crate::crypto::{BLOCK, Cipher, MacAlgorithm};
use crate::error::{CIPHER, DERIVATION, KeyKind, MAC, quote};
use crate::uri::{PKCS5, XENC11};
use crate::xml::{self, Element};
use crate::{KeySource, Problem, PskcError};

/// Octets of the longest salt.
const MAX_SALT: usize = 1024;

/// What opens the encrypted values of a container.
pub(super) struct Opener {
    /// The key; `None` if the file names none and the operator gave none.
    key: Option<Zeroizing<Vec<u8>>>,
    mac: Option<Mac>,
}

struct Mac {
    algorithm: MacAlgorithm,
    key: Zeroizing<Vec<u8>>,
}

impl Opener {
    pub(super) fn new(
        encryption_key: Option<&Element>,
        mac_method: Option<&Element>,
        source: Option<&KeySource>,
        max_iterations: u32,
    ) -> Result<Self, PskcError> {
        let key = match (encryption_key, source) {
            (Some(element), _) => Some(read_key(element, source, max_iterations)?),
            (None, Some(KeySource::PreSharedKey(key))) => Some(Zeroizing::new(key.as_bytes().to_vec())),
            (None, _) => None,
        };
        let mut opener = Self { key, mac: None };
        opener.mac = mac_method.map(|element| opener.read_mac(element)).transpose()?;
        Ok(opener)
    }

    /// Whether an error that a value gave is one that every other value will give.
    pub(super) fn concerns_all(&self, problem: &Problem) -> bool {
        matches!(
            problem,
            Problem::KeyNeeded { .. } | Problem::NotAuthentic | Problem::KeyLength { .. }
        )
    }

    fn key(&self, element: &Element) -> Result<&[u8], PskcError> {
        self.key.as_ref().map(|key| key.as_slice()).ok_or_else(|| {
            element.error(Problem::KeyNeeded {
                kind: KeyKind::PreSharedKey,
                name: None,
            })
        })
    }

    /// `MACMethod` (RFC 6030 §6.1.1).
    fn read_mac(&self, element: &Element) -> Result<Mac, PskcError> {
        let mut mac_key = None;
        for child in element.children(&["Algorithm"])? {
            match child.name() {
                "MACKey" => once(&mut mac_key, child, child)?,
                _ => return Err(child.unsupported()),
            }
        }
        let algorithm = mac_algorithm(element)?;
        let key = match mac_key {
            Some(element) => {
                let encrypted = Encrypted::read(element)?;
                // Nothing authenticates the MAC key. A wrong padding is the sign of a wrong key; a wrong key that is not
                // noticed here is noticed by the first ValueMAC.
                encrypted.decrypt(self.key(element)?, Problem::NotAuthentic)?
            }
            // Without a key of its own the MAC is computed with the encryption key.
            None => Zeroizing::new(self.key(element)?.to_vec()),
        };
        Ok(Mac { algorithm, key })
    }

    /// Decrypts a value, once its MAC is found to be right.
    pub(super) fn open(
        &self,
        element: &Element,
        value_mac: Option<&Element>,
    ) -> Result<Zeroizing<Vec<u8>>, PskcError> {
        let encrypted = Encrypted::read(element)?;
        let key = self.key(element)?;
        let mac = self
            .mac
            .as_ref()
            .ok_or_else(|| element.error(Problem::Unauthenticated("MACMethod")))?;
        let value_mac = value_mac.ok_or_else(|| element.error(Problem::Unauthenticated("ValueMAC")))?;
        let expected = xml::base64(value_mac.text()?).ok_or_else(|| value_mac.error(Problem::Base64))?;
        encrypted.check_key(key)?;
        if !mac.algorithm.verify(&mac.key, &encrypted.octets, &expected) {
            return Err(value_mac.error(Problem::NotAuthentic));
        }
        encrypted.decrypt(key, Problem::Plaintext)
    }
}

/// `EncryptedData` of XML Encryption, which `EncryptedValue` and `MACKey` are.
struct Encrypted<'a> {
    element: &'a Element,
    cipher: Cipher,
    octets: Zeroizing<Vec<u8>>,
}

impl<'a> Encrypted<'a> {
    fn read(element: &'a Element) -> Result<Self, PskcError> {
        let (mut cipher, mut octets) = (None, None);
        for child in element.children(&["Id", "Type", "MimeType", "Encoding"])? {
            match child.name() {
                "EncryptionMethod" => once(&mut cipher, read_cipher(child)?, child)?,
                "CipherData" => once(&mut octets, cipher_value(child)?, child)?,
                _ => return Err(child.unsupported()),
            }
        }
        Ok(Self {
            element,
            cipher: cipher.ok_or_else(|| element.error(Problem::Missing("EncryptionMethod")))?,
            octets: octets.ok_or_else(|| element.error(Problem::Missing("CipherData")))?,
        })
    }

    fn check_key(&self, key: &[u8]) -> Result<(), PskcError> {
        let (found, expected) = (key.len(), self.cipher.key_len());
        if found == expected {
            Ok(())
        } else {
            Err(self.element.error(Problem::KeyLength { found, expected }))
        }
    }

    /// Decrypts; `otherwise` is what a wrong padding means.
    fn decrypt(&self, key: &[u8], otherwise: Problem) -> Result<Zeroizing<Vec<u8>>, PskcError> {
        self.check_key(key)?;
        self.cipher
            .decrypt(key, &self.octets)
            .ok_or_else(|| self.element.error(otherwise))
    }
}

fn read_cipher(element: &Element) -> Result<Cipher, PskcError> {
    if let Some(child) = element.children(&["Algorithm"])?.first() {
        return Err(child.unsupported());
    }
    let uri = element
        .attribute("Algorithm")
        .ok_or_else(|| element.error(Problem::Missing("Algorithm")))?;
    Cipher::read(uri).ok_or_else(|| {
        element.error(Problem::Algorithm {
            what: CIPHER,
            value: quote(uri),
        })
    })
}

/// `CipherData`: the initialization vector and at least one block.
fn cipher_value(element: &Element) -> Result<Zeroizing<Vec<u8>>, PskcError> {
    let mut value = None;
    for child in element.children(&[])? {
        match child.name() {
            "CipherValue" => {
                let octets = xml::base64(child.text()?).ok_or_else(|| child.error(Problem::Base64))?;
                if octets.len() < 2 * BLOCK || octets.len() % BLOCK != 0 {
                    return Err(child.error(Problem::Ciphertext(octets.len())));
                }
                once(&mut value, octets, child)?;
            }
            // CipherReference points outside of the file, where nothing here goes.
            _ => return Err(child.unsupported()),
        }
    }
    value.ok_or_else(|| element.error(Problem::Missing("CipherValue")))
}

/// `EncryptionKey`: the name of a key (§6.1), or how to derive it from a passphrase (§6.2). Certificates (§6.3) are
/// refused.
fn read_key(
    element: &Element,
    source: Option<&KeySource>,
    max_iterations: u32,
) -> Result<Zeroizing<Vec<u8>>, PskcError> {
    let (mut name, mut derived) = (None, None);
    for child in element.children(&["Id"])? {
        match child.name() {
            // A key may have several names.
            "KeyName" => name = name.or(Some((child, child.text()?))),
            "DerivedKey" => once(&mut derived, Derived::read(child, max_iterations)?, child)?,
            _ => return Err(child.unsupported()),
        }
    }
    let needed = |element: &Element, kind, name: Option<&str>| {
        let name = name.map(quote);
        Err(element.error(Problem::KeyNeeded { kind, name }))
    };
    match (derived, name, source) {
        (Some(derived), _, Some(KeySource::Passphrase(passphrase))) => Ok(derived.prf.pbkdf2(
            passphrase.as_bytes(),
            &derived.salt,
            derived.iterations,
            derived.len,
        )),
        (Some(derived), _, _) => needed(element, KeyKind::Passphrase, derived.name),
        (None, Some(_), Some(KeySource::PreSharedKey(key))) => Ok(Zeroizing::new(key.as_bytes().to_vec())),
        (None, Some((element, name)), _) => needed(element, KeyKind::PreSharedKey, Some(name)),
        (None, None, _) => Err(element.error(Problem::Missing("KeyName or DerivedKey"))),
    }
}

/// `DerivedKey` of XML Encryption 1.1 with PBKDF2 (RFC 8018 §5.2).
struct Derived<'a> {
    name: Option<&'a str>,
    prf: MacAlgorithm,
    salt: Zeroizing<Vec<u8>>,
    iterations: u32,
    len: usize,
}

impl<'a> Derived<'a> {
    fn read(element: &'a Element, max_iterations: u32) -> Result<Self, PskcError> {
        let (mut name, mut method) = (None, None);
        for child in element.children(&["Id", "Type", "Recipient"])? {
            match child.name() {
                "KeyDerivationMethod" => once(&mut method, child, child)?,
                "MasterKeyName" => once(&mut name, child.text()?, child)?,
                // Which values the key encrypts and what others call it: every encrypted value is opened with it anyway.
                "DerivedKeyName" => {
                    child.text()?;
                }
                "ReferenceList" => references(child)?,
                _ => return Err(child.unsupported()),
            }
        }
        let method = method.ok_or_else(|| element.error(Problem::Missing("KeyDerivationMethod")))?;
        let parameters = pbkdf2_parameters(method)?;
        let (mut salt, mut iterations, mut len, mut prf) = (None, None, None, None);
        for child in parameters.children(&[])? {
            match child.name() {
                "Salt" => once(&mut salt, read_salt(child)?, child)?,
                "IterationCount" => once(
                    &mut iterations,
                    number(child, child.text()?, 1, max_iterations.into())?,
                    child,
                )?,
                "KeyLength" => once(&mut len, key_len(child)?, child)?,
                "PRF" => once(&mut prf, read_prf(child)?, child)?,
                _ => return Err(child.unsupported()),
            }
        }
        let missing = |name| parameters.error(Problem::Missing(name));
        Ok(Self {
            name,
            // RFC 8018 Appendix A.2: the default is HMAC-SHA-1.
            prf: prf.unwrap_or(MacAlgorithm::Sha1),
            salt: salt.ok_or_else(|| missing("Salt"))?,
            iterations: iterations.ok_or_else(|| missing("IterationCount"))?,
            len: len.ok_or_else(|| missing("KeyLength"))?,
        })
    }
}

fn pbkdf2_parameters(method: &Element) -> Result<&Element, PskcError> {
    let uri = method
        .attribute("Algorithm")
        .ok_or_else(|| method.error(Problem::Missing("Algorithm")))?;
    if ![PKCS5, XENC11]
        .iter()
        .any(|namespace| uri.strip_prefix(namespace) == Some("pbkdf2"))
    {
        return Err(method.error(Problem::Algorithm {
            what: DERIVATION,
            value: quote(uri),
        }));
    }
    let mut parameters = None;
    for child in method.children(&["Algorithm"])? {
        match child.name() {
            "PBKDF2-params" => once(&mut parameters, child, child)?,
            _ => return Err(child.unsupported()),
        }
    }
    parameters.ok_or_else(|| method.error(Problem::Missing("PBKDF2-params")))
}

fn references(element: &Element) -> Result<(), PskcError> {
    for child in element.children(&[])? {
        match child.name() {
            "DataReference" => match child.children(&["URI"])?.first() {
                None => {}
                Some(inner) => return Err(inner.unsupported()),
            },
            _ => return Err(child.unsupported()),
        }
    }
    Ok(())
}

fn read_salt(element: &Element) -> Result<Zeroizing<Vec<u8>>, PskcError> {
    let mut salt = None;
    for child in element.children(&[])? {
        match child.name() {
            "Specified" => {
                let octets = xml::base64(child.filled_text()?).ok_or_else(|| child.error(Problem::Base64))?;
                once(&mut salt, octets, child)?;
            }
            _ => return Err(child.unsupported()),
        }
    }
    let salt = salt.ok_or_else(|| element.error(Problem::Missing("Specified")))?;
    if salt.len() > MAX_SALT {
        return Err(element.error(Problem::Base64));
    }
    Ok(salt)
}

fn key_len(element: &Element) -> Result<usize, PskcError> {
    let text = element.text()?;
    let cipher = number(element, text, 16, 32)
        .ok()
        .and_then(|len: u64| usize::try_from(len).ok());
    cipher
        .and_then(Cipher::of_key_len)
        .map(Cipher::key_len)
        .ok_or_else(|| {
            element.error(Problem::Value {
                value: quote(text),
                expected: "16, 24 and 32",
            })
        })
}

/// `PRF`, which figure 7 of RFC 6030 leaves empty: the default. Some writers put the name into the text instead of the
/// attribute.
fn read_prf(element: &Element) -> Result<MacAlgorithm, PskcError> {
    if element.attribute("Algorithm").is_some() {
        return match element.children(&["Algorithm"])?.first() {
            Some(child) => Err(child.unsupported()),
            None => mac_algorithm(element),
        };
    }
    match element.text()? {
        "" => Ok(MacAlgorithm::Sha1),
        uri => mac_of_uri(element, uri),
    }
}

fn mac_algorithm(element: &Element) -> Result<MacAlgorithm, PskcError> {
    let uri = element
        .attribute("Algorithm")
        .ok_or_else(|| element.error(Problem::Missing("Algorithm")))?;
    mac_of_uri(element, uri)
}

fn mac_of_uri(element: &Element, uri: &str) -> Result<MacAlgorithm, PskcError> {
    MacAlgorithm::read(uri).ok_or_else(|| {
        element.error(Problem::Algorithm {
            what: MAC,
            value: quote(uri),
        })
    })
}
