//! One HMAC-SHA-1 with the SHA instructions.
//!
//! Both compressions stay in registers: the digest of the inner one has the very order of words in which the
//! instructions take the message of the outer one. Passed through memory as blocks of octets, they would wait
//! for it for as long as a quarter of the work.

use core::arch::x86_64::*;

use crate::hmac_sha1::{INNER_BITS, OUTER_BITS, State};

/// `A` to `D`, `A` in the highest lane.
type Abcd = __m128i;
/// `E` in the highest lane.
type E = __m128i;

/// `HMAC-SHA-1(K, C)` from the states of the key.
#[target_feature(enable = "sha")]
pub(super) fn hmac(inner: &State, outer: &State, counter: u64) -> State {
    let zero = _mm_setzero_si128();
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the counter")]
    let counter = words((counter >> 32) as u32, counter as u32, 0x8000_0000, 0);
    let bits = words(0, 0, 0, INNER_BITS);
    let (abcd, e) = compress(inner, [counter, zero, zero, bits]);

    let end = words(0, 0x8000_0000, 0, 0);
    let bits = words(0, 0, 0, OUTER_BITS);
    let (abcd, e) = compress(outer, [abcd, _mm_or_si128(e, end), zero, bits]);

    // SAFETY: both types are 16 octets, of which every value is one of the type.
    let [d, c, b, a]: [u32; 4] = unsafe { core::mem::transmute(abcd) };
    // SAFETY: as above.
    let [_, _, _, e]: [u32; 4] = unsafe { core::mem::transmute(e) };
    [a, b, c, d, e]
}

/// Four words, the first in the highest lane.
#[target_feature(enable = "sha")]
#[inline]
fn words(first: u32, second: u32, third: u32, fourth: u32) -> __m128i {
    let [first, second, third, fourth] = [first, second, third, fourth].map(u32::cast_signed);
    _mm_set_epi32(first, second, third, fourth)
}

/// SHA-1's compression (RFC 3174 §6.1); the lanes of the result's `E` but the highest are 0.
#[target_feature(enable = "sha")]
#[inline]
fn compress(&[a, b, c, d, e]: &State, mut w: [__m128i; 4]) -> (Abcd, E) {
    let (start, start_e) = (words(a, b, c, d), words(e, 0, 0, 0));
    let before = start;
    let mut s = (
        _mm_sha1rnds4_epu32::<0>(start, _mm_add_epi32(start_e, w[0])),
        before,
    );
    macro_rules! four_rounds {
        ($($group:literal)*) => { $(s = four_rounds::<$group>(s, &mut w);)* };
    }
    four_rounds!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
    let (end, before) = s;
    (_mm_add_epi32(start, end), _mm_sha1nexte_epu32(before, start_e))
}

/// Rounds `4 * GROUP` and the three after it, on the working variables and those of four rounds before, from
/// which `E` follows; `w` holds the last sixteen words of the message schedule.
#[target_feature(enable = "sha")]
#[inline]
#[expect(clippy::indexing_slicing, reason = "every index is taken modulo 4")]
fn four_rounds<const GROUP: usize>((abcd, before): (Abcd, Abcd), w: &mut [__m128i; 4]) -> (Abcd, Abcd) {
    if GROUP >= 4 {
        let mixed = _mm_sha1msg1_epu32(w[GROUP % 4], w[(GROUP + 1) % 4]);
        let mixed = _mm_xor_si128(mixed, w[(GROUP + 2) % 4]);
        w[GROUP % 4] = _mm_sha1msg2_epu32(mixed, w[(GROUP + 3) % 4]);
    }
    let e_and_w = _mm_sha1nexte_epu32(before, w[GROUP % 4]);
    let after = match GROUP / 5 {
        0 => _mm_sha1rnds4_epu32::<0>(abcd, e_and_w),
        1 => _mm_sha1rnds4_epu32::<1>(abcd, e_and_w),
        2 => _mm_sha1rnds4_epu32::<2>(abcd, e_and_w),
        _ => _mm_sha1rnds4_epu32::<3>(abcd, e_and_w),
    };
    (after, abcd)
}
