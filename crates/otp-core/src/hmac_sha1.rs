//! HMAC-SHA-1 of one counter (RFC 2104 §2, RFC 4226 §5.2) from the two states that the key leaves behind.
//!
//! An 8-octet counter and a 20-octet digest each fit into one block with their padding: a code costs one
//! compression inside and one outside, and nothing else is hashed.

use sha1::block_api::compress;
use sha1::{Digest, Sha1};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
use crate::lanes::ShaNi;

/// SHA-1's chaining value (RFC 3174 §6.1).
pub(crate) type State = [u32; 5];

/// Octets of a block of SHA-1.
const BLOCK: usize = 64;
/// `H0` to `H4` (RFC 3174 §6.1).
const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
/// Bits of a block and a counter: the length field of the inner message (RFC 3174 §4).
pub(crate) const INNER_BITS: u32 = (64 + 8) * 8;
/// Bits of a block and a digest: the length field of the outer message.
pub(crate) const OUTER_BITS: u32 = (64 + 20) * 8;

/// The states of SHA-1 after `K xor ipad` and after `K xor opad`. Whoever has them can compute every code:
/// they are wiped like the key.
#[derive(ZeroizeOnDrop)]
pub(crate) struct HmacSha1 {
    pub(super) inner: State,
    pub(super) outer: State,
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    #[zeroize(skip)]
    sha_ni: Option<ShaNi>,
}

impl HmacSha1 {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        if key.len() > BLOCK {
            // RFC 2104 §3: a key longer than a block is replaced by its hash.
            let mut digest: [u8; 20] = Sha1::digest(key).into();
            block.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
            digest.zeroize();
        } else {
            block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        }
        let mut absorb = |pad: u8| {
            block.iter_mut().for_each(|octet| *octet ^= pad);
            let mut state = INITIAL;
            compress(&mut state, core::slice::from_ref(&*block));
            state
        };
        let inner = absorb(0x36);
        let outer = absorb(0x36 ^ 0x5c); // takes ipad off and puts opad on
        Self {
            inner,
            outer,
            #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
            sha_ni: ShaNi::detect(),
        }
    }

    /// `DT(HMAC-SHA-1(K, C))`, 31 bits (RFC 4226 §5.3).
    pub(crate) fn truncated(&self, counter: u64) -> u32 {
        truncate(self.digest(counter))
    }

    fn digest(&self, counter: u64) -> State {
        #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
        if let Some(sha_ni) = self.sha_ni {
            return sha_ni.hmac(&self.inner, &self.outer, counter);
        }
        self.portable_digest(counter)
    }

    /// What stays on the stack are blocks without key material: a counter, and an inner digest that is worth
    /// nothing without the outer state.
    fn portable_digest(&self, counter: u64) -> State {
        let mut inner = self.inner;
        compress(&mut inner, &[padded(counter.to_be_bytes(), INNER_BITS)]);
        let mut outer = self.outer;
        compress(&mut outer, &[padded(octets(inner), OUTER_BITS)]);
        outer
    }
}

/// Dynamic truncation `DT` to 31 bits (RFC 4226 §5.3), by shifts: no address depends on the digest.
fn truncate([h0, h1, h2, h3, h4]: State) -> u32 {
    let bits = (h4 & 0x0f) << 3;
    let front = [h0, h1, h2, h3]
        .into_iter()
        .fold(0, |front, word| front << 32 | u128::from(word));
    // Shifted by 128 bits and more, which happens for offset 0, nothing is left.
    let back = (u128::from(h4) << 96)
        .checked_shr(u128::BITS.saturating_sub(bits))
        .unwrap_or_default();
    ((front << bits | back) >> 96) as u32 & 0x7fff_ffff
}

/// The last block of a message: its last octets, a one bit, zeros, the length in bits (RFC 3174 §4).
fn padded<const LEN: usize>(message: [u8; LEN], bits: u32) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some((tail, rest)) = block.split_first_chunk_mut::<LEN>() {
        *tail = message;
        if let Some(one) = rest.first_mut() {
            *one = 0x80;
        }
    }
    if let Some(length) = block.last_chunk_mut() {
        *length = bits.to_be_bytes();
    }
    block
}

fn octets(state: State) -> [u8; 20] {
    let mut octets = [0; 20];
    for (to, word) in octets.as_chunks_mut().0.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_path_equals_the_instructions() {
        for (counter, octet) in (u64::from(u32::MAX) - 100..).zip(0..200_u8) {
            let mac = HmacSha1::new(&[octet; 20]);
            assert_eq!(mac.portable_digest(counter), mac.digest(counter));
        }
    }

    #[test]
    fn truncation_takes_every_offset() {
        for offset in 0..16_u32 {
            let state = [
                0x1122_3344,
                0x5566_7788,
                0x99aa_bbcc,
                0xddee_ff10,
                0xfedc_ba90 | offset,
            ];
            assert_eq!(truncate(state), crate::mac::truncate(&octets(state)), "{offset}");
        }
    }
}
