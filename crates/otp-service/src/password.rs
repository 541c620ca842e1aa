//! Passwords: Argon2id hashes in PHC strings.

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use otp_validation::PasswordHash;
use rand::CryptoRng;

/// Why a password could not be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// An empty password proves nothing.
    #[error("a password must not be empty")]
    Empty,
    /// User-Password carries at most 128 octets (RFC 2865 §5.2), 6 to 8 of which are the code.
    #[error(
        "a password has at most {LONGEST} octets, because RADIUS carries no more beside a code; this one has {0}"
    )]
    TooLong(usize),
    /// The hash function refused.
    #[error("Argon2id failed: {0}")]
    Argon2(argon2::password_hash::Error),
}

/// The longest password in octets that fits User-Password together with an 8-digit code.
pub const LONGEST: usize = 120;

/// Hashes a new password with Argon2id (19 MiB, 2 passes) and a salt of 16 octets.
///
/// # Errors
///
/// [`HashError`] if the password is empty or too long, or the hash function refuses.
pub fn hash(password: &[u8], rng: &mut impl CryptoRng) -> Result<PasswordHash, HashError> {
    if password.is_empty() {
        return Err(HashError::Empty);
    }
    if password.len() > LONGEST {
        return Err(HashError::TooLong(password.len()));
    }
    let mut salt = [0_u8; 16];
    rng.fill_bytes(&mut salt);
    let phc = Argon2::default()
        .hash_password_with_salt(password, &salt)
        .map_err(HashError::Argon2)?;
    Ok(PasswordHash::new(phc.to_string()))
}

/// Whether `password` is the one that `hash` was made of. Takes tens of milliseconds of one core.
///
/// A hash that cannot be read matches nothing.
pub fn verify(password: &[u8], hash: &PasswordHash) -> bool {
    argon2::PasswordHash::new(hash.as_str())
        .is_ok_and(|parsed| Argon2::default().verify_password(password, &parsed).is_ok())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "which random salt it is does not matter here"
)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_password_only() {
        let hash = hash(b"correct horse", &mut rand::rng()).unwrap();
        assert!(
            hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hash.as_str()
        );
        assert!(verify(b"correct horse", &hash));
        assert!(!verify(b"correct horse ", &hash));
        assert!(!verify(b"", &hash));
        assert!(!verify(b"correct horse", &PasswordHash::new("junk".into())));
        assert!(!verify(b"", &PasswordHash::new(String::new())));
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(hash(b"", &mut rand::rng()).unwrap_err(), HashError::Empty);
        assert_eq!(
            hash(&[b'x'; 121], &mut rand::rng()).unwrap_err(),
            HashError::TooLong(121)
        );
    }
}
