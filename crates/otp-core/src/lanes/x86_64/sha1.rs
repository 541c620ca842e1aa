//! HMAC-SHA-1 and dynamic truncation, written once for registers of any width.

/// Rounds of SHA-1 one after the other, their numbers known at compile time.
macro_rules! rounds {
    ($state:ident = $round:ident($schedule:ident): $($t:literal)*) => {
        $($state = $round::<$t>($state, $schedule);)*
    };
}

/// Defines `truncated` and `multiples` from the operations on `Vector` that the calling module has.
///
/// Nothing here depends on the values in the lanes: no branch, no address.
macro_rules! hmac_sha1 {
    ($feature:tt) => {
        use crate::hmac_sha1::{OUTER_BITS, State};
        use crate::lanes::schedule::{self, Shared, Words, constant};
        use crate::search;

        /// `DT(HMAC-SHA-1(K, C))` (RFC 4226 §5.3) of the counters from `first` on, a multiple of the number of
        /// lanes, from the states of the key.
        #[target_feature(enable = $feature)]
        pub(super) fn truncated(
            inner: &State,
            outer: &State,
            shared: &mut Shared,
            first: u64,
        ) -> [u32; LANES] {
            let digest = inner_digest(inner, at(shared, first));
            // The next lanes are the next ones most likely. Their words are done while the outer block is.
            at(shared, first.wrapping_add(LANES as u64));
            store(truncate(outer_digest(outer, digest)))
        }

        /// Not inlined: words in memory go into all lanes for nothing, words elsewhere by an operation each.
        #[target_feature(enable = $feature)]
        #[inline(never)]
        fn at(shared: &mut Shared, first: u64) -> &Words {
            shared.at(first)
        }

        /// SHA-1's compression (RFC 3174 §6.1) of the block of each lane's counter.
        ///
        /// Rounds 0 and 1 are those of the first lane: what round 1 adds in the others is their number. After
        /// them one of the working variables tells the lanes apart, and one more after each round.
        #[target_feature(enable = $feature)]
        #[inline]
        fn inner_digest(state: &State, shared: &Words) -> [Vector; 5] {
            let w = &shared.words;
            let s = schedule::round(*state, w[0]);
            let [a, b, c, d, e] = schedule::round(s, w[1].wrapping_add(constant(1)));
            let a = add(splat(a), lanes::<1>());
            let [rest, _, c, d, e] = schedule::round([0, b, c, d, e], w[2]);
            let next = add(splat(rest), rotate::<5, 27>(a));
            let mut s = [next, a, splat(c), splat(d), splat(e)];
            s = round_of_sum::<3>(s, splat(w[3].wrapping_add(e)));
            s = round_of_sum::<4>(s, splat(w[4].wrapping_add(d)));
            s = round_of_sum::<5>(s, splat(w[5].wrapping_add(c)));
            rounds!(s = inner_round(shared): 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
            rounds!(s = inner_round(shared): 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
            rounds!(s = inner_round(shared): 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
            rounds!(s = inner_round(shared): 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
            chained(state, s)
        }

        /// SHA-1's compression of the block of each lane's inner digest, begun as that of the inner block: round
        /// 0 with a word of 0, to which that of each lane is added.
        #[target_feature(enable = $feature)]
        #[inline]
        fn outer_digest(state: &State, [h0, h1, h2, h3, h4]: [Vector; 5]) -> [Vector; 5] {
            let (zero, end, bits) = (splat(0), splat(0x8000_0000), splat(OUTER_BITS));
            let w = &mut [
                h0, h1, h2, h3, h4, end, zero, zero, zero, zero, zero, zero, zero, zero, zero, bits,
            ];
            let [a, b, c, d, e] = schedule::round(*state, constant(0));
            let a = add(splat(a), h0);
            let [rest, _, c, d, e] = schedule::round([0, b, c, d, e], constant(1));
            let next = add(add(h1, splat(rest)), rotate::<5, 27>(a));
            let mut s = [next, a, splat(c), splat(d), splat(e)];
            s = round_of_sum::<2>(s, add(h2, splat(constant(2).wrapping_add(e))));
            s = round_of_sum::<3>(s, add(h3, splat(constant(3).wrapping_add(d))));
            s = round_of_sum::<4>(s, add(h4, splat(constant(4).wrapping_add(c))));
            rounds!(s = outer_round(w): 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
            rounds!(s = outer_round(w): 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
            rounds!(s = outer_round(w): 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
            rounds!(s = outer_round(w): 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
            chained(state, s)
        }

        #[target_feature(enable = $feature)]
        #[inline]
        fn chained(state: &State, s: [Vector; 5]) -> [Vector; 5] {
            [
                add(splat(state[0]), s[0]),
                add(splat(state[1]), s[1]),
                add(splat(state[2]), s[2]),
                add(splat(state[3]), s[3]),
                add(splat(state[4]), s[4]),
            ]
        }

        /// Round `T` with the word that [`schedule`] takes apart.
        #[target_feature(enable = $feature)]
        #[inline]
        #[expect(clippy::indexing_slicing, reason = "T < 80")]
        fn inner_round<const T: usize>(s: [Vector; 5], shared: &Words) -> [Vector; 5] {
            let word = splat(shared.words[T]);
            if schedule::varies(T) {
                round::<T>(s, add(xor(lanes::<T>(), word), splat(shared.constants[T / 20])))
            } else {
                round::<T>(s, word)
            }
        }

        /// What tells the lanes' words of round `T` apart.
        #[target_feature(enable = $feature)]
        #[inline]
        #[expect(clippy::indexing_slicing, reason = "T < 80")]
        fn lanes<const T: usize>() -> Vector {
            load(schedule::LANES[T].first_chunk().copied().unwrap_or([0; LANES]))
        }

        /// Round `T`; `w` holds the last sixteen words of the message schedule.
        #[target_feature(enable = $feature)]
        #[inline]
        #[expect(clippy::indexing_slicing, reason = "every index is taken modulo 16")]
        fn outer_round<const T: usize>(s: [Vector; 5], w: &mut [Vector; 16]) -> [Vector; 5] {
            if T >= 16 {
                // The newest word last.
                let mixed = xor(xor(w[(T + 8) % 16], w[(T + 2) % 16]), w[T % 16]);
                w[T % 16] = rotate::<1, 31>(xor(mixed, w[(T + 13) % 16]));
            }
            round::<T>(s, add(w[T % 16], splat(constant(T))))
        }

        /// Round `T` of SHA-1 on the five working variables, with the sum of word and constant.
        #[target_feature(enable = $feature)]
        #[inline]
        fn round<const T: usize>(s: [Vector; 5], word: Vector) -> [Vector; 5] {
            round_of_sum::<T>(s, add(word, s[4]))
        }

        /// Round `T` with the sum of word, constant and the fifth variable.
        #[target_feature(enable = $feature)]
        #[inline]
        fn round_of_sum<const T: usize>([a, b, c, d, _]: [Vector; 5], sum: Vector) -> [Vector; 5] {
            let f = match T {
                0..20 => choose(b, c, d),
                40..60 => majority(b, c, d),
                _ => parity(b, c, d),
            };
            // The newest operand last: the next round waits for this sum.
            [
                add(add(sum, f), rotate::<5, 27>(a)),
                a,
                rotate::<30, 2>(b),
                c,
                d,
            ]
        }

        /// Dynamic truncation `DT` to 31 bits (RFC 4226 §5.3).
        ///
        /// The four octets from the offset on are the low end of one word and the high end of the next. Bits 3
        /// and 2 of the offset count words, bits 1 and 0 octets.
        #[target_feature(enable = $feature)]
        #[inline]
        fn truncate([h0, h1, h2, h3, h4]: [Vector; 5]) -> Vector {
            let h0 = where_bit::<3>(h4, h2, h0);
            let h1 = where_bit::<3>(h4, h3, h1);
            let h2 = where_bit::<3>(h4, h4, h2);
            let high = where_bit::<2>(h4, h1, h0);
            let low = where_bit::<2>(h4, h2, h1);
            let bits = shift_left(and(h4, splat(3)), splat(3));
            // A shift by 32 gives 0: right for octets that begin with a word.
            let low = shift_right(low, subtract(splat(32), bits));
            and(or(shift_left(high, bits), low), splat(0x7fff_ffff))
        }

        /// [`search::multiples`], compiled for these registers.
        #[target_feature(enable = $feature)]
        pub(super) fn multiples<const D: u32>(values: &[u32], number: u32) -> u32 {
            search::multiples::<D>(values, number)
        }
    };
}
