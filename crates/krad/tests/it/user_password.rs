//! RFC 2865 §5.2, as libkrad does it.

use krad::{EncodeError, SharedSecret, UserPasswordError, hide_user_password, reveal_user_password};
use sha2::{Digest, Sha256};

use crate::hex::{authenticator, hex};

const AUTHENTICATOR: &str = "ac9dc16208c4c78ba12f250ac41d3641";

/// (secret, Request Authenticator, password, hidden).
const HIDDEN: [(&str, &str, &str, &str); 6] = [
    ("foo", AUTHENTICATOR, "accept", "bafced50e1eba6c3c17520e910cec2cb"),
    (
        "foo",
        "00000000000000000000000000000000",
        "accept",
        "588dffda37f9e4ca19ae49b7166d5827",
    ),
    (
        "foo",
        AUTHENTICATOR,
        "aaaaaaaaaaaaaaaa",
        "bafeef54f0fec7a2a014418871afa3aa",
    ),
    (
        "foo",
        AUTHENTICATOR,
        "aaaaaaaaaaaaaaaaa",
        "bafeef54f0fec7a2a014418871afa3aae83f8eb70686e7fc241e9213bdc500dc",
    ),
    (
        "foo",
        AUTHENTICATOR,
        "0123456789abcdef0123456789abcdefX",
        "ebaebc06a5aa90f4f94c418b73aaa7ad4af0bd5a31890abfbeea6aefe0e286906929c87e3ce997cedb6f664a0519a84d",
    ),
    ("", AUTHENTICATOR, "123456", "207882b81c20238f8a80d5927bc6d30e"),
];

#[test]
fn vectors_both_ways() {
    for (secret, ra, password, hidden) in HIDDEN {
        let (secret, ra) = (SharedSecret::new(secret.as_bytes()), authenticator(ra));
        assert_eq!(
            *hide_user_password(password.as_bytes(), &secret, &ra).unwrap(),
            hex(hidden)
        );
        assert_eq!(
            *reveal_user_password(&hex(hidden), &secret, &ra).unwrap(),
            password.as_bytes()
        );
    }
}

#[test]
fn longest_password() {
    let (secret, ra) = (SharedSecret::new(b"foo"), authenticator(AUTHENTICATOR));
    let hidden = hide_user_password(&[b'a'; 128], &secret, &ra).unwrap();
    assert_eq!(hidden[112..], hex("733e3a5dca0bd507d847ec0ed5feb19a"));
    let digest = "20933564e0ac8ad9f5faa53169d61200b93dc8f05585db47658b3de01debb6be";
    assert_eq!(Sha256::digest(&*hidden).as_slice(), hex(digest));
    assert_eq!(*reveal_user_password(&hidden, &secret, &ra).unwrap(), [b'a'; 128]);
    for length in [129, 200] {
        let refused = hide_user_password(&vec![b'a'; length], &secret, &ra).unwrap_err();
        assert_eq!(refused, EncodeError::PasswordLength(length));
    }
}

#[test]
fn lengths_on_the_wire() {
    let (secret, ra) = (SharedSecret::new(b"foo"), authenticator(AUTHENTICATOR));
    for length in 0..=253 {
        let revealed = reveal_user_password(&vec![7; length], &secret, &ra);
        if length.is_multiple_of(16) && (16..=128).contains(&length) {
            revealed.unwrap();
        } else {
            assert_eq!(revealed.unwrap_err(), UserPasswordError::Length(length));
        }
    }
}

#[test]
fn only_trailing_nuls_are_padding() {
    let (secret, ra) = (SharedSecret::new(b"foo"), authenticator(AUTHENTICATOR));
    for (password, revealed) in [
        (&b""[..], &b""[..]),
        (b"\0\0\0", b""),
        (b"1234\0\0", b"1234"),
        (b"\x001234", b"\x001234"),
        (b" 1234 ", b" 1234 "),
    ] {
        let hidden = hide_user_password(password, &secret, &ra).unwrap();
        assert_eq!(hidden.len(), 16);
        assert_eq!(*reveal_user_password(&hidden, &secret, &ra).unwrap(), revealed);
    }
}
