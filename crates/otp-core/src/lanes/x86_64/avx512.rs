//! Operations on sixteen lanes. The last operand of `vpternlog` is the truth table of its three inputs.

use core::arch::x86_64::*;

type Vector = __m512i;
const LANES: usize = 16;

#[target_feature(enable = "avx512f")]
#[inline]
fn load(lanes: [u32; LANES]) -> Vector {
    // SAFETY: both types are 64 octets, of which every value is one of the type.
    unsafe { core::mem::transmute(lanes) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(vector: Vector) -> [u32; LANES] {
    // SAFETY: both types are 64 octets, of which every value is one of the type.
    unsafe { core::mem::transmute(vector) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(word: u32) -> Vector {
    _mm512_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add(a: Vector, b: Vector) -> Vector {
    _mm512_add_epi32(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn subtract(a: Vector, b: Vector) -> Vector {
    _mm512_sub_epi32(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn and(a: Vector, b: Vector) -> Vector {
    _mm512_and_si512(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn or(a: Vector, b: Vector) -> Vector {
    _mm512_or_si512(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn xor(a: Vector, b: Vector) -> Vector {
    _mm512_xor_si512(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn choose(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0xca>(b, c, d)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn parity(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0x96>(b, c, d)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn majority(b: Vector, c: Vector, d: Vector) -> Vector {
    _mm512_ternarylogic_epi32::<0xe8>(b, c, d)
}

/// Rotates left by `LEFT` bits; `RIGHT` is the rest of the 32.
#[target_feature(enable = "avx512f")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(a: Vector) -> Vector {
    _mm512_rol_epi32::<LEFT>(a)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn shift_left(a: Vector, bits: Vector) -> Vector {
    _mm512_sllv_epi32(a, bits)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn shift_right(a: Vector, bits: Vector) -> Vector {
    _mm512_srlv_epi32(a, bits)
}

/// `then` in the lanes where the bit of `a` is set, else `otherwise`.
#[target_feature(enable = "avx512f")]
#[inline]
fn where_bit<const BIT: u32>(a: Vector, then: Vector, otherwise: Vector) -> Vector {
    _mm512_mask_mov_epi32(otherwise, _mm512_test_epi32_mask(a, splat(1 << BIT)), then)
}

hmac_sha1!("avx512f");
