//! Request and Response Authenticator (RFC 2865 §3).

use std::fmt;

use md5::{Digest, Md5};
use rand::CryptoRng;
use subtle::ConstantTimeEq;

use crate::{SharedSecret, packet::Header};

/// The 16 octets that make a request unique and unpredictable; User-Password and reply depend on them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestAuthenticator([u8; 16]);

impl RequestAuthenticator {
    /// Draws a fresh one, as RFC 2865 §3 asks: repeating one exposes passwords hidden with it.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut octets = [0; 16];
        rng.fill_bytes(&mut octets);
        Self(octets)
    }

    /// The octets as they stand on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for RequestAuthenticator {
    fn from(octets: [u8; 16]) -> Self {
        Self(octets)
    }
}

/// Lower-case hexadecimal.
impl fmt::Debug for RequestAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// `MD5(Code + ID + Length + RequestAuth + Attributes + Secret)` (RFC 2865 §3).
///
/// `attributes` are the octets after the header, in as many pieces as the caller has.
pub(crate) fn response_authenticator(
    header: Header,
    length: u16,
    request_authenticator: &RequestAuthenticator,
    attributes: &[&[u8]],
    secret: &SharedSecret,
) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(header.to_octets(length, request_authenticator));
    attributes.iter().for_each(|piece| md5.update(piece));
    md5.update(secret.expose());
    md5.finalize().into()
}

/// Compares two authenticators in constant time, as numbers: octet by octet it would take sixteen times as long.
pub(crate) fn authenticators_equal(one: &[u8; 16], other: &[u8; 16]) -> bool {
    u128::from_ne_bytes(*one)
        .ct_eq(&u128::from_ne_bytes(*other))
        .into()
}
