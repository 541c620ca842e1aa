//! The message schedule of the inner block, taken apart into what the lanes share and what tells them apart.
//!
//! The schedule of SHA-1 (RFC 3174 §6.1) is made of exclusive ors and rotations alone, and so it is linear: the
//! words of a block that is the exclusive or of two blocks are the exclusive ors of their words. The inner
//! block is a counter and constants, and the counters in the lanes are `first | lane`, where `first` has zeros
//! in the bits of `lane`:
//!
//! ```text
//! W[t](first | lane) = W[t](first) ^ L[t](lane)
//! ```
//!
//! `L` is the schedule of a block that is 0 but for its second word, and a table. `W(first)` is one word for
//! all lanes. Of the operations that make a word of the schedule and add its constant, four with AVX-512 and
//! seven with AVX2, two are left, and none where `L[t]` is 0: these are 32 of the 80 rounds.
//!
//! `W` follows in the same way from a constant: every bit of the counter changes the words by the schedule of
//! this bit, another table. From one group of lanes to the next few bits change.

use crate::hmac_sha1::{INNER_BITS, State};
use crate::search::GROUP;

/// Rounds of SHA-1, and words of its message schedule.
const ROUNDS: usize = 80;

/// Words of the message schedule.
type Schedule = [u32; ROUNDS];

/// `K` of rounds 0 to 19, 20 to 39 and so on (RFC 3174 §5).
const CONSTANTS: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// `K[t]`.
#[expect(clippy::indexing_slicing, reason = "t < 80")]
pub(super) const fn constant(t: usize) -> u32 {
    CONSTANTS[t / 20]
}

/// RFC 3174 §6.1, step b.
#[expect(clippy::indexing_slicing, reason = "t < 80")]
const fn schedule(block: [u32; 16]) -> Schedule {
    let mut w = [0; ROUNDS];
    let mut t = 0;
    while t < ROUNDS {
        w[t] = if t < block.len() {
            block[t]
        } else {
            (w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]).rotate_left(1)
        };
        t += 1;
    }
    w
}

/// The words of a block that is 0 but for the low half of the counter.
const fn of_low_half(low: u32) -> Schedule {
    schedule([0, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// The words of each bit of the counter's low half.
#[expect(clippy::indexing_slicing, reason = "bit < 32")]
static BITS: [Schedule; 32] = {
    let mut bits = [[0; ROUNDS]; 32];
    let mut bit = 0;
    while bit < bits.len() {
        bits[bit] = of_low_half(1 << bit);
        bit += 1;
    }
    bits
};

/// `L[t]` of all lanes.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "lane < GROUP and t < 80"
)]
pub(super) static LANES: [[u32; GROUP]; ROUNDS] = {
    let mut lanes = [[0; GROUP]; ROUNDS];
    let mut lane = 0;
    while lane < GROUP {
        let w = of_low_half(lane as u32);
        let mut t = 0;
        while t < ROUNDS {
            lanes[t][lane] = w[t];
            t += 1;
        }
        lane += 1;
    }
    lanes
};

/// Whether `W[t]` depends on the counter's low half: else `L[t]` is 0.
#[expect(clippy::indexing_slicing, reason = "t < 80")]
pub(super) const fn varies(t: usize) -> bool {
    // The words of every other bit are these, rotated.
    const BIT: Schedule = of_low_half(1);
    BIT[t] != 0
}

/// What the lanes share of the schedule, once there are lanes. No secret: all of it follows from the counter.
pub(crate) struct Shared(Option<Words>);

/// The words of the lanes that begin with the counter `first`.
pub(super) struct Words {
    first: u64,
    /// `W[t](first)`, or its sum with `K[t]` where `W[t]` does not [vary](varies).
    pub(super) words: Schedule,
    /// As [`constant`]; the compiler, which does not know them here, adds them where they delay nothing.
    pub(super) constants: [u32; 4],
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// The words of the lanes that begin with `first`. Cheap if these are near the lanes before.
    #[inline(always)]
    pub(super) fn at(&mut self, first: u64) -> &Words {
        const NO_HIGH_HALF: Words = Words::of_high_half(0);
        let words = self.0.get_or_insert(NO_HIGH_HALF);
        let high = (first >> 32) as u32;
        if words.first >> 32 != u64::from(high) {
            *words = Words::of_high_half(high);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the low half")]
        words.flip((words.first ^ first) as u32);
        words.first = first;
        words
    }
}

impl Words {
    /// Of the counter whose low half is 0.
    #[expect(clippy::indexing_slicing, reason = "t < 80")]
    const fn of_high_half(high: u32) -> Self {
        let end = 0x8000_0000;
        let mut words = schedule([high, 0, end, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, INNER_BITS]);
        let mut t = 0;
        while t < ROUNDS {
            if !varies(t) {
                words[t] = words[t].wrapping_add(constant(t));
            }
            t += 1;
        }
        Self {
            first: (high as u64) << 32,
            words,
            constants: CONSTANTS,
        }
    }

    /// Changes bits of the counter's low half.
    #[inline(always)]
    fn flip(&mut self, mut bits: u32) {
        while let Some(words) = BITS.get(bits.trailing_zeros() as usize) {
            self.words.iter_mut().zip(words).for_each(|(w, bit)| *w ^= bit);
            bits &= bits.wrapping_sub(1);
        }
    }
}

/// One of the rounds 0 to 19, with the sum of word and constant.
pub(super) fn round([a, b, c, d, e]: State, word: u32) -> State {
    let f = d ^ (b & (c ^ d));
    let sum = word.wrapping_add(e).wrapping_add(f);
    [sum.wrapping_add(a.rotate_left(5)), a, b.rotate_left(30), c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 3174 §6.1, step b, word by word.
    fn by_the_book(counter: u64) -> Schedule {
        let mut w = [0; ROUNDS];
        w[0] = u32::try_from(counter >> 32).unwrap();
        w[1] = u32::try_from(counter & 0xffff_ffff).unwrap();
        (w[2], w[15]) = (1 << 31, INNER_BITS);
        for t in 16..ROUNDS {
            w[t] = (w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]).rotate_left(1);
        }
        w
    }

    proptest! {
        /// Jumps of any length, on and back, and steps from one group to the next.
        #[test]
        fn the_parts_make_up_the_schedule(
            counters in prop::collection::vec((any::<u64>(), prop::option::of(0..8_u64)), 1..8),
        ) {
            let mut shared = Shared::new();
            let mut before = 0_u64;
            for (anywhere, near) in counters {
                let counter = near.map_or(anywhere, |groups| before.wrapping_add(groups * GROUP as u64));
                let first = counter & !(GROUP as u64 - 1);
                let shared = shared.at(first);
                for lane in 0..GROUP {
                    let expected = by_the_book(first | lane as u64);
                    for (t, lanes) in LANES.iter().enumerate() {
                        let word = shared.words[t] ^ lanes[lane];
                        let added = if varies(t) { 0 } else { shared.constants[t / 20] };
                        prop_assert_eq!(word, expected[t].wrapping_add(added), "{} {} {}", first, lane, t);
                    }
                }
                before = first;
            }
        }
    }

    #[test]
    fn thirty_two_words_are_the_same_in_all_lanes() {
        assert_eq!((0..ROUNDS).filter(|t| !varies(*t)).count(), 32);
        for (t, lanes) in LANES.iter().enumerate() {
            assert_eq!(varies(t), *lanes != [0; GROUP], "{t}");
        }
    }
}
