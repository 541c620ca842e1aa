//! Tagged attributes of tunnels (RFC 2868 §3): a Tag groups those that belong to one tunnel.
//!
//! Tunnel-Password (RFC 2868 §3.5) is tagged as a string; what follows the tag stays encrypted.

/// Which tunnel an attribute belongs to: 1 to 31 (RFC 2868 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u8);

impl Tag {
    /// A tag of 1 to 31; `None` for others.
    #[must_use]
    pub const fn new(tag: u8) -> Option<Self> {
        match tag {
            1..=MAX_TAG => Some(Self(tag)),
            _ => None,
        }
    }

    /// The octet on the wire.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A value and the tunnel that it belongs to, if it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tagged<T> {
    /// Tag; `None` if the field is unused.
    pub tag: Option<Tag>,
    /// What follows the tag.
    pub value: T,
}

impl<'a> Tagged<&'a [u8]> {
    /// Splits the value of a string attribute, such as Tunnel-Private-Group-ID (RFC 2868 §3.6).
    ///
    /// A first octet above 31 is not a tag but the beginning of the string; zero is a tag that is unused.
    ///
    /// ```
    /// # use krad::{Tag, Tagged};
    /// let tagged = Tagged::decode_string(b"\x01vlan7");
    /// assert_eq!((tagged.tag, tagged.value), (Tag::new(1), &b"vlan7"[..]));
    /// assert_eq!(Tagged::decode_string(b"vlan7").tag, None);
    /// ```
    #[must_use]
    pub const fn decode_string(value: &'a [u8]) -> Self {
        match value {
            [tag @ 0..=MAX_TAG, string @ ..] => Self {
                tag: Tag::new(*tag),
                value: string,
            },
            string => Self {
                tag: None,
                value: string,
            },
        }
    }

    /// Encodes the value of a string attribute. Without tag the field is left out, unless the string begins with
    /// what would be taken for one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let looks_tagged = self.value.first().is_some_and(|&first| first <= MAX_TAG);
        let field = match self.tag {
            Some(tag) => Some(tag.0),
            None => looks_tagged.then_some(0),
        };
        field.into_iter().chain(self.value.iter().copied()).collect()
    }
}

impl Tagged<u32> {
    /// Splits the value of an integer attribute, such as Tunnel-Type (RFC 2868 §3.1): a tag and three octets.
    /// `None` unless there are four; a tag above 31 is taken as unused.
    #[must_use]
    pub const fn decode_integer(value: &[u8]) -> Option<Self> {
        match *value {
            [tag, high, middle, low] => Some(Self {
                tag: Tag::new(tag),
                value: u32::from_be_bytes([0, high, middle, low]),
            }),
            _ => None,
        }
    }

    /// Encodes the value of an integer attribute; `None` if the number needs more than three octets.
    #[must_use]
    pub const fn encode(&self) -> Option<[u8; 4]> {
        let [0, high, middle, low] = self.value.to_be_bytes() else {
            return None;
        };
        let tag = match self.tag {
            Some(tag) => tag.0,
            None => 0,
        };
        Some([tag, high, middle, low])
    }
}

const MAX_TAG: u8 = 0x1f;
