//! AVX-512, AVX2 and the SHA instructions.
//!
//! A type stands for the features of a processor and is made by asking for them alone. The arithmetic is safe
//! code: since it is compiled for these features, only the step from code without them into it is unsafe, and
//! the change of type between arrays and registers.

use super::HmacSha1;
use crate::hmac_sha1::State;

#[macro_use]
mod sha1;
mod sha_ni;

/// The processor has the SHA instructions.
#[derive(Clone, Copy)]
pub(crate) struct ShaNi(());

/// The processor and the operating system have AVX-512F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// The processor and the operating system have AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Whether a feature is there, as far as this can be known.
macro_rules! detected {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        let detected = std::arch::is_x86_feature_detected!($feature);
        #[cfg(not(feature = "std"))]
        let detected = cfg!(target_feature = $feature);
        detected
    }};
}

impl ShaNi {
    pub(crate) fn detect() -> Option<Self> {
        detected!("sha").then_some(Self(()))
    }

    pub(crate) fn hmac(self, inner: &State, outer: &State, counter: u64) -> State {
        // SAFETY: `detect` alone makes `self`, and only where the instructions are there.
        unsafe { sha_ni::hmac(inner, outer, counter) }
    }
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        detected!("avx512f").then_some(Self(()))
    }

    /// Of the counters from `first` on, a multiple of 16.
    pub(super) fn truncated(self, mac: &HmacSha1, first: u64) -> [u32; 16] {
        // SAFETY: `detect` alone makes `self`, and only where AVX-512F is there.
        unsafe { avx512::truncated(&mac.inner, &mac.outer, first) }
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        detected!("avx2").then_some(Self(()))
    }

    /// Of the counters from `first` on, a multiple of 8.
    pub(super) fn truncated(self, mac: &HmacSha1, first: u64) -> [u32; 8] {
        // SAFETY: `detect` alone makes `self`, and only where AVX2 is there.
        unsafe { avx2::truncated(&mac.inner, &mac.outer, first) }
    }
}

/// Operations on sixteen lanes. The last operand of `vpternlog` is the truth table of its three inputs.
mod avx512 {
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

    /// `then` in the lanes where `a` is `b`, else `otherwise`.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn where_equal(a: Vector, b: Vector, then: Vector, otherwise: Vector) -> Vector {
        _mm512_mask_mov_epi32(otherwise, _mm512_cmpeq_epi32_mask(a, b), then)
    }

    hmac_sha1!("avx512f");
}

/// Operations on eight lanes.
mod avx2 {
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

    /// `then` in the lanes where `a` is `b`, else `otherwise`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn where_equal(a: Vector, b: Vector, then: Vector, otherwise: Vector) -> Vector {
        _mm256_blendv_epi8(otherwise, then, _mm256_cmpeq_epi32(a, b))
    }

    hmac_sha1!("avx2");
}
