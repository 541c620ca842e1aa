//! Passwords that were proven a moment ago.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use otp_validation::{PasswordHash, UserId};
use rand::TryCryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, Zeroizing};

/// How many users' proofs are kept.
const CAPACITY: usize = 65_536;

/// Remembers for a while that a password was right, so that the next login with it costs no Argon2id.
///
/// What is kept is HMAC-SHA-256 of user, stored hash and password under a key that only this value has. A password that
/// is changed has another stored hash, and so no proof. Wrong passwords leave nothing behind.
///
/// The price: for whoever reads the memory of the process, a MAC is quicker to try guesses against than the stored hash.
pub struct PasswordCache {
    key: Zeroizing<[u8; 32]>,
    life: Duration,
    capacity: usize,
    proofs: Mutex<HashMap<UserId, Proof>>,
}

struct Proof {
    mac: Zeroizing<[u8; 32]>,
    /// The first moment at which it proves nothing.
    ends: Duration,
}

impl PasswordCache {
    /// An empty cache whose proofs live for `life` from the Argon2id check on, and its key.
    ///
    /// # Errors
    ///
    /// What keeps `rng` from giving a key.
    pub fn new<R: TryCryptoRng + ?Sized>(life: Duration, rng: &mut R) -> Result<Self, R::Error> {
        let mut key = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(key.as_mut_slice())?;
        Ok(Self {
            key,
            life,
            capacity: CAPACITY,
            proofs: Mutex::default(),
        })
    }

    /// Whether `password` was proven against this very hash, less than a life before `now`.
    pub(crate) fn knows(&self, user: UserId, password: &[u8], hash: &PasswordHash, now: Duration) -> bool {
        let mac = self.mac(user, password, hash);
        let proofs = self.lock();
        proofs
            .get(&user)
            .is_some_and(|proof| now < proof.ends && bool::from(proof.mac.ct_eq(mac.as_slice())))
    }

    /// `password` has just been proven by Argon2id.
    pub(crate) fn remember(&self, user: UserId, password: &[u8], hash: &PasswordHash, now: Duration) {
        let mac = self.mac(user, password, hash);
        let ends = now.saturating_add(self.life);
        let mut proofs = self.lock();
        if proofs.len() >= self.capacity && !proofs.contains_key(&user) {
            // Rare, and beside an Argon2id run its time is nothing.
            proofs.retain(|_, proof| now < proof.ends);
            let oldest = proofs.iter().min_by_key(|(_, proof)| proof.ends);
            if let Some(oldest) = oldest
                .map(|(user, _)| *user)
                .filter(|_| proofs.len() >= self.capacity)
            {
                proofs.remove(&oldest);
            }
        }
        proofs.insert(user, Proof { mac, ends });
    }

    fn mac(&self, user: UserId, password: &[u8], hash: &PasswordHash) -> Zeroizing<[u8; 32]> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("any length is a key");
        let hash = hash.as_str().as_bytes();
        mac.update(&user.0.to_be_bytes());
        // With its length, so that nothing can be moved between the hash and the password.
        mac.update(&u64::try_from(hash.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(hash);
        mac.update(password);
        let mut octets = mac.finalize().into_bytes();
        let kept = Zeroizing::new(octets.into());
        octets.as_mut_slice().zeroize();
        kept
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Proof>> {
        // Entries are inserted and removed whole: no panic leaves one half written.
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows how much is kept, and nothing of it.
impl fmt::Debug for PasswordCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordCache")
            .field("life", &self.life)
            .field("proofs", &self.lock().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const ALICE: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const LIFE: Duration = Duration::from_secs(300);
    const START: Duration = Duration::from_secs(7);

    fn cache() -> PasswordCache {
        PasswordCache::new(LIFE, &mut StdRng::seed_from_u64(1)).unwrap()
    }

    fn hash(phc: &str) -> PasswordHash {
        PasswordHash::new(phc.into())
    }

    #[test]
    fn a_proof_is_about_one_user_one_hash_and_one_password() {
        let cache = cache();
        cache.remember(ALICE, b"correct horse", &hash("$argon2id$1"), START);
        let rows: &[(&str, UserId, &[u8], &str, bool)] = &[
            ("the same", ALICE, b"correct horse", "$argon2id$1", true),
            ("another password", ALICE, b"correct horsf", "$argon2id$1", false),
            ("its beginning", ALICE, b"correct", "$argon2id$1", false),
            ("none", ALICE, b"", "$argon2id$1", false),
            (
                "a changed password",
                ALICE,
                b"correct horse",
                "$argon2id$2",
                false,
            ),
            ("another user", BOB, b"correct horse", "$argon2id$1", false),
            (
                "a border moved to the left",
                ALICE,
                b"1correct horse",
                "$argon2id$",
                false,
            ),
            (
                "a border moved to the right",
                ALICE,
                b"orrect horse",
                "$argon2id$1c",
                false,
            ),
        ];
        for (what, user, password, phc, expected) in rows {
            assert_eq!(
                cache.knows(*user, password, &hash(phc), START),
                *expected,
                "{what}"
            );
        }
    }

    #[test]
    fn a_proof_ends() {
        let cache = cache();
        let hash = hash("$argon2id$1");
        cache.remember(ALICE, b"correct horse", &hash, START);
        let knows = |after: Duration| cache.knows(ALICE, b"correct horse", &hash, START + after);
        assert!(knows(Duration::ZERO) && knows(LIFE - Duration::from_nanos(1)));
        assert!(!knows(LIFE) && !knows(LIFE * 9));
        let none = PasswordCache::new(Duration::ZERO, &mut StdRng::seed_from_u64(1)).unwrap();
        none.remember(ALICE, b"correct horse", &hash, START);
        assert!(
            !none.knows(ALICE, b"correct horse", &hash, START),
            "no life, no proof"
        );
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes() {
        let cache = PasswordCache {
            capacity: 4,
            ..cache()
        };
        let hash = hash("$argon2id$1");
        for id in 0..100 {
            let now = START + Duration::from_secs(id);
            cache.remember(UserId(id.cast_signed()), b"correct horse", &hash, now);
            assert!(cache.lock().len() <= 4);
        }
        let mut users: Vec<_> = cache.lock().keys().map(|user| user.0).collect();
        users.sort_unstable();
        assert_eq!(users, [96, 97, 98, 99]);
        // The same user again pushes nobody out, and what has ended goes first.
        cache.remember(
            UserId(99),
            b"other horse",
            &hash,
            START + Duration::from_secs(200),
        );
        assert_eq!(cache.lock().len(), 4);
        cache.remember(ALICE, b"correct horse", &hash, START + Duration::from_secs(450));
        assert_eq!(cache.lock().len(), 2, "those of 96 to 98 had ended");
    }

    #[test]
    fn two_caches_have_two_keys_and_neither_shows_anything() {
        let (one, other) = (
            cache(),
            PasswordCache::new(LIFE, &mut StdRng::seed_from_u64(2)).unwrap(),
        );
        let hash = hash("$argon2id$1");
        assert_ne!(one.mac(ALICE, b"x", &hash), other.mac(ALICE, b"x", &hash));
        one.remember(ALICE, b"correct horse", &hash, START);
        assert_eq!(format!("{one:?}"), "PasswordCache { life: 300s, proofs: 1, .. }");
    }
}
