//! Patterns of names and values, in which `*` stands for whatever is there.

use std::fmt;

/// Octets in which `*` stands for any octets, none included. Nothing else is special, and everything else is compared octet by octet.
///
/// Matching takes time in proportion to what is matched and to the pattern, whatever these are.
///
/// ```
/// # use otp_validation::Pattern;
/// let guests = Pattern::glob(b"*:guest");
/// assert!(guests.matches(b"00-11-22-33-44-55:guest"));
/// assert!(!guests.matches(b"00-11-22-33-44-55:guests"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What the octets begin with; all of them if nothing follows.
    first: Vec<u8>,
    rest: Option<Rest>,
}

/// What follows the first `*`.
#[derive(Clone, PartialEq, Eq)]
struct Rest {
    /// Between two `*`, in this order; none is empty.
    middle: Vec<Piece>,
    /// What the octets end with.
    last: Vec<u8>,
}

impl Pattern {
    /// Exactly these octets.
    pub fn exact(octets: impl Into<Vec<u8>>) -> Self {
        Self {
            first: octets.into(),
            rest: None,
        }
    }

    /// These octets, in which every `*` stands for any octets.
    pub fn glob(octets: &[u8]) -> Self {
        Self::of_pieces(octets.split(|octet| *octet == b'*'))
    }

    /// The pieces with a `*` between each two: one piece is the whole, of none it is nothing.
    pub fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut pieces = pieces.into_iter();
        let first = pieces.next().unwrap_or_default().to_vec();
        let mut others: Vec<_> = pieces.collect();
        let rest = others.pop().map(|last| Rest {
            middle: others
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .map(Piece::new)
                .collect(),
            last: last.to_vec(),
        });
        Self { first, rest }
    }

    /// What [`of_pieces`](Self::of_pieces) makes this pattern of.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let rest = self.rest.iter().flat_map(|rest| {
            let middle = rest.middle.iter().map(|piece| piece.octets.as_slice());
            middle.chain([rest.last.as_slice()])
        });
        std::iter::once(self.first.as_slice()).chain(rest)
    }

    /// This pattern behind exactly these octets.
    #[must_use]
    pub fn behind(mut self, octets: &[u8]) -> Self {
        self.first.splice(..0, octets.iter().copied());
        self
    }

    /// Whether all of `octets` are as the pattern says.
    pub fn matches(&self, octets: &[u8]) -> bool {
        let Some(after) = octets.strip_prefix(self.first.as_slice()) else {
            return false;
        };
        let Some(Rest { middle, last }) = &self.rest else {
            return after.is_empty();
        };
        let Some(mut between) = after.strip_suffix(last.as_slice()) else {
            return false;
        };
        // The earliest place leaves the most to those that follow.
        middle.iter().all(|piece| {
            let found = piece.find(between);
            between = found.unwrap_or_default();
            found.is_some()
        })
    }
}

/// As it is written, apart from octets that are not printed.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.pieces().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "*" }, piece.escape_ascii())?;
        }
        Ok(())
    }
}

/// Octets to be found among others, by the algorithm of Knuth, Morris and Pratt.
#[derive(Clone, PartialEq, Eq)]
struct Piece {
    octets: Vec<u8>,
    /// For every beginning of `octets`: the length of its longest end, other than itself, that `octets` begin with.
    borders: Vec<usize>,
}

impl Piece {
    fn new(octets: &[u8]) -> Self {
        let mut piece = Self {
            octets: octets.to_vec(),
            borders: vec![0],
        };
        let mut border = 0;
        for octet in octets.iter().skip(1) {
            border = piece.step(border, *octet);
            piece.borders.push(border);
        }
        piece
    }

    /// How much of the piece stands at the end of what was read, after `octet`, if it was `matched` before.
    fn step(&self, mut matched: usize, octet: u8) -> usize {
        while self.octets.get(matched) != Some(&octet) {
            let shorter = matched.checked_sub(1).and_then(|last| self.borders.get(last));
            match shorter {
                Some(shorter) => matched = *shorter,
                None => return 0,
            }
        }
        matched.saturating_add(1)
    }

    /// What follows the first place of the piece in `octets`.
    fn find<'a>(&self, octets: &'a [u8]) -> Option<&'a [u8]> {
        let mut matched = 0;
        let mut rest = octets;
        while let Some((octet, after)) = rest.split_first() {
            rest = after;
            matched = self.step(matched, *octet);
            if matched == self.octets.len() {
                return Some(rest);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_whatever_is_there() {
        for (pattern, fits, others) in [
            ("vpn", &["vpn"][..], &["", "vpn1", "avpn", "VPN"][..]),
            ("*", &["", "x", "*"], &[]),
            ("vpn-*", &["vpn-", "vpn-1", "vpn-*"], &["vpn", "a-vpn-1"]),
            ("*-x", &["-x", "a-x", "a-x-x"], &["a-xy", "x"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a*b*c", &["abc", "axbxc", "abbc", "acbc"], &["acb", "ac"]),
            ("a**b", &["ab", "a*b", "axb"], &["a"]),
            ("*aab*aab*", &["aabaab", "xaaabxaaabx"], &["aabab", "aab"]),
            ("", &[""], &["x"]),
        ] {
            let pattern = Pattern::glob(pattern.as_bytes());
            for text in fits {
                assert!(pattern.matches(text.as_bytes()), "{pattern:?} {text}");
            }
            for text in others {
                assert!(!pattern.matches(text.as_bytes()), "{pattern:?} {text}");
            }
        }
        assert!(!Pattern::exact(*b"a*").matches(b"ab"));
        assert!(Pattern::glob(b"b*").behind(b"*").matches(b"*bc"));
        assert!(!Pattern::glob(b"b*").behind(b"*").matches(b"abc"));
    }

    /// A search that begins anew at every place would take a hundred thousand million steps here.
    #[test]
    fn time_does_not_depend_on_how_much_is_alike() {
        let alike = vec![b'a'; 1_000_000];
        let mut needle = vec![b'a'; 500_000];
        needle.push(b'b');
        let pattern = Pattern::of_pieces([&b""[..], &needle, &b""[..]]);
        assert!(!pattern.matches(&alike));
    }

    /// The definition, letter by letter.
    fn naive(pattern: &[u8], octets: &[u8]) -> bool {
        match (pattern.split_first(), octets.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) if naive(rest, octets) => true,
            (Some((b'*', _)), Some((_, after))) => naive(pattern, after),
            (Some((wanted, rest)), Some((found, after))) => wanted == found && naive(rest, after),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn it_matches_what_its_definition_says(pattern in "[ab]{0,2}([*][ab]{0,4}){0,3}", octets in "[ab]{0,14}") {
            let (pattern, octets) = (pattern.as_bytes(), octets.as_bytes());
            prop_assert_eq!(Pattern::glob(pattern).matches(octets), naive(pattern, octets));
        }
    }

    proptest! {
        #[test]
        fn pieces_make_the_same_pattern_again(octets in prop::collection::vec(any::<u8>(), 0..40), pattern in "[ab*]{0,9}") {
            for pattern in [Pattern::glob(&octets), Pattern::exact(octets.clone()), Pattern::glob(pattern.as_bytes())] {
                prop_assert_eq!(Pattern::of_pieces(pattern.pieces()), pattern);
            }
            prop_assert!(Pattern::glob(&octets).matches(&octets));
            prop_assert!(Pattern::exact(octets.clone()).matches(&octets));
        }
    }
}
