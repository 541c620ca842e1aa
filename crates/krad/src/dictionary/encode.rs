//! Attributes from their names and values as people write them.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{DataType, Definition, Dictionary};
use crate::{AttributeType, EncodeError, Tag, Tagged, VendorId, VendorSpecific};

/// An attribute as a packet carries it, from [`Dictionary::encode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedAttribute<'d> {
    /// What the dictionary says about it.
    pub definition: &'d Definition,
    /// The tunnel that it belongs to (RFC 2868), if it says so.
    pub tag: Option<Tag>,
    /// Type in the packet: of a vendor's attribute, Vendor-Specific.
    pub kind: AttributeType,
    /// Value in the packet, of 1 to 253 octets.
    pub value: Vec<u8>,
}

/// Why a name and a value are no attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// No attribute has the name.
    #[error("no attribute is called {0}")]
    UnknownAttribute(String),
    /// The attribute has no tag, or the tag is none.
    #[error("{name} takes no tag {tag}: attributes of tunnels take one from 1 to 31")]
    Tag {
        /// Name of the attribute.
        name: String,
        /// What was written after the colon.
        tag: String,
    },
    /// The text is no value of the attribute's type.
    #[error("{name} takes {expected}")]
    Type {
        /// Name of the attribute.
        name: String,
        /// What it takes.
        expected: Cow<'static, str>,
    },
    /// The value has another length than the dictionary says.
    #[error("{name} takes {expected} octets, these are {found}")]
    Length {
        /// Name of the attribute.
        name: String,
        /// As the dictionary has it.
        expected: u16,
        /// As it was written.
        found: usize,
    },
    /// The value is hidden on the wire, or a secret.
    #[error("{0} is a secret, which is not written in the clear")]
    Secret(String),
    /// The attribute is never in a packet, or contains others.
    #[error("{0} has no value of its own")]
    NoValue(String),
    /// The value does not fit.
    #[error("{name}: {cause}")]
    Encode {
        /// Name of the attribute.
        name: String,
        /// Why not.
        cause: EncodeError,
    },
}

impl Dictionary {
    /// Encodes an attribute from its name, with `:tag` behind it for one of a tunnel's, and its value: the name or number of
    /// an integer, an address, text, octets as `0x` and hexadecimal or as text. Text may stand in double quotes, in which `\"`,
    /// `\'` and `\\` are quotes and a backslash. What [`display`](Self::display) shows is read back, apart from dates (a number of
    /// seconds here) and escapes of what is not printed.
    ///
    /// ```
    /// # use krad::dictionary::Dictionary;
    /// let vlan = Dictionary::core().encode("Tunnel-Type:1", "VLAN")?;
    /// assert_eq!((vlan.kind.0, &vlan.value[..]), (64, &[1, 0, 0, 13][..]));
    /// # Ok::<(), krad::dictionary::ValueError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ValueError`] says what was expected. Attributes that are hidden on the wire are refused: a value that is kept in the
    /// clear is not what they are for.
    pub fn encode(&self, name: &str, text: &str) -> Result<EncodedAttribute<'_>, ValueError> {
        let (definition, tag) = self.named(name)?;
        let name = || definition.name.clone();
        let flags = definition.flags;
        if flags.secret || flags.encryption.is_some() {
            return Err(ValueError::Secret(name()));
        }
        if flags.is_virtual {
            return Err(ValueError::NoValue(name()));
        }
        let value = self.value(definition, text)?;
        if let Some(expected) = definition
            .length
            .filter(|length| usize::from(*length) != value.len())
        {
            let (name, found) = (name(), value.len());
            return Err(ValueError::Length {
                name,
                expected,
                found,
            });
        }
        let value = tagged(definition, tag, value)?;
        let encode = |cause| ValueError::Encode { name: name(), cause };
        let (kind, value) = self.nest(definition, &value, encode)?;
        match value.len() {
            1..=253 => Ok(EncodedAttribute {
                definition,
                tag,
                kind,
                value,
            }),
            length => Err(encode(EncodeError::ValueLength { kind, length })),
        }
    }

    /// A name, and what it says of a tag. A name may hold a colon itself.
    fn named(&self, name: &str) -> Result<(&Definition, Option<Tag>), ValueError> {
        if let Some(definition) = self.by_name(name) {
            return Ok((definition, None));
        }
        let unknown = || ValueError::UnknownAttribute(name.to_owned());
        let (name, tag) = name.rsplit_once(':').ok_or_else(unknown)?;
        let definition = self.by_name(name).ok_or_else(unknown)?;
        let known = tag.parse().ok().and_then(Tag::new);
        match known.filter(|_| definition.flags.has_tag) {
            Some(tag) => Ok((definition, Some(tag))),
            None => Err(ValueError::Tag {
                name: definition.name.clone(),
                tag: tag.to_owned(),
            }),
        }
    }

    /// The octets of a value, without tag.
    fn value(&self, definition: &Definition, text: &str) -> Result<Vec<u8>, ValueError> {
        if let Some(octets) = definition.data_type.integer_octets() {
            return self.integer(definition, text, octets);
        }
        let (octets, expected) = match definition.data_type {
            DataType::String => (Some(unquoted(text).into_owned().into_bytes()), "text"),
            DataType::Octets | DataType::Abinary => (octets(text), "octets: 0x and hexadecimal, or text"),
            DataType::Ipaddr => (ipv4(text), "an IPv4 address"),
            DataType::Ipv6addr => (ipv6(text), "an IPv6 address"),
            DataType::ComboIp => (ipv4(text).or_else(|| ipv6(text)), "an IPv4 or IPv6 address"),
            DataType::Ipv4prefix => (
                prefix::<4, Ipv4Addr>(text, |address| address.octets()),
                "an IPv4 prefix without bits beyond its length",
            ),
            DataType::Ipv6prefix => (
                prefix::<16, Ipv6Addr>(text, |address| address.octets()),
                "an IPv6 prefix without bits beyond its length",
            ),
            DataType::Ifid => (
                groups::<4>(text, 4)
                    .map(|groups| groups.iter().flat_map(|group| group.to_be_bytes()).collect()),
                "four groups of hexadecimal digits with colons between them",
            ),
            DataType::Ether => (
                groups::<6>(text, 2)
                    .and_then(|groups| groups.iter().map(|group| u8::try_from(*group).ok()).collect()),
                "an Ethernet address: six pairs of hexadecimal digits with colons between them",
            ),
            _ => return Err(ValueError::NoValue(definition.name.clone())),
        };
        octets.ok_or_else(|| ValueError::Type {
            name: definition.name.clone(),
            expected: expected.into(),
        })
    }

    fn integer(&self, definition: &Definition, text: &str, octets: u8) -> Result<Vec<u8>, ValueError> {
        let number = self
            .value_by_name(definition, text)
            .or_else(|| match text.strip_prefix("0x") {
                Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
                _ if definition.data_type == DataType::Signed => {
                    let number: i32 = text.parse().ok()?;
                    Some(u64::from(number.cast_unsigned()))
                }
                _ if text.starts_with('+') => None,
                _ => text.parse().ok(),
            });
        // A tag takes the place of the first octet (RFC 2868 §3.1).
        let room = if definition.flags.has_tag {
            octets.saturating_sub(1)
        } else {
            octets
        };
        let encoded = number.and_then(|number| {
            let number = number.to_be_bytes();
            let (high, low) = number.split_at_checked(number.len().checked_sub(usize::from(room))?)?;
            high.iter().all(|octet| *octet == 0).then(|| low.to_vec())
        });
        encoded.ok_or_else(|| ValueError::Type {
            name: definition.name.clone(),
            expected: self.integers(definition, room).into(),
        })
    }

    /// What an attribute of integers takes, in words.
    fn integers(&self, definition: &Definition, octets: u8) -> String {
        let bits = u32::from(octets).saturating_mul(8);
        let number = match definition.data_type {
            DataType::Signed => format!("a whole number of {bits} bits"),
            _ => format!(
                "a whole number from 0 to {}",
                u64::MAX.checked_shr(u64::BITS.saturating_sub(bits)).unwrap_or(0)
            ),
        };
        let Some(values) = self.values.get(&definition.oid) else {
            return number;
        };
        const SHOWN: usize = 12;
        let names: Vec<_> = values
            .by_number
            .values()
            .take(SHOWN)
            .map(String::as_str)
            .collect();
        let more = if values.by_number.len() > SHOWN {
            ", …"
        } else {
            ""
        };
        format!("{}{more}, or {number}", names.join(", "))
    }

    /// Wraps a value in what the attribute is nested in.
    fn nest(
        &self,
        definition: &Definition,
        value: &[u8],
        encode: impl Fn(EncodeError) -> ValueError,
    ) -> Result<(AttributeType, Vec<u8>), ValueError> {
        let no_value = || ValueError::NoValue(definition.name.clone());
        let numbers = definition.oid.numbers();
        let kind = numbers.first().and_then(|kind| u8::try_from(*kind).ok());
        let kind = kind.map(AttributeType).ok_or_else(no_value)?;
        match (numbers, self.by_type(kind).map(|outer| outer.data_type)) {
            ([_], _) => Ok((kind, value.to_vec())),
            (&[_, vendor, number], Some(DataType::Vsa)) => {
                let vendor = self.vendor(VendorId(vendor)).ok_or_else(no_value)?;
                let value = VendorSpecific::encode(vendor.id, vendor.format, [(number, value)]);
                Ok((kind, value.map_err(encode)?))
            }
            (&[_, number], Some(DataType::Extended)) => {
                let number = u8::try_from(number).map_err(|_| no_value())?;
                Ok((kind, [&[number], value].concat()))
            }
            _ => Err(no_value()),
        }
    }
}

fn tagged(definition: &Definition, tag: Option<Tag>, value: Vec<u8>) -> Result<Vec<u8>, ValueError> {
    if !definition.flags.has_tag {
        return Ok(value);
    }
    if definition.data_type.integer_octets().is_some() {
        let field = tag.map_or(0, Tag::get);
        return Ok([&[field], value.as_slice()].concat());
    }
    let value = value.as_slice();
    Ok(Tagged { tag, value }.encode())
}

/// What is between double quotes, if the text is.
fn unquoted(text: &str) -> Cow<'_, str> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return Cow::Borrowed(text);
    };
    let mut plain = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => match rest.next() {
                Some(escaped @ ('"' | '\'' | '\\')) => plain.push(escaped),
                Some(other) => plain.extend(['\\', other]),
                None => plain.push('\\'),
            },
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

fn octets(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("0x") else {
        return Some(unquoted(text).into_owned().into_bytes());
    };
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)?.checked_shl(4)? | digit(*low)?))
        .collect()
}

fn digit(character: u8) -> Option<u8> {
    char::from(character)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn ipv4(text: &str) -> Option<Vec<u8>> {
    Some(text.parse::<Ipv4Addr>().ok()?.octets().to_vec())
}

fn ipv6(text: &str) -> Option<Vec<u8>> {
    Some(text.parse::<Ipv6Addr>().ok()?.octets().to_vec())
}

/// A reserved octet, the length in bits, and as many octets as it needs, or all four of IPv4 (RFC 3162 §2.3, RFC 6572).
fn prefix<const N: usize, A: FromStr>(text: &str, octets: impl Fn(A) -> [u8; N]) -> Option<Vec<u8>> {
    let (address, length) = text.split_once('/')?;
    let address = octets(address.parse().ok()?);
    let length: u8 = length.parse().ok()?;
    let bits = usize::from(length);
    if bits > N.saturating_mul(8) {
        return None;
    }
    let beyond = address.iter().enumerate().any(|(index, octet)| {
        let inside = bits.saturating_sub(index.saturating_mul(8)).min(8);
        let mask = u32::try_from(inside)
            .ok()
            .and_then(|inside| u8::MAX.checked_shr(inside));
        octet & mask.unwrap_or(0) != 0
    });
    if beyond {
        return None;
    }
    let sent = if N == 4 { N } else { bits.div_ceil(8) };
    Some(
        [0, length]
            .into_iter()
            .chain(address.into_iter().take(sent))
            .collect(),
    )
}

/// Groups of up to so many hexadecimal digits, with colons between them.
fn groups<const N: usize>(text: &str, digits: usize) -> Option<[u16; N]> {
    let group = |group: &str| {
        let plain =
            (1..=digits).contains(&group.len()) && group.bytes().all(|octet| octet.is_ascii_hexdigit());
        plain.then(|| u16::from_str_radix(group, 16).ok()).flatten()
    };
    let groups: Vec<u16> = text.split(':').map(group).collect::<Option<_>>()?;
    groups.try_into().ok()
}
