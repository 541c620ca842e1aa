//! HMAC-SHA-1 and dynamic truncation, written once for registers of any width.

/// Rounds of SHA-1 one after the other, their numbers known at compile time.
macro_rules! rounds {
    ($state:ident, $schedule:ident: $($t:literal)*) => {
        $($state = round::<$t>($state, &mut $schedule);)*
    };
}

/// Defines `truncated` from the operations on `Vector` that the calling module has.
///
/// Nothing here depends on the values in the lanes: no branch, no address.
macro_rules! hmac_sha1 {
    ($feature:tt) => {
        use crate::hmac_sha1::{INNER_BITS, OUTER_BITS, State};

        /// The number of each lane.
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "lane < LANES <= 16")]
        const LANE: [u32; LANES] = {
            let mut lanes = [0; LANES];
            let mut lane = 0;
            while lane < LANES {
                lanes[lane] = lane as u32;
                lane += 1;
            }
            lanes
        };

        /// `DT(HMAC-SHA-1(K, C))` (RFC 4226 §5.3) of the counters from `first` on, a multiple of the number of
        /// lanes, from the states of the key.
        #[target_feature(enable = $feature)]
        pub(super) fn truncated(inner: &State, outer: &State, first: u64) -> [u32; LANES] {
            let (zero, end) = (splat(0), splat(0x8000_0000));
            let mut message = [zero; 16];
            #[expect(clippy::cast_possible_truncation, reason = "the halves of the counter")]
            {
                message[0] = splat((first >> 32) as u32);
                // The low bits of `first` are 0: no carry goes into the high half.
                message[1] = or(splat(first as u32), load(LANE));
            }
            message[2] = end;
            message[15] = splat(INNER_BITS);
            let [h0, h1, h2, h3, h4] = compress::<INNER_BITS>(inner, message);
            let bits = splat(OUTER_BITS);
            let message = [
                h0, h1, h2, h3, h4, end, zero, zero, zero, zero, zero, zero, zero, zero, zero, bits,
            ];
            store(truncate(compress::<OUTER_BITS>(outer, message)))
        }

        /// SHA-1's compression (RFC 3174 §6.1): every lane starts from `state` and has a block of its own.
        ///
        /// The parameter makes an instance for each message: inlined, its constant words cost nothing.
        #[target_feature(enable = $feature)]
        #[inline]
        fn compress<const BITS: u32>(state: &State, mut w: [Vector; 16]) -> [Vector; 5] {
            let start = [
                splat(state[0]),
                splat(state[1]),
                splat(state[2]),
                splat(state[3]),
                splat(state[4]),
            ];
            let mut s = start;
            rounds!(s, w: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
            rounds!(s, w: 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
            rounds!(s, w: 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
            rounds!(s, w: 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
            [
                add(start[0], s[0]),
                add(start[1], s[1]),
                add(start[2], s[2]),
                add(start[3], s[3]),
                add(start[4], s[4]),
            ]
        }

        /// Round `T` of SHA-1 on the five working variables; `w` holds the last sixteen words of the message
        /// schedule.
        #[target_feature(enable = $feature)]
        #[inline]
        #[expect(clippy::indexing_slicing, reason = "every index is taken modulo 16")]
        fn round<const T: usize>([a, b, c, d, e]: [Vector; 5], w: &mut [Vector; 16]) -> [Vector; 5] {
            if T >= 16 {
                let mixed = xor(
                    parity(w[(T + 13) % 16], w[(T + 8) % 16], w[(T + 2) % 16]),
                    w[T % 16],
                );
                w[T % 16] = rotate::<1, 31>(mixed);
            }
            let (f, k) = match T {
                0..20 => (choose(b, c, d), 0x5a82_7999),
                20..40 => (parity(b, c, d), 0x6ed9_eba1),
                40..60 => (majority(b, c, d), 0x8f1b_bcdc),
                _ => (parity(b, c, d), 0xca62_c1d6),
            };
            // The newest operand last: the next round waits for this sum.
            let sum = add(add(add(w[T % 16], splat(k)), e), f);
            [add(sum, rotate::<5, 27>(a)), a, rotate::<30, 2>(b), c, d]
        }

        /// Dynamic truncation `DT` to 31 bits (RFC 4226 §5.3).
        ///
        /// The four octets from `offset` on are the low end of one word and the high end of the next.
        #[target_feature(enable = $feature)]
        #[inline]
        fn truncate([h0, h1, h2, h3, h4]: [Vector; 5]) -> Vector {
            let offset = and(h4, splat(0x0f));
            let bits = shift_left(and(offset, splat(3)), splat(3));
            let word = shift_right(offset, splat(2));
            let (mut high, mut low) = (h0, h1);
            for (index, pair) in [(1, (h1, h2)), (2, (h2, h3)), (3, (h3, h4))] {
                high = where_equal(word, splat(index), pair.0, high);
                low = where_equal(word, splat(index), pair.1, low);
            }
            // A shift by 32 gives 0: right for octets that begin with a word.
            let low = shift_right(low, subtract(splat(32), bits));
            and(or(shift_left(high, bits), low), splat(0x7fff_ffff))
        }
    };
}
