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
//! `W` in turn is computed from the beginning once in a search. From one group of lanes to the next some low
//! bits of the counter change, and each of them changes the words by the schedule of this bit, another table.

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

/// The words of a block that is 0 but for the low half of the counter.
#[expect(clippy::indexing_slicing, reason = "t < 80")]
const fn of_low_half(low: u32) -> Schedule {
    let mut w = [0; ROUNDS];
    w[1] = low;
    let mut t = 16;
    while t < ROUNDS {
        w[t] = (w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]).rotate_left(1);
        t += 1;
    }
    w
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

/// `K[t]` where `W[t]` does not [vary](varies), else 0.
#[expect(clippy::indexing_slicing, reason = "t < 80")]
const ADDED: Schedule = {
    let mut added = [0; ROUNDS];
    let mut t = 0;
    while t < ROUNDS {
        if !varies(t) {
            added[t] = constant(t);
        }
        t += 1;
    }
    added
};

/// What the lanes share of the schedule. No secret: all of it follows from the counter.
pub(crate) struct Shared {
    first: Option<u64>,
    /// `W[t](first)`, or its sum with `K[t]` where `W[t]` does not [vary](varies).
    pub(super) words: Schedule,
    /// As [`constant`]; the compiler, which does not know them here, adds them where they delay nothing.
    pub(super) constants: [u32; 4],
}

impl Shared {
    /// Of no counter yet.
    pub(crate) fn new() -> Self {
        Self {
            first: None,
            words: [0; ROUNDS],
            constants: CONSTANTS,
        }
    }

    /// Goes to the lanes that begin with `first`. Cheap if they are near those before.
    #[inline(always)]
    pub(super) fn go_to(&mut self, first: u64) {
        match self.first.map(|before| u32::try_from(before ^ first)) {
            Some(Ok(changed)) => self.flip(changed),
            _ => self.expand(first),
        }
        self.first = Some(first);
    }

    /// Changes bits of the counter's low half.
    #[inline(always)]
    fn flip(&mut self, mut bits: u32) {
        while let Some(words) = BITS.get(bits.trailing_zeros() as usize) {
            self.words.iter_mut().zip(words).for_each(|(w, bit)| *w ^= bit);
            bits &= bits.wrapping_sub(1);
        }
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "every index is below 16")]
    fn expand(&mut self, counter: u64) {
        let mut w = [0; 16];
        #[expect(clippy::cast_possible_truncation, reason = "the halves of the counter")]
        let (high, low) = ((counter >> 32) as u32, counter as u32);
        (w[0], w[1], w[2], w[15]) = (high, low, 0x8000_0000, INNER_BITS);
        let sixteens = self.words.as_chunks_mut::<16>().0.iter_mut();
        for (words, added) in sixteens.zip(ADDED.as_chunks::<16>().0) {
            for t in 0..16 {
                words[t] = w[t].wrapping_add(added[t]);
            }
            for t in 0..16 {
                let mixed = w[(t + 13) % 16] ^ w[(t + 8) % 16] ^ w[(t + 2) % 16] ^ w[t];
                w[t] = mixed.rotate_left(1);
            }
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
                shared.go_to(first);
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
