//! What the searches share: candidates in blocks, comparison and selection in constant time.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::Zeroize;

use crate::lanes::Detected;
use crate::{Digits, Otp, Verdict};

/// The largest moving factor that a search accepts. Its successor must still be a `u64`, for that is what the
/// state holds once it is spent.
pub(crate) const LAST: u64 = u64::MAX - 1;

/// Moving factors that a search looks at together.
pub(crate) const BLOCK: usize = 32;

/// Moving factors whose truncated HMACs are computed at once: as many as the widest registers have lanes.
pub(crate) const GROUP: usize = 16;

/// The truncated HMACs (RFC 4226 §5.3) of consecutive moving factors, at most [`BLOCK`].
pub(crate) struct Block<'a> {
    pub(crate) first: u64,
    pub(crate) values: &'a [u32],
    /// The registers in which the values are compared.
    pub(crate) lanes: Detected,
}

/// Which moving factors of a [`Block`] hit: bit `i` stands for the factor `first + i`. The bits are secret.
#[derive(Clone, Copy)]
pub(crate) struct Hits(u32);

impl Hits {
    /// Those that hit right after one of `first`, or as the first of the block right after the `carry` of the
    /// block before.
    pub(crate) fn after(self, first: Self, carry: u32) -> Self {
        Self(self.0 & (first.0 << 1 | carry))
    }

    /// 1 if the last factor of a block hit, else 0.
    pub(crate) fn carry(self, block: &Block<'_>) -> u32 {
        match block.values.len().checked_sub(1) {
            Some(last) => self.0 >> last & 1,
            None => 0,
        }
    }
}

/// The code that a search looks for, in the form in which candidates are compared with it.
pub(crate) struct Wanted {
    number: u32,
    /// All ones, or 0 for a code that no candidate equals.
    possible: u32,
    digits: Digits,
}

impl Wanted {
    /// A code of another length than `digits` is looked for like any other, and never found.
    pub(crate) fn new(otp: &Otp, digits: Digits) -> Self {
        let same_length = Choice::from(u8::from(otp.digits() == digits));
        let number = otp.number();
        Self {
            number: number.unwrap_or(0),
            possible: u32::conditional_select(&0, &u32::MAX, number.is_some() & same_length),
            digits,
        }
    }

    /// Compares the code with every value of the block, in constant time.
    pub(crate) fn hits(&self, block: &Block<'_>) -> Hits {
        let (values, lanes) = (block.values, block.lanes);
        let bits = match self.digits.get() {
            6 => lanes.multiples::<6>(values, self.number),
            7 => lanes.multiples::<7>(values, self.number),
            _ => lanes.multiples::<8>(values, self.number),
        };
        Hits(bits & self.possible)
    }
}

/// Which of the values, at most [`BLOCK`], have the last `D` digits of the number, which has no more.
///
/// A value `v` below 2^31 has the last digits of a number `n` below 10^D if `v - n` is a multiple of 10^D,
/// and not negative. Multiples need no division to be told (Granlund and Montgomery, "Division by
/// Invariant Integers using Multiplication", §9): times the inverse of 5^D modulo 2^32 and rotated by D
/// bits, they become their quotient, and all other numbers become something larger than any quotient of
/// 32 bits. A negative `v - n` wraps to 2^32 - 10^D or more, whose quotient exceeds those of 31 bits.
#[inline(always)]
pub(crate) fn multiples<const D: u32>(values: &[u32], number: u32) -> u32 {
    let inverse = const { inverse_of_power_of_five(D) };
    let quotients = const { (1 << 31) / 10_u32.pow(D) + 1 };
    let bits = |values: &[u32]| {
        let mut bits = 0;
        for (place, value) in values.iter().enumerate() {
            let difference = value.wrapping_sub(number);
            let quotient = difference.wrapping_mul(inverse).rotate_right(D);
            // The top bits say whether it is less than `quotients`, without a branch.
            let hit = (quotient.wrapping_sub(quotients) & !quotient) >> 31;
            bits |= hit << place;
        }
        bits
    };
    // Of whole groups the compiler makes vectors, if there are any.
    let (groups, rest) = values.as_chunks::<GROUP>();
    let mut hits = bits(rest);
    for group in groups.iter().rev() {
        hits = hits << GROUP | bits(group);
    }
    hits
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.number.zeroize();
    }
}

/// The inverse of 5^`power` modulo 2^32.
const fn inverse_of_power_of_five(power: u32) -> u32 {
    let number = 5_u32.pow(power);
    // Newton: each step doubles the low bits that are right, of which an odd number has three to begin with.
    let mut inverse = number;
    let mut right = 3;
    while right < u32::BITS {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(number.wrapping_mul(inverse)));
        right *= 2;
    }
    inverse
}

/// The nearest hits so far, on either side of the centre. Blocks are offered in ascending order; none of the
/// work depends on which factors hit.
struct Nearest {
    /// The last hit at or before the centre.
    before: Found,
    /// The first hit after it.
    after: Found,
}

struct Found {
    found: Choice,
    factor: u64,
}

impl Found {
    const NOTHING: fn() -> Self = || Self {
        found: Choice::from(0),
        factor: 0,
    };

    fn replace(&mut self, found: Choice, factor: u64) {
        self.factor.conditional_assign(&factor, found);
        self.found |= found;
    }
}

impl Nearest {
    fn new() -> Self {
        Self {
            before: Found::NOTHING(),
            after: Found::NOTHING(),
        }
    }

    /// Hits of a block that begins with `first`. What the block has no factors of, by `mask_before` and
    /// `mask_after`, is passed over; the masks are no secrets.
    fn offer(&mut self, first: u64, hits: u32, mask_before: u32, mask_after: u32) {
        // The bit that is set in addition keeps the counts below 32 and decides nothing.
        if mask_before != 0 {
            let hits = hits & mask_before;
            let last = 31_u32.saturating_sub((hits | 1).leading_zeros());
            self.before
                .replace(!hits.ct_eq(&0), first.saturating_add(last.into()));
        }
        if mask_after != 0 {
            let hits = hits & mask_after;
            let lowest = (hits | 1 << 31).trailing_zeros();
            let found = !hits.ct_eq(&0) & !self.after.found;
            self.after.replace(found, first.saturating_add(lowest.into()));
        }
    }

    /// The nearer one; of two equally near the later.
    fn hit(mut self, centre: u64) -> Option<u64> {
        let distance_before = centre.abs_diff(self.before.factor);
        let distance_after = centre.abs_diff(self.after.factor);
        let later = self.after.found & (!self.before.found | !distance_after.ct_gt(&distance_before));
        self.before.replace(later, self.after.factor);
        bool::from(self.before.found).then_some(self.before.factor)
    }
}

/// Two searches in one: over the moving factors that may still be accepted, and over those that are spent.
///
/// Its parameters follow from the state and the clock, which are no secrets.
pub(crate) struct Selection {
    fresh_from: u64,
    centre: u64,
    fresh: Nearest,
    spent: Nearest,
}

impl Selection {
    /// A factor is fresh from `fresh_from` on; hits are ordered by their distance from `centre`.
    pub(crate) fn new(fresh_from: u64, centre: u64) -> Self {
        Self {
            fresh_from,
            centre,
            fresh: Nearest::new(),
            spent: Nearest::new(),
        }
    }

    /// The next block of at most [`BLOCK`] factors, in ascending order.
    pub(crate) fn offer(&mut self, first: u64, Hits(hits): Hits) {
        let all = below(0, BLOCK as u64);
        let spent = below(first, self.fresh_from);
        let before = below(first, self.centre.saturating_add(1));
        self.fresh
            .offer(first, hits, all & !spent & before, all & !spent & !before);
        self.spent.offer(first, hits, spent & before, spent & !before);
    }

    /// A code that is the code of a fresh factor and of a spent one is fresh, at the fresh factor.
    pub(crate) fn verdict<M>(self, fresh: impl FnOnce(u64) -> M, spent: impl FnOnce(u64) -> M) -> Verdict<M> {
        match (self.fresh.hit(self.centre), self.spent.hit(self.centre)) {
            (Some(factor), _) => Verdict::Fresh(fresh(factor)),
            (None, Some(factor)) => Verdict::Replayed(spent(factor)),
            (None, None) => Verdict::Unmatched,
        }
    }
}

/// The bits of a block that begins with `first` whose factors are below `end`.
fn below(first: u64, end: u64) -> u32 {
    u32::try_from(end.saturating_sub(first))
        .ok()
        .and_then(|count| 1_u32.checked_shl(count))
        .map_or(u32::MAX, |bit| bit.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Lanes;

    proptest! {
        #[test]
        fn a_hit_is_an_equal_code(
            digits in 6..=8_u8,
            wanted in 0..1_u32 << 31,
            values in prop::array::uniform32(0..1_u32 << 31),
            len in 0..=BLOCK,
            equal in 0..BLOCK,
            quotient in 0..=2147_u32,
        ) {
            let digits = Digits::try_from(digits).unwrap();
            let modulus = 10_u32.pow(digits.get().into());
            let mut values = values;
            // One that is equal, wherever that is 31 bits.
            let same_digits = u64::from(wanted % modulus) + u64::from(quotient) * u64::from(modulus);
            values[equal] = u32::try_from(same_digits).unwrap_or(wanted) & 0x7fff_ffff;
            let code = Otp::from_truncated(wanted, digits);
            for limit in [Lanes::One, Lanes::Eight, Lanes::Sixteen] {
                let lanes = Detected::at_most(limit);
                let hits = Wanted::new(&code, digits).hits(&Block { first: 0, values: &values[..len], lanes });
                for (place, value) in values.iter().enumerate() {
                    let hit = place < len && value % modulus == wanted % modulus;
                    prop_assert_eq!(hits.0 >> place & 1 == 1, hit, "{:?}, {}", limit, place);
                }
            }
        }
    }

    /// The difference wraps to a multiple of the modulus there.
    #[test]
    fn a_smaller_value_is_no_hit() {
        for digits in [Digits::SIX, Digits::SEVEN, Digits::EIGHT] {
            let modulus = 10_u64.pow(digits.get().into());
            let wrapped = u32::try_from((1 << 32) % modulus).unwrap();
            let code = Otp::from_truncated(wrapped, digits);
            for limit in [Lanes::One, Lanes::Eight, Lanes::Sixteen] {
                let hits = Wanted::new(&code, digits).hits(&Block {
                    first: 0,
                    values: &[0, wrapped],
                    lanes: Detected::at_most(limit),
                });
                assert_eq!(hits.0, 0b10, "{digits}");
            }
        }
    }

    /// The order of the contract: fresh before spent, then nearest first, of two equally near the later.
    fn naive(hits: &[u64], fresh_from: u64, centre: u64) -> Verdict<u64> {
        let nearest = |fresh: bool| {
            let side = hits.iter().copied().filter(|hit| (*hit >= fresh_from) == fresh);
            side.min_by_key(|hit| (hit.abs_diff(centre), hit < &centre))
        };
        match (nearest(true), nearest(false)) {
            (Some(hit), _) => Verdict::Fresh(hit),
            (None, Some(hit)) => Verdict::Replayed(hit),
            (None, None) => Verdict::Unmatched,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn the_selection_keeps_the_order(
            first in prop_oneof![0..100_u64, (0..64_u64).prop_map(|below| LAST - 160 - below)],
            masks in prop::collection::vec(prop_oneof![Just(0_u32), any::<u32>(), (0..32_u32).prop_map(|bit| 1 << bit)], 4),
            fresh_from in 0..140_u64,
            centre in 0..140_u64,
        ) {
            let (fresh_from, centre) = (first.saturating_add(fresh_from), first.saturating_add(centre));
            let mut selection = Selection::new(fresh_from, centre);
            let mut hits = alloc::vec::Vec::new();
            for (block, mask) in (first..).step_by(BLOCK).zip(masks) {
                selection.offer(block, Hits(mask));
                hits.extend((block..).take(BLOCK).enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, hit)| hit));
            }
            prop_assert_eq!(selection.verdict(|hit| hit, |hit| hit), naive(&hits, fresh_from, centre));
        }
    }

    #[test]
    fn no_value_equals_a_code_of_another_length_or_a_wiped_one() {
        let values = [0, 1, 1_000_000, 2_000_000_000];
        let block = Block {
            first: 0,
            values: &values,
            lanes: Detected::One,
        };
        let other = Otp::from_truncated(0, Digits::SEVEN);
        assert_eq!(Wanted::new(&other, Digits::SIX).hits(&block).0, 0);
        let mut wiped = Otp::from_truncated(0, Digits::SIX);
        assert_eq!(Wanted::new(&wiped, Digits::SIX).hits(&block).0, 0b1101);
        wiped.zeroize();
        assert_eq!(Wanted::new(&wiped, Digits::SIX).hits(&block).0, 0);
    }

    #[test]
    fn bits_below_an_end() {
        assert_eq!(below(10, 5), 0);
        assert_eq!(below(10, 10), 0);
        assert_eq!(below(10, 13), 0b111);
        assert_eq!(below(10, 42), u32::MAX);
        assert_eq!(below(0, u64::MAX), u32::MAX);
    }
}
