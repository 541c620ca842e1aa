//! Which lengths of values a decoder or a peer permits.
//!
//! In libkrad a row of its table decides, and a packet that breaks it is discarded whole, so a policy is also
//! what a reply to a KDC has to fit.

use crate::AttributeType;

/// Which value lengths are permitted, per attribute type.
///
/// Attributes have grown since RFC 2865, and an unknown attribute is no reason to drop a packet; libkrad
/// decides otherwise. It permits what its table permits and discards the whole packet for anything else, so
/// this policy also tells whether a reply can be read by a KDC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum LengthPolicy {
    /// Any attribute with a value of 0 to 253 octets.
    #[default]
    Rfc2865,
    /// The table of MIT libkrad 1.22, and like it blind to one or two octets after the attributes: even a
    /// well-formed empty attribute, if it is the last one, is not there.
    Libkrad,
    /// The table of MIT libkrad before 1.22. It differs in one row: a Message-Authenticator is not known, so a
    /// packet with one is refused.
    LibkradBefore1_22,
}

impl LengthPolicy {
    /// Whether an attribute of type `kind` may have a value of `length` octets on the wire.
    ///
    /// ```
    /// # use krad::{AttributeType, LengthPolicy};
    /// assert!(LengthPolicy::Libkrad.permits(AttributeType::REPLY_MESSAGE, 253));
    /// assert!(!LengthPolicy::Libkrad.permits(AttributeType::NAS_IPV6_ADDRESS, 16));
    /// ```
    #[must_use]
    pub fn permits(self, kind: AttributeType, length: usize) -> bool {
        match self {
            Self::Rfc2865 => length <= 253,
            Self::LibkradBefore1_22 if kind == AttributeType::MESSAGE_AUTHENTICATOR => length == 0,
            Self::Libkrad | Self::LibkradBefore1_22 => libkrad_permits(kind, length),
        }
    }

    /// How many octets at the end are not looked at, because no attribute with a value fits in them.
    pub(crate) const fn ignored_at_end(self) -> usize {
        match self {
            Self::Rfc2865 => 0,
            Self::Libkrad | Self::LibkradBefore1_22 => 2,
        }
    }
}

fn libkrad_permits(kind: AttributeType, length: usize) -> bool {
    match kind.0 {
        0 => false,
        1 | 11 | 18..=20 | 22 | 24 | 25 | 30..=35 | 39 | 63 => (1..=253).contains(&length),
        // Hidden; in the clear it is 1 to 128 octets.
        2 => (16..=128).contains(&length) && length.is_multiple_of(16),
        3 => length == 17,
        4..=10 | 12..=16 | 23 | 27..=29 | 37 | 38 | 61 | 62 => length == 4,
        26 | 60 => (5..=253).contains(&length),
        36 => length == 32,
        80 => length == 16,
        _ => length == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of libkrad's table, the Message-Authenticator as since 1.22: types, and the value lengths on the wire.
    /// Every type that is in none of them may be there without a value alone, but for type 0, which may not be there.
    const TABLE: [(&[u8], &[usize]); 7] = [
        (
            &[1, 11, 18, 19, 20, 22, 24, 25, 30, 31, 32, 33, 34, 35, 39, 63],
            &lengths::<1, 253>(),
        ),
        // 1 to 128 octets in the clear.
        (&[2], &[16, 32, 48, 64, 80, 96, 112, 128]),
        (&[3], &[17]),
        (
            &[
                4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 23, 27, 28, 29, 37, 38, 61, 62,
            ],
            &[4],
        ),
        (&[26, 60], &lengths::<5, 249>()),
        (&[36], &[32]),
        (&[80], &[16]),
    ];

    /// `COUNT` lengths from `FIRST` on.
    const fn lengths<const FIRST: usize, const COUNT: usize>() -> [usize; COUNT] {
        let mut lengths = [FIRST; COUNT];
        let mut index = 0;
        while index < COUNT {
            lengths[index] += index;
            index += 1;
        }
        lengths
    }

    #[test]
    fn every_type_and_length() {
        for kind in 0..=u8::MAX {
            let row = TABLE.iter().find(|(kinds, _)| kinds.contains(&kind));
            let permitted = match row {
                Some((_, lengths)) => lengths,
                None if kind == 0 => &[][..],
                None => &[0],
            };
            for length in 0..=254 {
                assert_eq!(
                    LengthPolicy::Libkrad.permits(AttributeType(kind), length),
                    permitted.contains(&length),
                    "{kind}: {length}"
                );
            }
        }
    }

    #[test]
    fn message_authenticator_is_the_row_that_changed() {
        for kind in 0..=u8::MAX {
            for length in 0..=254 {
                let now = LengthPolicy::Libkrad.permits(AttributeType(kind), length);
                let before = LengthPolicy::LibkradBefore1_22.permits(AttributeType(kind), length);
                assert_eq!(
                    now != before,
                    kind == 80 && [0, 16].contains(&length),
                    "{kind}: {length}"
                );
            }
        }
    }

    #[test]
    fn rfc_2865_permits_what_a_length_octet_can_say() {
        for kind in 0..=u8::MAX {
            assert!(LengthPolicy::Rfc2865.permits(AttributeType(kind), 253));
            assert!(!LengthPolicy::Rfc2865.permits(AttributeType(kind), 254));
        }
    }
}
