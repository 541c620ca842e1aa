//! HMAC and dynamic truncation (RFC 4226 §5.3), with the key schedule done once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use zeroize::Zeroize;

use crate::hmac_sha1::HmacSha1;
use crate::lanes::{Detected, Shared};
use crate::search::{BLOCK, Block};
use crate::{Algorithm, Lanes, TokenKey};

/// HMAC that has absorbed its key: half of the compressions of a code are done.
pub(crate) enum KeyedMac {
    Sha1(HmacSha1, Detected),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl KeyedMac {
    pub(crate) fn new(algorithm: Algorithm, key: &TokenKey) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::Sha1(HmacSha1::new(key.as_bytes()), Detected::widest()),
            Algorithm::Sha256 => Self::Sha256(keyed(key)),
            Algorithm::Sha512 => Self::Sha512(keyed(key)),
        }
    }

    /// How many moving factors a search computes at once.
    pub(crate) fn lanes(&self) -> Lanes {
        self.detected().lanes()
    }

    fn detected(&self) -> Detected {
        match self {
            Self::Sha1(_, lanes) => *lanes,
            Self::Sha256(_) | Self::Sha512(_) => Detected::One,
        }
    }

    pub(crate) fn limit_lanes(&mut self, limit: Lanes) {
        if let Self::Sha1(_, lanes) = self {
            *lanes = Detected::at_most(limit);
        }
    }

    /// `DT(HMAC(K, C))`, 31 bits (RFC 4226 §5.3).
    pub(crate) fn truncated(&self, moving_factor: u64) -> u32 {
        match self {
            Self::Sha1(mac, _) => mac.truncated(moving_factor),
            Self::Sha256(mac) => truncated(mac, moving_factor),
            Self::Sha512(mac) => truncated(mac, moving_factor),
        }
    }

    /// Computes the truncated HMACs of `first ..= last` and hands them on in ascending order, a block at a
    /// time.
    pub(crate) fn for_each_block(&self, first: u64, last: u64, mut take: impl FnMut(Block<'_>)) {
        let (mut values, mut shared) = ([0; BLOCK], Shared::new());
        let mut next = Some(first);
        while let Some(first) = next.filter(|first| *first <= last) {
            // Blocks end where groups end.
            let end = first | (BLOCK as u64 - 1);
            let len = end.min(last).abs_diff(first).saturating_add(1);
            let len = usize::try_from(len).unwrap_or(BLOCK);
            let values = values.get_mut(..len).unwrap_or_default();
            self.fill(&mut shared, first, values);
            let lanes = self.detected();
            take(Block { first, values, lanes });
            next = end.checked_add(1);
        }
        values.zeroize();
    }

    /// Fills in the truncated HMACs of the moving factors from `first` on.
    fn fill(&self, shared: &mut Shared, first: u64, values: &mut [u32]) {
        match self {
            Self::Sha1(mac, lanes) => lanes.fill(mac, shared, first, values),
            Self::Sha256(_) | Self::Sha512(_) => {
                for (factor, value) in (first..=u64::MAX).zip(values) {
                    *value = self.truncated(factor);
                }
            }
        }
    }
}

#[expect(clippy::expect_used, reason = "RFC 2104 §2: HMAC takes a key of any length")]
fn keyed<M: KeyInit>(key: &TokenKey) -> M {
    M::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length")
}

fn truncated<M: Mac + Clone>(mac: &M, moving_factor: u64) -> u32 {
    let mac = mac.clone().chain_update(moving_factor.to_be_bytes());
    truncate(&mac.finalize().into_bytes())
}

/// Dynamic truncation `DT` to 31 bits (RFC 4226 §5.3).
pub(crate) fn truncate(tag: &[u8]) -> u32 {
    let offset = tag.last().map_or(0, |octet| usize::from(octet & 0x0f));
    // offset + 4 <= 15 + 4 < 20, the shortest tag: the chunk is always there.
    let bin_code = tag
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or_default();
    u32::from_be_bytes(bin_code) & 0x7fff_ffff
}
