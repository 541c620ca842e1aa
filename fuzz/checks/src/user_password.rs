//! What is hidden is revealed again, trailing NULs aside; what is revealed is hidden to the same octets.

use krad::{MAX_PASSWORD_LENGTH, SharedSecret, hide_user_password, reveal_user_password};

use crate::structured;

/// Checks any secret, authenticator and password.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(input: (&[u8], [u8; 16], &[u8])) {
    let (secret, authenticator, octets) = input;
    let (secret, authenticator) = (SharedSecret::new(secret), authenticator.into());

    let hidden = hide_user_password(octets, &secret, &authenticator);
    assert_eq!(hidden.is_ok(), octets.len() <= MAX_PASSWORD_LENGTH);
    if let Ok(hidden) = hidden {
        let end = octets
            .iter()
            .rposition(|&octet| octet != 0)
            .map_or(0, |last| last + 1);
        let revealed = reveal_user_password(&hidden, &secret, &authenticator).unwrap();
        assert_eq!(*revealed, octets[..end]);
    }

    let revealed = reveal_user_password(octets, &secret, &authenticator);
    let whole_blocks = octets.len().is_multiple_of(16) && (16..=MAX_PASSWORD_LENGTH).contains(&octets.len());
    assert_eq!(revealed.is_ok(), whole_blocks);
    if let Ok(mut revealed) = revealed {
        revealed.resize(octets.len(), 0);
        assert_eq!(
            *hide_user_password(&revealed, &secret, &authenticator).unwrap(),
            octets
        );
    }
}
