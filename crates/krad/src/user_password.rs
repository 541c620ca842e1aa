//! Hiding of User-Password (RFC 2865 §5.2).
//!
//! `c(1) = p(1) ⊕ MD5(S + RA)`, `c(i) = p(i) ⊕ MD5(S + c(i-1))`, in blocks of 16 octets, zero-padded.

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::{EncodeError, RequestAuthenticator, SharedSecret, UserPasswordError};

/// Octets of the longest password that can be hidden (RFC 2865 §5.2).
pub const MAX_PASSWORD_LENGTH: usize = 128;

const BLOCK: usize = 16;

/// Hides a password of 0 to 128 octets; the empty one becomes one block, as an empty value cannot be sent.
///
/// # Errors
///
/// [`EncodeError::PasswordLength`] if `password` is longer.
pub fn hide_user_password(
    password: &[u8],
    secret: &SharedSecret,
    authenticator: &RequestAuthenticator,
) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
    if password.len() > MAX_PASSWORD_LENGTH {
        return Err(EncodeError::PasswordLength(password.len()));
    }
    let padded_length = password.len().max(1).next_multiple_of(BLOCK);
    let mut padded = Zeroizing::new(Vec::with_capacity(padded_length));
    padded.extend_from_slice(password);
    padded.resize(padded_length, 0);

    let mut hidden = Zeroizing::new(Vec::with_capacity(padded_length));
    let mut previous = *authenticator.as_bytes();
    for block in padded.as_chunks::<BLOCK>().0 {
        previous = *masked(block, secret, &previous);
        hidden.extend_from_slice(&previous);
    }
    Ok(hidden)
}

/// Recovers a password from its hidden octets. Trailing NULs are padding, so they are stripped; the result
/// can be empty.
///
/// With another secret or authenticator than the sender's, the result is noise: only a Message-Authenticator
/// tells.
///
/// # Errors
///
/// [`UserPasswordError::Length`] if `hidden` is not one to eight blocks of 16 octets.
pub fn reveal_user_password(
    hidden: &[u8],
    secret: &SharedSecret,
    authenticator: &RequestAuthenticator,
) -> Result<Zeroizing<Vec<u8>>, UserPasswordError> {
    let (blocks, rest) = hidden.as_chunks::<BLOCK>();
    if blocks.is_empty() || !rest.is_empty() || hidden.len() > MAX_PASSWORD_LENGTH {
        return Err(UserPasswordError::Length(hidden.len()));
    }
    let mut password = Zeroizing::new(Vec::with_capacity(hidden.len()));
    let mut previous = authenticator.as_bytes();
    for block in blocks {
        password.extend_from_slice(masked(block, secret, previous).as_slice());
        previous = block;
    }
    let length = password
        .iter()
        .rposition(|&octet| octet != 0)
        .map_or(0, |last| last.saturating_add(1));
    password.truncate(length);
    Ok(password)
}

/// `block ⊕ MD5(secret + previous)`.
fn masked(block: &[u8; BLOCK], secret: &SharedSecret, previous: &[u8; BLOCK]) -> Zeroizing<[u8; BLOCK]> {
    let digest = Md5::new()
        .chain_update(secret.expose())
        .chain_update(previous)
        .finalize();
    let mut octets = Zeroizing::new(<[u8; BLOCK]>::from(digest));
    octets
        .iter_mut()
        .zip(block)
        .for_each(|(octet, other)| *octet ^= other);
    octets
}
