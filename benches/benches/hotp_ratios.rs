//! What `otp-core` takes beside the work that cannot be avoided and beside other implementations: the fastest of
//! many rounds, in which all of them take turns. On a busy machine ratios of means say little; these hardly move.
//!
//! What to expect of a core with SHA-NI, AVX2 and AVX-512 (Sapphire Rapids), whose time for "one lane", two
//! compressions with the SHA instructions, is their latency, 238 cycles:
//!
//! | | vector operations for a group | vector ports | cycles for a code, at least | times as fast as one lane, at most |
//! | --- | ---: | ---: | ---: | ---: |
//! | AVX-512, 16 codes | 1310 | 2 | 41 | 5.8 |
//! | AVX2, 8 codes | 2386 | 3 | 99 | 2.4 |
//!
//! The bound of AVX2 is that of its rotations: three operations each, of which SHA-1 has two in a round and one in
//! a word of the outer schedule, make up nearly half of the 2386. AVX-512 rotates in one and combines three words in one.
//! Measured: 5.3 to 5.6 with AVX-512, 2.2 to 2.3 with AVX2.
//!
//! `--features liboath` adds the C library of the OATH Toolkit (Debian: `liboath-dev`).

use std::hint::black_box;
use std::time::Instant;

use otp_core::{Hotp, HotpState, Lanes, TokenKey};

#[cfg(feature = "liboath")]
#[path = "liboath/mod.rs"]
mod liboath;

const KEY: [u8; 20] = *b"12345678901234567890";
/// A time step of the year 2026.
const NOW: u64 = 59_000_000;
const COUNTERS: u32 = 1000;
const ROUNDS: usize = 400;

/// Something to measure.
struct Work<'a> {
    name: &'static str,
    /// Codes that one call computes.
    codes: u32,
    call: Box<dyn FnMut() + 'a>,
    /// Nanoseconds for a code.
    fastest: f64,
}

impl<'a> Work<'a> {
    fn new(name: &'static str, codes: u32, call: impl FnMut() + 'a) -> Self {
        Self {
            name,
            codes,
            call: Box::new(call),
            fastest: f64::MAX,
        }
    }

    /// A turn is a thousand codes, long enough for the clock.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn turn(&mut self) {
        let begin = Instant::now();
        for _ in 0..COUNTERS / self.codes {
            (self.call)();
        }
        let nanoseconds = begin.elapsed().as_secs_f64() * 1e9;
        self.fastest = self.fastest.min(nanoseconds / f64::from(COUNTERS));
    }
}

fn main() {
    // `cargo bench -- FILTER` is for the benchmarks of criterion.
    if std::env::args()
        .skip(1)
        .any(|argument| !argument.starts_with('-'))
    {
        return;
    }
    let (hotp, key) = (Hotp::default(), TokenKey::from(KEY));
    let token = hotp.prepare(&key);
    let last = token.generate(u64::from(COUNTERS) - 1);
    let totp_rs = totp_rs::Builder::new()
        .with_secret(KEY.to_vec())
        .build_noncompliant();

    let mut works = vec![
        Work::new("2 compressions of SHA-1", 1, || {
            let (mut state, block) = (black_box([0x6745_2301; 5]), black_box([0x36; 64]));
            sha1::block_api::compress(&mut state, &[block]);
            sha1::block_api::compress(&mut state, &[block]);
            black_box(state);
        }),
        Work::new("one code from an absorbed key", 1, || {
            black_box(token.generate(black_box(NOW)));
        }),
        Work::new("one code, totp-rs", 1, || {
            black_box(totp_rs.generate(black_box(NOW * 30)));
        }),
        #[cfg(feature = "liboath")]
        Work::new("one code, liboath", 1, || {
            black_box(liboath::generate(black_box(&KEY), black_box(NOW)));
        }),
    ];
    for (lanes, name) in [
        (Lanes::One, "code of a search, one lane"),
        (Lanes::Eight, "code of a search, AVX2"),
        (Lanes::Sixteen, "code of a search, AVX-512"),
    ] {
        let token = hotp.prepare(&key).limit_lanes(lanes);
        if token.lanes() == lanes {
            works.push(Work::new(name, COUNTERS, move || {
                let state = HotpState::default();
                let _ = black_box(token.verify(black_box(&last), state, COUNTERS - 1));
            }));
        }
    }
    #[cfg(feature = "liboath")]
    {
        let code = std::ffi::CString::new(last.as_str()).unwrap_or_default();
        assert_eq!(liboath::validate(&KEY, 0, COUNTERS, &code), 999);
        works.push(Work::new("code of a search, liboath", COUNTERS, move || {
            black_box(liboath::validate(black_box(&KEY), 0, COUNTERS, black_box(&code)));
        }));
    }

    for _ in 0..ROUNDS {
        works.iter_mut().for_each(Work::turn);
    }
    println!("{:<32} {:>9}  ratio to each, in this order", "", "ns");
    for work in &works {
        print!("{:<32} {:>9.2} ", work.name, work.fastest);
        for other in &works {
            print!(" {:>6.2}", work.fastest / other.fastest);
        }
        println!();
    }
}
