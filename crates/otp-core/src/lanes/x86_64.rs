//! AVX-512, AVX2 and the SHA instructions.
//!
//! A type stands for the features of a processor and is made by asking for them alone. The arithmetic is safe
//! code: since it is compiled for these features, only the step from code without them into it is unsafe, and
//! the change of type between arrays and registers.

use super::schedule::Shared;
use crate::hmac_sha1::{HmacSha1, State};

#[macro_use]
mod sha1;
mod avx2;
mod avx512;
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
    pub(super) fn truncated(self, mac: &HmacSha1, shared: &mut Shared, first: u64) -> [u32; 16] {
        // SAFETY: `detect` alone makes `self`, and only where AVX-512F is there.
        unsafe { avx512::truncated(&mac.inner, &mac.outer, shared, first) }
    }

    /// As [`search::multiples`](crate::search::multiples).
    pub(super) fn multiples<const D: u32>(self, values: &[u32], number: u32) -> u32 {
        // SAFETY: as above.
        unsafe { avx512::multiples::<D>(values, number) }
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        detected!("avx2").then_some(Self(()))
    }

    /// Of the counters from `first` on, a multiple of 8.
    pub(super) fn truncated(self, mac: &HmacSha1, shared: &mut Shared, first: u64) -> [u32; 8] {
        // SAFETY: `detect` alone makes `self`, and only where AVX2 is there.
        unsafe { avx2::truncated(&mac.inner, &mac.outer, shared, first) }
    }

    /// As [`search::multiples`](crate::search::multiples).
    pub(super) fn multiples<const D: u32>(self, values: &[u32], number: u32) -> u32 {
        // SAFETY: as above.
        unsafe { avx2::multiples::<D>(values, number) }
    }
}
