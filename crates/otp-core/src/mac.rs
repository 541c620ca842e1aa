//! HMAC and dynamic truncation (RFC 4226 §5.3), with the key schedule done once.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::{Algorithm, Digits, Otp, TokenKey};

/// HMAC that has absorbed its key. A search clones it per moving factor, which saves half of the
/// compressions.
pub(crate) enum KeyedMac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl KeyedMac {
    pub(crate) fn new(algorithm: Algorithm, key: &TokenKey) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::Sha1(keyed(key)),
            Algorithm::Sha256 => Self::Sha256(keyed(key)),
            Algorithm::Sha512 => Self::Sha512(keyed(key)),
        }
    }

    /// `HOTP(K, C) = Truncate(HMAC(K, C))` (RFC 4226 §5.3).
    pub(crate) fn otp(&self, moving_factor: u64, digits: Digits) -> Otp {
        let snum = match self {
            Self::Sha1(mac) => truncate(mac, moving_factor),
            Self::Sha256(mac) => truncate(mac, moving_factor),
            Self::Sha512(mac) => truncate(mac, moving_factor),
        };
        Otp::from_truncated(snum, digits)
    }
}

#[expect(clippy::expect_used, reason = "RFC 2104 §2: HMAC takes a key of any length")]
fn keyed<M: KeyInit>(key: &TokenKey) -> M {
    M::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length")
}

/// Dynamic truncation `DT` to 31 bits (RFC 4226 §5.3).
fn truncate<M: Mac + Clone>(mac: &M, moving_factor: u64) -> u32 {
    let tag = mac
        .clone()
        .chain_update(moving_factor.to_be_bytes())
        .finalize()
        .into_bytes();
    let offset = tag.last().map_or(0, |octet| usize::from(octet & 0x0f));
    // offset + 4 <= 15 + 4 < 20, the shortest tag: the chunk is always there.
    let bin_code = tag
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or_default();
    u32::from_be_bytes(bin_code) & 0x7fff_ffff
}
