//! HMAC-SHA-1 of several counters at once: one counter in each 32-bit lane of a vector register.
//!
//! A search computes the codes of consecutive counters under one key, so that the same instructions run over
//! all of them. Which registers the processor has is asked at run time (feature `std`), else taken from the
//! target that the crate is compiled for; a target without vector registers at all, such as that of a kernel, has no
//! lanes (every other x86-64 has SSE2). The values are those of [`HmacSha1::truncated`], one by one.
//!
//! The lanes hold what the scalar path holds, the two states of the key among it, in registers and in what the
//! compiler spills of them; neither path can wipe those. Nothing is stored but the truncated values.

use crate::hmac_sha1::HmacSha1;
use crate::search::{self, GROUP};

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod schedule;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[expect(
    unsafe_code,
    reason = "functions that need a processor's features are unsafe to call without them"
)]
mod x86_64;

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) use schedule::Shared;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
pub(crate) use x86_64::ShaNi;

/// What the lanes of a search share: nothing without lanes.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
pub(crate) struct Shared;

#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
impl Shared {
    pub(crate) fn new() -> Self {
        Self
    }
}

/// How many moving factors a search with HMAC-SHA-1 computes at once, the fewest first.
///
/// ```
/// # use otp_core::Lanes;
/// assert!(Lanes::One < Lanes::Sixteen && Lanes::One <= Lanes::detect());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lanes {
    /// One after the other, with the processor's SHA instructions if it has them.
    One,
    /// Eight, in AVX2 registers.
    Eight,
    /// Sixteen, in AVX-512 registers.
    Sixteen,
}

impl Lanes {
    /// The most that this processor has. Without the feature `std`: the most that the target of the
    /// compilation promises.
    #[must_use]
    pub fn detect() -> Self {
        Detected::widest().lanes()
    }
}

/// [`Lanes`] that the processor was seen to have.
#[derive(Clone, Copy)]
pub(crate) enum Detected {
    One,
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    Eight(x86_64::Avx2),
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    Sixteen(x86_64::Avx512),
}

/// The fewest counters for which a whole register pays: the spare lanes are computed in vain.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
const WORTHWHILE: usize = 4;

impl Detected {
    pub(crate) fn widest() -> Self {
        Self::at_most(Lanes::Sixteen)
    }

    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    pub(crate) fn at_most(limit: Lanes) -> Self {
        let sixteen = (limit >= Lanes::Sixteen).then(x86_64::Avx512::detect).flatten();
        let eight = || (limit >= Lanes::Eight).then(x86_64::Avx2::detect).flatten();
        sixteen
            .map(Self::Sixteen)
            .or_else(|| eight().map(Self::Eight))
            .unwrap_or(Self::One)
    }

    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
    pub(crate) fn at_most(_limit: Lanes) -> Self {
        Self::One
    }

    pub(crate) fn lanes(self) -> Lanes {
        match self {
            Self::One => Lanes::One,
            #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
            Self::Eight(_) => Lanes::Eight,
            #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
            Self::Sixteen(_) => Lanes::Sixteen,
        }
    }

    /// Fills in the truncated HMACs of the counters from `first` on. Handed from one call to the next,
    /// `shared` saves work where the counters follow each other.
    #[cfg_attr(
        not(all(target_arch = "x86_64", target_feature = "sse2")),
        expect(unused_variables, reason = "there are no lanes")
    )]
    pub(crate) fn fill(self, mac: &HmacSha1, shared: &mut Shared, first: u64, values: &mut [u32]) {
        match self {
            Self::One => one_by_one(mac, first, values),
            #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
            Self::Eight(avx2) => {
                by_register(mac, first, values, |first| avx2.truncated(mac, shared, first));
            }
            #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
            Self::Sixteen(avx512) => {
                by_register(mac, first, values, |first| avx512.truncated(mac, shared, first));
            }
        }
    }

    /// [`search::multiples`], in registers if the values fill one.
    pub(crate) fn multiples<const D: u32>(self, values: &[u32], number: u32) -> u32 {
        match self {
            _ if values.len() < GROUP => search::multiples::<D>(values, number),
            Self::One => search::multiples::<D>(values, number),
            #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
            Self::Eight(avx2) => avx2.multiples::<D>(values, number),
            #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
            Self::Sixteen(avx512) => avx512.multiples::<D>(values, number),
        }
    }
}

/// A register begins with a multiple of the number of its lanes; what is computed beside the wanted counters
/// is left out.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
fn by_register<const LANES: usize>(
    mac: &HmacSha1,
    first: u64,
    values: &mut [u32],
    mut truncated: impl FnMut(u64) -> [u32; LANES],
) {
    let (mut next, mut rest) = (first, values);
    while !rest.is_empty() {
        let start = next & !(LANES as u64).saturating_sub(1);
        // Below LANES: the cast is exact.
        let lane = usize::try_from(next.abs_diff(start)).unwrap_or(0);
        let len = LANES.saturating_sub(lane).min(rest.len());
        let Some((values, later)) = rest.split_at_mut_checked(len) else {
            return;
        };
        if let Some(all) = values.as_mut_array() {
            *all = truncated(start);
        } else if len < WORTHWHILE {
            one_by_one(mac, next, values);
        } else {
            let computed = truncated(start).into_iter().skip(lane);
            values.iter_mut().zip(computed).for_each(|(to, from)| *to = from);
        }
        // Saturates behind the last counter alone.
        next = next.saturating_add(len as u64);
        rest = later;
    }
}

fn one_by_one(mac: &HmacSha1, first: u64, values: &mut [u32]) {
    for (counter, value) in (first..=u64::MAX).zip(values) {
        *value = mac.truncated(counter);
    }
}

#[cfg(test)]
mod tests;
