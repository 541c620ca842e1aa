//! Sealing of secrets at rest: XChaCha20-Poly1305, each value bound to the row that it belongs to.
//!
//! A record is: algorithm (1 octet), id of the sealing key (4), nonce (24), ciphertext with its tag. Its associated
//! data are those first five octets, the kind of value, the `uid` of its row and the `uid` of that row's owner, so that
//! a record opens only where it was put.

use std::fmt;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{StoreError, value::Uid};

/// XChaCha20-Poly1305, the only algorithm so far.
const ALGORITHM: u8 = 1;
const HEADER_LEN: usize = 5;
const NONCE_LEN: usize = 24;
const KIND_AND_UIDS_LEN: usize = 33;

/// Names a sealing key without telling anything about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(crate) [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// What a sealed value is.
#[derive(Clone, Copy)]
pub(crate) enum Sealed {
    IndexKey,
    TokenKey,
    Password,
    ClientSecret,
    OldClientSecret,
}

impl Sealed {
    fn octet(self) -> u8 {
        match self {
            Self::IndexKey => 1,
            Self::TokenKey => 2,
            Self::Password => 3,
            Self::ClientSecret => 4,
            Self::OldClientSecret => 5,
        }
    }
}

/// Where a sealed value belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) kind: Sealed,
    /// The row.
    pub(crate) uid: &'a Uid,
    /// The row's owner; the row itself where it has none.
    pub(crate) owner: &'a Uid,
}

impl<'a> Place<'a> {
    /// A row that belongs to no other.
    pub(crate) fn of(kind: Sealed, uid: &'a Uid) -> Self {
        Self {
            kind,
            uid,
            owner: uid,
        }
    }
}

/// The key that seals; whoever has it and the database has every secret.
#[derive(Clone, ZeroizeOnDrop)]
pub(crate) struct SealKey {
    octets: [u8; Self::LEN],
}

impl SealKey {
    pub(crate) const LEN: usize = 32;

    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self {
            octets: [0; Self::LEN],
        };
        rng.fill_bytes(&mut key.octets);
        key
    }

    /// `None` unless there are exactly [`Self::LEN`] octets.
    pub(crate) fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(|octets| Self { octets })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    pub(crate) fn id(&self) -> KeyId {
        let [a, b, c, d, ..] = *derive(&self.octets, "otp-store sealing key id");
        KeyId([a, b, c, d])
    }

    /// The key of the MAC over a backup.
    pub(crate) fn backup_key(&self) -> Zeroizing<[u8; 32]> {
        derive(&self.octets, "otp-store backup")
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let key = derive(&self.octets, "otp-store XChaCha20-Poly1305");
        XChaCha20Poly1305::new((&*key).into())
    }

    fn header(&self) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = self.id().0;
        [ALGORITHM, a, b, c, d]
    }

    /// Seals `secret` for `place`.
    pub(crate) fn seal(
        &self,
        secret: &[u8],
        place: Place<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let header = self.header();
        let aad = associated_data(header, place);
        let ciphertext = self
            .cipher()
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: secret,
                    aad: &aad,
                },
            )
            .map_err(|_| StoreError::Invalid {
                what: "a secret",
                why: "is too long to be sealed",
            })?;
        Ok([&header[..], &nonce, &ciphertext].concat())
    }

    /// Opens what was sealed for `place`; `None` if this is not that.
    pub(crate) fn open(&self, record: &[u8], place: Place<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let (header, rest) = record.split_first_chunk::<HEADER_LEN>()?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *header != self.header() {
            return None;
        }
        let aad = associated_data(*header, place);
        self.cipher()
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: ciphertext,
                    aad: &aad,
                },
            )
            .ok()
            .map(Zeroizing::new)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id())
    }
}

/// The key that `record` was sealed with; `None` if it is no record.
pub(crate) fn record_key(record: &[u8]) -> Option<KeyId> {
    let ([_algorithm, a, b, c, d], _) = record.split_first_chunk::<HEADER_LEN>()?;
    Some(KeyId([*a, *b, *c, *d]))
}

/// Every part has a fixed length: no two places have the same octets.
fn associated_data(header: [u8; HEADER_LEN], place: Place<'_>) -> Vec<u8> {
    let mut aad = Vec::with_capacity(HEADER_LEN + KIND_AND_UIDS_LEN);
    aad.extend(header);
    aad.push(place.kind.octet());
    aad.extend(place.uid);
    aad.extend(place.owner);
    aad
}

/// A key for one purpose: HMAC-SHA256 of the purpose's name under the key that stands above it.
pub(crate) fn derive(key: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
    hmac_sha256(key, &[purpose.as_bytes()])
}

/// HMAC-SHA256 of `parts`, one after the other.
pub(crate) fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("any length is a key");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const UID: Uid = [1; 16];
    const OWNER: Uid = [2; 16];
    const PLACE: Place<'static> = Place {
        kind: Sealed::TokenKey,
        uid: &UID,
        owner: &OWNER,
    };

    fn sealed() -> (SealKey, Vec<u8>) {
        let mut rng = StdRng::seed_from_u64(1);
        let key = SealKey::generate(&mut rng);
        let record = key.seal(b"12345678901234567890", PLACE, &mut rng).unwrap();
        (key, record)
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let (key, record) = sealed();
        assert_eq!(record.len(), 1 + 4 + 24 + 20 + 16);
        assert_eq!(
            key.open(&record, PLACE).unwrap().as_slice(),
            b"12345678901234567890"
        );
        let elsewhere = [
            Place {
                kind: Sealed::Password,
                ..PLACE
            },
            Place {
                uid: &OWNER,
                owner: &UID,
                ..PLACE
            },
            Place { uid: &OWNER, ..PLACE },
            Place { owner: &UID, ..PLACE },
        ];
        assert!(
            elsewhere
                .into_iter()
                .all(|place| key.open(&record, place).is_none())
        );
        assert!(
            SealKey::generate(&mut StdRng::seed_from_u64(2))
                .open(&record, PLACE)
                .is_none()
        );
    }

    #[test]
    fn no_octet_can_be_changed_or_left_out() {
        let (key, record) = sealed();
        for index in 0..record.len() {
            for bit in 0..8 {
                let mut changed = record.clone();
                changed[index] ^= 1 << bit;
                assert!(key.open(&changed, PLACE).is_none(), "octet {index}, bit {bit}");
            }
            assert!(key.open(&record[..index], PLACE).is_none(), "{index} octets");
        }
    }

    #[test]
    fn nothing_is_sealed_the_same_way_twice() {
        let (key, record) = sealed();
        let again = key
            .seal(b"12345678901234567890", PLACE, &mut StdRng::seed_from_u64(3))
            .unwrap();
        assert_ne!(record, again);
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let (key, _) = sealed();
        assert_eq!(format!("{key:?}"), format!("SealKey({})", key.id()));
    }
}
