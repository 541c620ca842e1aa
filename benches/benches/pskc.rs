//! `pskc` reads key containers: one key, a thousand, one that is encrypted; beside libpskc, which reads no encrypted ones,
//! and beside the ciphers alone.
//!
//! `--features libpskc` adds the C library of the OATH Toolkit (Debian: `libpskc-dev`).
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "a bench of a failure measures nothing")]

use std::hint::black_box;

use aes::Aes128;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use otp_core::{Hotp, HotpState, TokenKey};
use pskc::{Container, Credential, Key, KeyPackage, KeySource, PreSharedKey, Protection};
use rand::{SeedableRng, rngs::StdRng};
use sha2::Sha256;

#[cfg(feature = "libpskc")]
#[path = "libpskc/mod.rs"]
mod libpskc;

/// The key of RFC 6030 §6.1.
const PRE_SHARED_KEY: [u8; 16] = *b"\x12\x34\x56\x78\x90\xab\xcd\xef\x12\x34\x56\x78\x90\xab\xcd\xef";
const SECRET: [u8; 20] = *b"12345678901234567890";

/// A container of this many HOTP keys.
fn container(keys: usize) -> Container {
    let package = |n| {
        let credential = Credential::Hotp {
            key: TokenKey::from(SECRET),
            hotp: Hotp::default(),
            state: HotpState::default(),
        };
        KeyPackage::new(Key::new(format!("{n:08}"), credential))
    };
    Container::new((0..keys).map(package).collect())
}

fn xml(keys: usize, protection: &Protection<'_>) -> String {
    let mut rng = StdRng::seed_from_u64(6030);
    let xml = container(keys).encode(protection, &mut rng);
    xml.expect("it can be written").to_string()
}

fn decode(c: &mut Criterion) {
    for (name, keys) in [("1 plain key", 1), ("1,000 plain keys", 1000)] {
        let xml = xml(keys, &Protection::Plain);
        let read = || Container::decode(black_box(xml.as_bytes()), None).expect("well-formed");
        assert_eq!(read().keys.len(), keys);
        let mut group = c.benchmark_group(format!("PSKC, {name}"));
        group.throughput(Throughput::Elements(keys as u64));
        group.bench_function("pskc", |b| b.iter(read));
        #[cfg(feature = "libpskc")]
        {
            assert_eq!(libpskc::secrets(xml.as_bytes()), keys * SECRET.len());
            group.bench_function("libpskc", |b| {
                b.iter(|| libpskc::secrets(black_box(xml.as_bytes())))
            });
        }
        group.finish();
    }
}

fn decrypt(c: &mut Criterion) {
    let key = || PreSharedKey::new(&PRE_SHARED_KEY).expect("a length of AES");
    let xml = xml(
        1,
        &Protection::PreSharedKey {
            name: "Pre-shared key",
            key: &key(),
        },
    );
    let source = KeySource::from(key());
    let read = || Container::decode(black_box(xml.as_bytes()), Some(&source)).expect("authentic");
    assert_eq!(read().keys.len(), 1);
    let mut group = c.benchmark_group("PSKC, 1 key, AES-128-CBC and HMAC-SHA-256");
    group.bench_function("pskc", |b| b.iter(read));
    group.bench_function("the ciphers alone", |b| b.iter(ciphers));
    group.finish();
}

/// AES-CBC over a MAC key of 32 octets, HMAC over an initialization vector and the secret's two blocks, AES-CBC over
/// these.
fn ciphers() -> [u8; 32] {
    let decryptor =
        || cbc::Decryptor::<Aes128>::new(black_box(&PRE_SHARED_KEY).into(), black_box(&[1; 16]).into());
    let ciphertext = black_box([2; 48]);
    let mut mac_key = [0; 48];
    // What is no ciphertext has no padding, which is looked at all the same.
    let _ = decryptor().decrypt_padded_b2b::<Pkcs7>(&ciphertext, &mut mac_key);
    let mut mac = Hmac::<Sha256>::new_from_slice(&mac_key[..32]).expect("any length");
    mac.update(&[1; 16]);
    mac.update(&ciphertext[..32]);
    black_box(mac.finalize());
    let mut secret = [0; 32];
    let _ = decryptor().decrypt_padded_b2b::<Pkcs7>(&ciphertext[..32], &mut secret);
    secret
}

criterion_group!(benches, decode, decrypt);
criterion_main!(benches);
