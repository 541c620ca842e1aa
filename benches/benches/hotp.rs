//! Codes and searches of `otp-core`: what one login and one resynchronization cost, beside the work that cannot
//! be avoided and beside other implementations.
//!
//! `--features liboath` adds the C library of the OATH Toolkit (Debian: `liboath-dev`).
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otp_core::{
    Algorithm, Digits, Hotp, HotpState, Lanes, Otp, TimeStep, TokenKey, Totp, TotpState, Verdict, Window,
};

#[cfg(feature = "liboath")]
#[path = "liboath/mod.rs"]
mod liboath;

const KEY: [u8; 20] = *b"12345678901234567890";
/// A time step of the year 2026.
const NOW: u64 = 59_000_000;

fn key() -> TokenKey {
    TokenKey::from(KEY)
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
            b.iter(|| hotp.generate(black_box(&key), black_box(NOW)));
        });
    }
    let other = totp_rs(0);
    group.bench_function("SHA1, totp-rs", |b| {
        b.iter(|| other.generate(black_box(NOW * 30)))
    });
    #[cfg(feature = "liboath")]
    group.bench_function("SHA1, liboath", |b| {
        b.iter(|| liboath::generate(black_box(&KEY), black_box(NOW)));
    });
    group.finish();
}

/// A single code from an absorbed key, beside the two compressions of SHA-1 in it.
fn generate_prepared(c: &mut Criterion) {
    let token = Hotp::default().prepare(&key());
    let mut group = c.benchmark_group("generate from an absorbed key");
    group.bench_function("2 compressions of SHA-1", |b| {
        let (state, block) = ([0x6745_2301; 5], [0x36; 64]);
        b.iter(|| {
            let mut state = black_box(state);
            sha1::block_api::compress(&mut state, &[black_box(block)]);
            sha1::block_api::compress(&mut state, &[black_box(block)]);
            state
        });
    });
    group.bench_function("SHA1", |b| b.iter(|| token.generate(black_box(NOW))));
    group.finish();
}

/// The search of a login: a wrong code costs what a right one costs.
fn verify(c: &mut Criterion) {
    let (totp, key, now) = (Totp::default(), key(), TimeStep::from(NOW));
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
    let (other, wrong) = (totp_rs(1), another(&right));
    group.bench_function("wrong code, totp-rs", |b| {
        b.iter(|| other.check(black_box(wrong.as_str()), black_box(NOW * 30)));
    });
    group.finish();
}

/// A search over a thousand counters, the code at their very end: each implementation looks at all of them.
fn search(c: &mut Criterion) {
    const COUNTERS: u32 = 1000;
    let (hotp, key) = (Hotp::default(), key());
    let mut group = c.benchmark_group("search 1000 counters");
    group.throughput(Throughput::Elements(COUNTERS.into()));

    let prepared = hotp.prepare(&key);
    let mut wanted = prepared.generate(u64::from(COUNTERS) - 1);
    group.bench_function("one code after the other", |b| {
        b.iter(|| {
            let wanted = black_box(&wanted);
            let counters = 0..u64::from(COUNTERS);
            counters.fold(None, |found, counter| {
                prepared
                    .generate(counter)
                    .matches(wanted)
                    .then_some(counter)
                    .or(found)
            })
        });
    });
    for lanes in [Lanes::One, Lanes::Eight, Lanes::Sixteen] {
        let token = hotp.prepare(&key).limit_lanes(lanes);
        if token.lanes() != lanes {
            continue;
        }
        // The token begins at 0: no spent counters are searched.
        let (look_ahead, state) = (COUNTERS - 1, HotpState::default());
        assert!(matches!(
            token.verify(&wanted, state, look_ahead),
            Verdict::Fresh(_)
        ));
        group.bench_function(format!("verify, lanes: {lanes:?}"), |b| {
            b.iter(|| token.verify(black_box(&wanted), state, look_ahead));
        });
    }
    #[cfg(feature = "liboath")]
    {
        let code = std::ffi::CString::new(wanted.as_str()).unwrap_or_default();
        assert_eq!(liboath::validate(&KEY, 0, COUNTERS, &code), 999);
        group.bench_function("liboath", |b| {
            b.iter(|| liboath::validate(black_box(&KEY), 0, COUNTERS, black_box(&code)));
        });
    }
    // The window of totp-rs lies on both sides of a time: 1001 steps, with the code at their end.
    let other = totp_rs(500);
    wanted = prepared.generate(NOW + 500);
    assert_eq!(other.check(wanted.as_str(), NOW * 30), Some(NOW + 500));
    group.bench_function("totp-rs", |b| {
        b.iter(|| other.check(black_box(wanted.as_str()), black_box(NOW * 30)));
    });
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

/// The same token: SHA-1, 6 digits, 30 s.
fn totp_rs(skew: u16) -> totp_rs::Totp {
    totp_rs::Builder::new()
        .with_secret(KEY.to_vec())
        .with_skew(skew)
        .build_noncompliant()
}

criterion_group!(
    benches,
    generate,
    generate_prepared,
    verify,
    search,
    resynchronize
);
criterion_main!(benches);
