//! Codes and searches of `otp-core`: what one login and one resynchronization cost.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use otp_core::{
    Algorithm, Digits, Hotp, HotpState, Otp, TimeStep, TokenKey, Totp, TotpState, Verdict, Window,
};

fn key() -> TokenKey {
    TokenKey::from(*b"12345678901234567890")
}

/// A single code, key schedule included.
fn generate(c: &mut Criterion) {
    let key = key();
    let mut group = c.benchmark_group("generate");
    for algorithm in Algorithm::ALL {
        let hotp = Hotp {
            algorithm,
            digits: Digits::SIX,
        };
        group.bench_function(algorithm.as_str(), |b| {
            b.iter(|| hotp.generate(black_box(&key), black_box(59_000_000)));
        });
    }
    group.finish();
}

/// The search of a login: a wrong code costs what a right one costs.
fn verify(c: &mut Criterion) {
    let (totp, key, now) = (Totp::default(), key(), TimeStep::from(59_000_000));
    let right = totp.generate(&key, now);
    let codes = [("right code", right), ("wrong code", another(&right))];
    let mut group = c.benchmark_group("verify TOTP, 1 step on either side");
    for (name, code) in codes {
        group.bench_function(name, |b| {
            b.iter(|| {
                let state = black_box(TotpState::default());
                totp.verify(black_box(&key), black_box(&code), now, state, Window::default())
            });
        });
    }
    group.finish();
}

/// The search of a help desk: a thousand counters, the pair at their very end.
fn resynchronize(c: &mut Criterion) {
    let (hotp, key, state) = (Hotp::default(), key(), HotpState { next: 0 });
    let codes = [1000, 1001].map(|counter| hotp.generate(&key, counter));
    let search = || {
        let [first, second] = black_box(&codes);
        hotp.resynchronize(black_box(&key), first, second, state, 1000)
    };
    assert!(matches!(search(), Verdict::Fresh(_)), "the pair is found");
    c.bench_function("resynchronize HOTP, 1000 counters", |b| b.iter(search));
}

/// A code that differs from `code` in its last digit.
fn another(code: &Otp) -> Otp {
    let mut octets = code.as_str().as_bytes().to_vec();
    if let Some(last) = octets.last_mut() {
        *last ^= 1; // '0'..='9' are 0x30..=0x39: the digits go in pairs
    }
    Otp::parse(&octets).unwrap_or(*code)
}

criterion_group!(benches, generate, verify, resynchronize);
criterion_main!(benches);
