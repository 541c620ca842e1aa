//! The shared secret of a client and a server (RFC 2865 §3).

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit};
use md5::Md5;
use zeroize::Zeroizing;

/// The secret that a client and a server share. Cheap to clone: clones share the octets, wiped with the last
/// one.
///
/// The empty secret marks a UNIX socket: there the kernel says who the peer is, and libkrad computes every
/// digest over no secret at all. Anything that crosses a network needs 24 random octets or more.
///
/// ```
/// # use krad::SharedSecret;
/// let secret = SharedSecret::new(b"testing123");
/// assert_eq!(format!("{secret:?}"), "SharedSecret(..)");
/// assert!(SharedSecret::empty().is_empty());
/// ```
#[derive(Clone)]
pub struct SharedSecret(Arc<Keyed>);

struct Keyed {
    octets: Zeroizing<Vec<u8>>,
    /// HMAC-MD5 with the key schedule done: half of the work of a short packet.
    hmac: Hmac<Md5>,
}

impl SharedSecret {
    /// Takes the octets of a secret, as they are: nothing is trimmed.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "HMAC is defined for keys of any length (RFC 2104 §2)"
    )]
    pub fn new(octets: &[u8]) -> Self {
        let hmac = Hmac::new_from_slice(octets).expect("HMAC takes keys of any length");
        Self(Arc::new(Keyed {
            octets: Zeroizing::new(octets.to_vec()),
            hmac,
        }))
    }

    /// The secret of a UNIX socket: no octets.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(&[])
    }

    /// Whether this is the secret of a UNIX socket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.octets.is_empty()
    }

    /// Length in octets, so that an operator can be told about a short one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.octets.len()
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0.octets
    }

    /// An HMAC-MD5 that is keyed and has seen nothing yet.
    pub(crate) fn hmac(&self) -> Hmac<Md5> {
        self.0.hmac.clone()
    }
}

/// Redacted.
impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}
