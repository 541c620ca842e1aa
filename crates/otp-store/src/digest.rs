//! Keyed digests: of packets, of credentials, and of what makes two tokens show the same codes.
//!
//! Their key is drawn once per store and kept sealed, so that it outlives the sealing key: replay state must be found
//! again after the sealing key was changed, even that of tokens whose own keys are gone.

use std::{fmt, sync::Arc};

use otp_core::{Algorithm, TokenKey};
use otp_validation::{ClientId, CredentialDigest, PacketDigest, TokenMode, UnixTime, UserId};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::{
    audit::{Head, Link},
    seal::{derive, hmac_sha256},
};

/// Names a row of replay state.
pub(crate) type ReplayId = [u8; 16];

/// Digests that only this store can compute (HMAC-SHA256), so that its rows tell nothing to whoever reads them.
#[derive(Clone)]
pub struct Digests(Arc<Keys>);

struct Keys {
    packet: Zeroizing<[u8; 32]>,
    credential: Zeroizing<[u8; 32]>,
    replay: Zeroizing<[u8; 32]>,
    audit: Zeroizing<[u8; 32]>,
    state: Zeroizing<[u8; 32]>,
}

impl Digests {
    pub(crate) fn new(index_key: &[u8; 32]) -> Self {
        Self(Arc::new(Keys {
            packet: derive(index_key, "otp-store packet"),
            credential: derive(index_key, "otp-store credential"),
            replay: derive(index_key, "otp-store replay state"),
            audit: derive(index_key, "otp-store audit trail"),
            state: derive(index_key, "otp-store State"),
        }))
    }

    /// The digest of a packet as it came from `client`.
    pub fn packet(&self, client: ClientId, octets: &[u8]) -> PacketDigest {
        PacketDigest(*hmac_sha256(&self.0.packet, &[&client.0.to_be_bytes(), octets]))
    }

    /// The key that seals State, and nothing else.
    pub(crate) fn state_key(&self) -> &[u8; 32] {
        &self.0.state
    }

    /// The digest of a complete credential of `user`.
    pub fn credential(&self, user: UserId, octets: &[u8]) -> CredentialDigest {
        CredentialDigest(*hmac_sha256(&self.0.credential, &[&user.0.to_be_bytes(), octets]))
    }

    /// The same for all tokens that show the same codes, whatever they are called, whoever has them, however many digits
    /// they show and from which T0 they count: a step has the same code whenever it is.
    ///
    /// HOTP and TOTP, and TOTP of other periods, are kept apart, although a step's code is that of the counter of the
    /// same number: there the same number comes round after years, not within a window.
    pub(crate) fn replay_id(&self, mode: &TokenMode, key: &TokenKey) -> ReplayId {
        let (kind, algorithm, step) = match mode {
            TokenMode::Hotp { hotp, .. } => (b"hotp", hotp.algorithm, 0),
            TokenMode::Totp { totp, .. } => (b"totp", totp.algorithm(), totp.step().get()),
        };
        let parts: [&[u8]; 4] = [
            kind,
            algorithm.as_str().as_bytes(),
            &step.to_be_bytes(),
            &hmac_block(algorithm, key),
        ];
        let digest = hmac_sha256(&self.0.replay, &parts);
        let (id, _) = digest.split_at(size_of::<ReplayId>());
        id.try_into().unwrap_or_default()
    }

    /// The link of the record that stands at `number`, behind `before`.
    ///
    /// Every part but the last has a fixed length: no two records have the same octets.
    pub(crate) fn link(
        &self,
        before: &Head,
        number: u64,
        at: UnixTime,
        request: Option<u64>,
        record: &str,
    ) -> Link {
        let parts: [&[u8]; 7] = [
            &before.link.0,
            &before.chain.0,
            &number.to_be_bytes(),
            &at.0.to_be_bytes(),
            &[u8::from(request.is_some())],
            &request.unwrap_or_default().to_be_bytes(),
            record.as_bytes(),
        ];
        Link(*hmac_sha256(&self.0.audit, &parts))
    }
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digests(..)")
    }
}

/// The block that HMAC makes of a key (RFC 2104 §2): hashed if too long, then filled up with zeros.
///
/// Keys that differ only in trailing zeros, or of which one is the hash of the other, show the same codes and must not
/// have replay states of their own.
fn hmac_block(algorithm: Algorithm, key: &TokenKey) -> Zeroizing<Vec<u8>> {
    let key = key.as_bytes();
    let block_len = match algorithm {
        Algorithm::Sha512 => 128,
        _ => 64,
    };
    let mut block = Zeroizing::new(Vec::with_capacity(block_len.max(key.len())));
    if key.len() <= block_len {
        block.extend_from_slice(key);
    } else {
        match algorithm {
            Algorithm::Sha256 => block.extend_from_slice(&Sha256::digest(key)),
            Algorithm::Sha512 => block.extend_from_slice(&Sha512::digest(key)),
            _ => block.extend_from_slice(&Sha1::digest(key)),
        }
    }
    block.resize(block_len, 0);
    block
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use otp_core::{Digits, Hotp, HotpState, Totp, TotpState, Window};

    use super::*;

    fn hotp(algorithm: Algorithm, digits: Digits) -> TokenMode {
        TokenMode::Hotp {
            hotp: Hotp { algorithm, digits },
            state: HotpState { next: 0 },
            look_ahead: 10,
        }
    }

    fn totp(totp: Totp) -> TokenMode {
        TokenMode::Totp {
            totp,
            state: TotpState::default(),
            window: Window::default(),
        }
    }

    fn key(octets: &[u8]) -> TokenKey {
        TokenKey::dangerous_allow_short(octets).unwrap()
    }

    #[test]
    fn tokens_that_show_the_same_codes_share_their_replay_state() {
        let digests = Digests::new(&[7; 32]);
        let sixteen = [9; 16];
        let mut padded = sixteen.to_vec();
        padded.push(0);
        let long = [5; 80];
        for algorithm in Algorithm::ALL {
            let mode = hotp(algorithm, Digits::SIX);
            let id = |octets: &[u8]| digests.replay_id(&mode, &key(octets));
            let code = |octets: &[u8]| {
                Hotp {
                    algorithm,
                    digits: Digits::EIGHT,
                }
                .generate(&key(octets), 3)
            };
            assert_eq!(code(&sixteen).as_str(), code(&padded).as_str());
            assert_eq!(id(&sixteen), id(&padded), "{algorithm}: a trailing zero");
            assert_ne!(id(&sixteen), id(&long));
            let hashed = match algorithm {
                Algorithm::Sha1 => Sha1::digest(long).to_vec(),
                Algorithm::Sha256 => Sha256::digest(long).to_vec(),
                _ => continue, // no key is longer than the block of SHA-512
            };
            assert_eq!(code(&long).as_str(), code(&hashed).as_str());
            assert_eq!(id(&long), id(&hashed), "{algorithm}: a key longer than a block");
        }
        let seed = key(&sixteen);
        assert_eq!(
            digests.replay_id(&hotp(Algorithm::Sha1, Digits::SIX), &seed),
            digests.replay_id(&hotp(Algorithm::Sha1, Digits::EIGHT), &seed),
        );
        // T0 = 1 s shows the code of step 0 from second 1 on: almost at the same time as T0 = 0 does.
        assert_eq!(
            digests.replay_id(&totp(Totp::default()), &seed),
            digests.replay_id(&totp(Totp::default().with_t0(1)), &seed),
        );
    }

    #[test]
    fn tokens_that_show_other_codes_do_not() {
        let digests = Digests::new(&[7; 32]);
        let seed = key(&[9; 20]);
        let minute = NonZeroU64::new(60).unwrap();
        let ids = [
            digests.replay_id(&hotp(Algorithm::Sha1, Digits::SIX), &seed),
            digests.replay_id(&hotp(Algorithm::Sha256, Digits::SIX), &seed),
            digests.replay_id(&hotp(Algorithm::Sha512, Digits::SIX), &seed),
            digests.replay_id(&totp(Totp::default()), &seed),
            digests.replay_id(&totp(Totp::default().with_step(minute)), &seed),
            digests.replay_id(&totp(Totp::default()), &key(&[9; 21])),
            Digests::new(&[8; 32]).replay_id(&totp(Totp::default()), &seed),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn digests_depend_on_whose_octets_they_are() {
        let digests = Digests::new(&[7; 32]);
        assert_ne!(
            digests.packet(ClientId(1), b"x"),
            digests.packet(ClientId(2), b"x")
        );
        assert_ne!(
            digests.credential(UserId(1), b"x").0,
            digests.credential(UserId(2), b"x").0
        );
        assert_ne!(
            digests.credential(UserId(1), b"x").0,
            digests.packet(ClientId(1), b"x").0
        );
    }
}
