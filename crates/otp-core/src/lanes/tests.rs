//! Every register against the scalar path, and that against the `hmac` crate.

use alloc::vec;
use alloc::vec::Vec;

use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha1::Sha1;

use super::{Detected, Lanes};
use crate::hmac_sha1::HmacSha1;
use crate::mac::{KeyedMac, truncate};

fn by_hmac_crate(key: &[u8], counter: u64) -> u32 {
    let mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    truncate(&mac.chain_update(counter.to_be_bytes()).finalize().into_bytes())
}

/// Counters anywhere, around a carry from the low half into the high one, and at the very end.
fn counters() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (any::<u32>(), 0..140_u64).prop_map(|(high, below)| (u64::from(high) << 32).wrapping_sub(below)),
        (0..180_u64).prop_map(|below| u64::MAX - below),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn all_lanes_equal_the_hmac_crate(
        key in prop::collection::vec(any::<u8>(), 1..=128),
        first in counters(),
        len in 0..=170_usize,
    ) {
        let len = len.min(usize::try_from(u64::MAX - first).unwrap_or(usize::MAX).saturating_add(1));
        let expected: Vec<_> = (first..=u64::MAX).take(len).map(|c| by_hmac_crate(&key, c)).collect();
        let Some(last) = len.checked_sub(1).map(|more| first + more as u64) else { return Ok(()) };
        for limit in [Lanes::One, Lanes::Eight, Lanes::Sixteen] {
            let mac = KeyedMac::Sha1(HmacSha1::new(&key), Detected::at_most(limit));
            let mut values: Vec<u32> = vec![];
            mac.for_each_block(first, last, |block| values.extend(block.values));
            prop_assert_eq!(&values, &expected, "{:?}", limit);
        }
    }
}

#[test]
fn a_limit_is_never_exceeded() {
    assert_eq!(Detected::at_most(Lanes::One).lanes(), Lanes::One);
    assert!(Detected::at_most(Lanes::Eight).lanes() <= Lanes::Eight);
    assert_eq!(Detected::widest().lanes(), Lanes::detect());
}
