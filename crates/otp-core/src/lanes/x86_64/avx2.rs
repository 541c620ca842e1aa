//! Operations on eight lanes.

use core::arch::x86_64::*;

type Vector = __m256i;
const LANES: usize = 8;

#[target_feature(enable = "avx2")]
#[inline]
fn load(lanes: [u32; LANES]) -> Vector {
    // SAFETY: both types are 32 octets, of which every value is one of the type.
    unsafe { core::mem::transmute(lanes) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(vector: Vector) -> [u32; LANES] {
    // SAFETY: both types are 32 octets, of which every value is one of the type.
    unsafe { core::mem::transmute(vector) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(word: u32) -> Vector {
    _mm256_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(a: Vector, b: Vector) -> Vector {
    _mm256_add_epi32(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn subtract(a: Vector, b: Vector) -> Vector {
    _mm256_sub_epi32(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn and(a: Vector, b: Vector) -> Vector {
    _mm256_and_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn or(a: Vector, b: Vector) -> Vector {
    _mm256_or_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(a: Vector, b: Vector) -> Vector {
    _mm256_xor_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn choose(b: Vector, c: Vector, d: Vector) -> Vector {
    xor(d, and(b, xor(c, d)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn parity(b: Vector, c: Vector, d: Vector) -> Vector {
    xor(xor(c, d), b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn majority(b: Vector, c: Vector, d: Vector) -> Vector {
    or(and(c, d), and(b, or(c, d)))
}

/// Rotates left by `LEFT` bits; `RIGHT` is the rest of the 32.
#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(a: Vector) -> Vector {
    or(_mm256_slli_epi32::<LEFT>(a), _mm256_srli_epi32::<RIGHT>(a))
}

#[target_feature(enable = "avx2")]
#[inline]
fn shift_left(a: Vector, bits: Vector) -> Vector {
    _mm256_sllv_epi32(a, bits)
}

#[target_feature(enable = "avx2")]
#[inline]
fn shift_right(a: Vector, bits: Vector) -> Vector {
    _mm256_srlv_epi32(a, bits)
}

/// `then` in the lanes where the bit of `a` is set, else `otherwise`.
#[target_feature(enable = "avx2")]
#[inline]
fn where_bit<const BIT: u32>(a: Vector, then: Vector, otherwise: Vector) -> Vector {
    // The blend looks at the top bit.
    let bit = _mm256_castsi256_ps(shift_left(a, splat(31 - BIT)));
    let (then, otherwise) = (_mm256_castsi256_ps(then), _mm256_castsi256_ps(otherwise));
    _mm256_castps_si256(_mm256_blendv_ps(otherwise, then, bit))
}

hmac_sha1!("avx2");
