//! State (RFC 2865 §5.24): what the server tells itself by way of a client, sealed so that nobody else can read, change or
//! make it. Whoever has the key of the digests, such as another daemon on the same database, can go on with the dialogue.
//!
//! Nonce (24 octets; the first 16 are the dialogue's name) and XChaCha20-Poly1305 of: shape (1), user (1 and 8), client (8),
//! expiry (8), basis (8), stage (1), length of a code (1) and the code. Numbers are big-endian.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use otp_core::Otp;
use otp_validation::{ClientId, Dialogue, DialogueId, PasswordHash, Stage, UnixTime, UserId};
use rand::{TryRng as _, rngs::SysRng};
use zeroize::Zeroizing;

use crate::{Digests, StoreError};

const NONCE_LEN: usize = 24;
const SHAPE: u8 = 1;
/// Says what is sealed, beside the key, which seals nothing else.
const PURPOSE: &[u8] = b"otp-store State 1";

/// What a dialogue rests on: the password that was proven. Another one ends the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis([u8; 8]);

/// A dialogue before it has its name.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Who logs in; `None` if nobody has the name.
    pub user: Option<UserId>,
    /// Where.
    pub client: ClientId,
    /// The last second in which it may be answered.
    pub expires_at: UnixTime,
    /// What is awaited.
    pub stage: Stage,
    /// What it rests on.
    pub basis: Basis,
}

impl Digests {
    /// What a dialogue with a user rests on who has this password, or none.
    pub fn basis(&self, user: UserId, password: Option<&PasswordHash>) -> Basis {
        let octets = password.map_or("", PasswordHash::as_str).as_bytes();
        let digest = self.credential(user, octets);
        Basis(*digest.0.first_chunk().unwrap_or(&[0; 8]))
    }

    /// The State of a new dialogue: 75 to 83 octets, never the same.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoRandomness`].
    pub fn seal_state(&self, ask: &Ask) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        SysRng
            .try_fill_bytes(&mut nonce)
            .map_err(|_| StoreError::NoRandomness)?;
        let (stage, code) = match &ask.stage {
            Stage::Code => (0, ""),
            Stage::NextCode(first) => (1, first.as_str()),
            // Whatever else there may be: nobody gets in by it.
            _ => (2, ""),
        };
        let mut plain = Zeroizing::new(Vec::with_capacity(64));
        plain.extend_from_slice(&[SHAPE, u8::from(ask.user.is_some())]);
        plain.extend_from_slice(&ask.user.map_or(0, |user| user.0).to_be_bytes());
        plain.extend_from_slice(&ask.client.0.to_be_bytes());
        plain.extend_from_slice(&ask.expires_at.0.to_be_bytes());
        plain.extend_from_slice(&ask.basis.0);
        plain.push(stage);
        plain.extend_from_slice(code.as_bytes());
        let payload = Payload {
            msg: &plain,
            aad: PURPOSE,
        };
        let sealed = self
            .state_cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Invalid {
                what: "a State",
                why: "is too long to be sealed",
            })?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// The dialogue of a State, and what it rests on; `None` if this store has not sealed it.
    pub fn open_state(&self, state: &[u8]) -> Option<(Dialogue, Basis)> {
        let (nonce, sealed) = state.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload {
            msg: sealed,
            aad: PURPOSE,
        };
        let plain = self
            .state_cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .ok()?;
        let ([SHAPE, has_user], rest) = plain.split_first_chunk()? else {
            return None;
        };
        let (user, rest) = rest.split_first_chunk()?;
        let (client, rest) = rest.split_first_chunk()?;
        let (expires_at, rest) = rest.split_first_chunk()?;
        let (basis, rest) = rest.split_first_chunk()?;
        let (stage, code) = rest.split_first()?;
        let dialogue = Dialogue {
            id: DialogueId(*nonce.first_chunk()?),
            user: (*has_user == 1).then_some(UserId(i64::from_be_bytes(*user))),
            client: ClientId(i64::from_be_bytes(*client)),
            expires_at: UnixTime(u64::from_be_bytes(*expires_at)),
            stage: match stage {
                0 => Stage::Code,
                1 => Stage::NextCode(Otp::parse(code).ok()?),
                _ => Stage::Refused,
            },
        };
        Some((dialogue, Basis(*basis)))
    }

    fn state_cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.state_key().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(digests: &Digests, stage: Stage) -> Ask {
        Ask {
            user: Some(UserId(7)),
            client: ClientId(3),
            expires_at: UnixTime(1_800_000_000),
            stage,
            basis: digests.basis(UserId(7), None),
        }
    }

    #[test]
    fn a_state_is_read_by_whoever_has_the_key_and_by_nobody_else() {
        let digests = Digests::new(&[7; 32]);
        let code = Otp::parse(b"12345678").unwrap();
        for stage in [Stage::Code, Stage::NextCode(code), Stage::Refused] {
            let asked = ask(&digests, stage);
            let state = digests.seal_state(&asked).unwrap();
            assert!((75..=83).contains(&state.len()), "{}", state.len());
            assert_ne!(state, digests.seal_state(&asked).unwrap());
            let (dialogue, basis) = Digests::new(&[7; 32]).open_state(&state).unwrap();
            assert_eq!(
                (dialogue.user, dialogue.client, dialogue.expires_at, basis),
                (asked.user, asked.client, asked.expires_at, asked.basis)
            );
            match (dialogue.stage, stage) {
                (Stage::NextCode(read), Stage::NextCode(written)) => assert!(read.matches(&written)),
                (read, written) => assert_eq!(format!("{read:?}"), format!("{written:?}")),
            }
            assert!(Digests::new(&[8; 32]).open_state(&state).is_none());
            for at in 0..state.len() {
                let mut changed = state.clone();
                changed[at] ^= 1;
                assert!(digests.open_state(&changed).is_none(), "octet {at}");
                assert!(digests.open_state(&state[..at]).is_none(), "{at} octets");
            }
        }
        let nobody = Ask {
            user: None,
            ..ask(&digests, Stage::Refused)
        };
        let (dialogue, _) = digests.open_state(&digests.seal_state(&nobody).unwrap()).unwrap();
        assert_eq!(dialogue.user, None);
    }

    #[test]
    fn a_dialogue_rests_on_the_password() {
        let digests = Digests::new(&[7; 32]);
        let hash = |text: &str| PasswordHash::new(text.to_owned());
        let basis = |user, text: &str| digests.basis(UserId(user), Some(&hash(text)));
        assert_eq!(basis(1, "a"), basis(1, "a"));
        assert_ne!(basis(1, "a"), basis(1, "b"));
        assert_ne!(basis(1, "a"), basis(2, "a"));
        assert_ne!(basis(1, "a"), digests.basis(UserId(1), None));
    }
}
