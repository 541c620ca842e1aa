//! What opens an encrypted container (RFC 6030 §6), and texts that leave no copies behind.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What the operator holds to open a container.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// A key that both sides agreed on (RFC 6030 §6.1).
    PreSharedKey(PreSharedKey),
    /// A passphrase from which the key is derived by PBKDF2 (RFC 6030 §6.2).
    Passphrase(Passphrase),
}

impl From<PreSharedKey> for KeySource {
    fn from(key: PreSharedKey) -> Self {
        Self::PreSharedKey(key)
    }
}

impl From<Passphrase> for KeySource {
    fn from(passphrase: Passphrase) -> Self {
        Self::Passphrase(passphrase)
    }
}

/// An AES key that both sides agreed on (RFC 6030 §6.1): 16, 24 or 32 octets, wiped on drop.
///
/// ```
/// # use pskc::{KeySourceError, PreSharedKey};
/// let key = PreSharedKey::new(&[0x12; 16])?;
/// assert_eq!(format!("{key:?}"), "PreSharedKey(16 octets)");
/// assert_eq!(PreSharedKey::new(&[0x12; 20]).unwrap_err(), KeySourceError::KeyLength(20));
/// # Ok::<(), KeySourceError>(())
/// ```
#[derive(Clone, ZeroizeOnDrop)]
pub struct PreSharedKey(Box<[u8]>);

impl PreSharedKey {
    /// Takes a key of 16, 24 or 32 octets: AES-128, AES-192 or AES-256.
    ///
    /// # Errors
    ///
    /// [`KeySourceError::KeyLength`] for any other length.
    pub fn new(octets: &[u8]) -> Result<Self, KeySourceError> {
        match octets.len() {
            16 | 24 | 32 => Ok(Self(octets.into())),
            len => Err(KeySourceError::KeyLength(len)),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PreSharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreSharedKey({} octets)", self.0.len())
    }
}

/// A passphrase (RFC 6030 §6.2): at least one octet, taken as it is and wiped on drop.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Passphrase(Box<[u8]>);

impl Passphrase {
    /// Takes a passphrase; nothing is trimmed or normalized.
    ///
    /// # Errors
    ///
    /// [`KeySourceError::EmptyPassphrase`] if there is nothing in it.
    pub fn new(octets: &[u8]) -> Result<Self, KeySourceError> {
        if octets.is_empty() {
            return Err(KeySourceError::EmptyPassphrase);
        }
        Ok(Self(octets.into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// Why octets are no key or passphrase for a container. The fault is the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySourceError {
    /// AES has keys of 16, 24 and 32 octets.
    #[error("a pre-shared key has 16, 24 or 32 octets, not {0}")]
    KeyLength(usize),
    /// A passphrase without a single octet.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
}

/// Text that may be secret: it grows by moving to a larger buffer and wiping the one that it leaves.
#[derive(Default)]
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(String::with_capacity(capacity)))
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        let needed = self.0.len().saturating_add(text.len());
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(String::with_capacity(
                needed.max(self.0.capacity().saturating_mul(2)),
            ));
            larger.push_str(&self.0);
            self.0 = larger;
        }
        self.0.push_str(text);
    }

    pub(crate) fn push(&mut self, character: char) {
        let mut octets = [0; 4];
        self.push_str(character.encode_utf8(&mut octets));
        octets.zeroize();
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_inner(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretText({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_output_shows_a_secret() {
        let key = KeySource::from(PreSharedKey::new(b"0123456789abcdef").unwrap());
        let passphrase = KeySource::from(Passphrase::new(b"qwerty").unwrap());
        assert_eq!(format!("{key:?}"), "PreSharedKey(PreSharedKey(16 octets))");
        assert_eq!(format!("{passphrase:?}"), "Passphrase(Passphrase)");
        assert_eq!(Passphrase::new(b"").unwrap_err(), KeySourceError::EmptyPassphrase);
    }

    #[test]
    fn text_grows() {
        let mut text = SecretText::default();
        let mut expected = String::new();
        for number in 0..200 {
            text.push_str(&number.to_string());
            text.push('ß');
            expected.push_str(&format!("{number}ß"));
        }
        assert_eq!(text.as_str(), expected);
        assert_eq!(*text.into_inner(), expected);
    }
}
