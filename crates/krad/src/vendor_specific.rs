//! Vendor-Specific (RFC 2865 §5.26): a vendor's number, then what the vendor likes; mostly attributes again.

use std::fmt;

use nom::{
    IResult, Parser,
    bytes::complete::take,
    combinator::{map_opt, rest},
    multi::length_data,
    number::complete::{be_u8, be_u16, be_u32},
};

use crate::{Attribute, AttributeType, EncodeError};

/// Private Enterprise Number of a vendor, from the registry of IANA ("SMI Network Management Private Enterprise
/// Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VendorId(pub u32);

impl VendorId {
    /// Microsoft (RFC 2548).
    pub const MICROSOFT: Self = Self(311);
}

impl fmt::Display for VendorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u32> for VendorId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// How a vendor lays out its attributes: octets of Type and Length, and whether an octet with a continuation flag
/// follows, as WiMAX has it.
///
/// The default is what RFC 2865 §5.26 recommends: one octet each and no flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VendorFormat {
    type_octets: u8,
    length_octets: u8,
    continuation: bool,
}

impl VendorFormat {
    /// A layout with `type_octets` of 1, 2 or 4 and `length_octets` of 0, 1 or 2; `None` for others. Without Length
    /// there is one attribute, and it takes all the rest. The flag needs one octet each of Type and Length.
    #[must_use]
    pub const fn new(type_octets: u8, length_octets: u8, continuation: bool) -> Option<Self> {
        match (type_octets, length_octets, continuation) {
            (1 | 2 | 4, 0..=2, false) | (1, 1, true) => Some(Self {
                type_octets,
                length_octets,
                continuation,
            }),
            _ => None,
        }
    }

    /// Octets before the value.
    fn header_length(self) -> usize {
        usize::from(self.type_octets)
            .saturating_add(usize::from(self.length_octets))
            .saturating_add(usize::from(self.continuation))
    }
}

impl Default for VendorFormat {
    fn default() -> Self {
        Self {
            type_octets: 1,
            length_octets: 1,
            continuation: false,
        }
    }
}

/// The value of a Vendor-Specific attribute.
///
/// ```
/// use krad::{VendorFormat, VendorId, VendorSpecific};
///
/// let value = VendorSpecific::encode(VendorId(9), VendorFormat::default(), [(1, &b"shell:priv-lvl=15"[..])])?;
/// let cisco = VendorSpecific::decode(&value).ok_or("not a vendor's")?;
/// let attributes = cisco.attributes(VendorFormat::default()).ok_or("opaque")?;
/// assert_eq!(cisco.vendor, VendorId(9));
/// assert!(attributes.eq([krad::VendorAttribute { kind: 1, value: b"shell:priv-lvl=15", more: false }]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VendorSpecific<'a> {
    /// Vendor-Id.
    pub vendor: VendorId,
    /// What follows it: attributes of the vendor's, or anything else.
    pub data: &'a [u8],
}

impl<'a> VendorSpecific<'a> {
    /// Splits the value of a Vendor-Specific attribute; `None` if it is shorter than the 5 octets that RFC 2865
    /// §5.26 asks for.
    #[must_use]
    pub fn decode(value: &'a [u8]) -> Option<Self> {
        let (vendor, data) = value.split_first_chunk()?;
        let vendor = VendorId(u32::from_be_bytes(*vendor));
        (!data.is_empty()).then_some(Self { vendor, data })
    }

    /// The vendor's attributes, `None` unless `data` is wholly attributes of this layout: then it is opaque.
    #[must_use]
    pub fn attributes(&self, format: VendorFormat) -> Option<VendorAttributes<'a>> {
        let attributes = VendorAttributes {
            rest: self.data,
            format,
        };
        let mut checked = attributes.clone();
        checked.by_ref().for_each(drop);
        checked.rest.is_empty().then_some(attributes)
    }

    /// Encodes the value of a Vendor-Specific attribute from the vendor's types and values.
    ///
    /// # Errors
    ///
    /// - [`EncodeError::VendorAttribute`] if a type or a value does not fit the layout;
    /// - [`EncodeError::ValueLength`] if the whole is shorter than 5 or longer than 253 octets.
    pub fn encode<'v>(
        vendor: VendorId,
        format: VendorFormat,
        attributes: impl IntoIterator<Item = (u32, &'v [u8])>,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut octets = vendor.0.to_be_bytes().to_vec();
        for (kind, value) in attributes {
            let length = format.header_length().saturating_add(value.len());
            let refused = EncodeError::VendorAttribute {
                kind,
                length: value.len(),
            };
            let without_length = format.length_octets == 0;
            if without_length && octets.len() > size_of::<VendorId>() {
                return Err(refused); // nothing can follow an attribute without Length
            }
            push_number(&mut octets, kind, format.type_octets).ok_or(refused)?;
            let length = u32::try_from(length).map_err(|_| refused)?;
            if !without_length {
                push_number(&mut octets, length, format.length_octets).ok_or(refused)?;
            }
            if format.continuation {
                octets.push(0);
            }
            octets.extend_from_slice(value);
        }
        match octets.len() {
            5..=253 => Ok(octets),
            length => Err(EncodeError::ValueLength {
                kind: AttributeType::VENDOR_SPECIFIC,
                length,
            }),
        }
    }
}

impl<'a> Attribute<'a> {
    /// The values in the attribute: of Vendor-Specific those of the vendor's attributes, each with the vendor and its type, if they are
    /// laid out as RFC 2865 §5.26 recommends; else the one value that there is.
    ///
    /// ```
    /// use krad::{Attribute, AttributeType, VendorId};
    ///
    /// let value = [0, 0, 0, 9, 1, 3, b'a', 2, 3, b'b'];
    /// let cisco = Attribute { kind: AttributeType::VENDOR_SPECIFIC, value: &value };
    /// assert!(cisco.values().eq([(Some((VendorId(9), 1)), &b"a"[..]), (Some((VendorId(9), 2)), b"b")]));
    /// let class = Attribute { kind: AttributeType::CLASS, value: b"a" };
    /// assert!(class.values().eq([(None, &b"a"[..])]));
    /// ```
    pub fn values(self) -> impl Iterator<Item = (Option<(VendorId, u32)>, &'a [u8])> {
        let vendors = (self.kind == AttributeType::VENDOR_SPECIFIC)
            .then(|| VendorSpecific::decode(self.value))
            .flatten();
        let vendors = vendors.and_then(|inner| {
            let attributes = inner.attributes(VendorFormat::default())?;
            Some(attributes.map(move |one| (Some((inner.vendor, one.kind)), one.value)))
        });
        let whole = vendors.is_none().then_some((None, self.value));
        vendors.into_iter().flatten().chain(whole)
    }
}

/// Shows the vendor and the length only: a value can be a password.
impl fmt::Debug for VendorSpecific<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vendor {} ({} octets)", self.vendor, self.data.len())
    }
}

/// One attribute of a vendor's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VendorAttribute<'a> {
    /// The vendor's type.
    pub kind: u32,
    /// Value, which can be empty.
    pub value: &'a [u8],
    /// Whether the value goes on in the next attribute of the same vendor and type.
    pub more: bool,
}

impl fmt::Debug for VendorAttribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vendor-Attribute {} ({} octets)", self.kind, self.value.len())
    }
}

/// Iterator over a vendor's attributes, from [`VendorSpecific::attributes`].
#[derive(Clone)]
pub struct VendorAttributes<'a> {
    rest: &'a [u8],
    format: VendorFormat,
}

impl<'a> Iterator for VendorAttributes<'a> {
    type Item = VendorAttribute<'a>;

    fn next(&mut self) -> Option<VendorAttribute<'a>> {
        let (rest, attribute) = vendor_attribute(self.rest, self.format).ok()?;
        self.rest = rest;
        Some(attribute)
    }
}

impl fmt::Debug for VendorAttributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Type, Length (all its octets, its own and Type's included), perhaps the flag, Value.
fn vendor_attribute(input: &[u8], format: VendorFormat) -> IResult<&[u8], VendorAttribute<'_>> {
    let (input, kind) = match format.type_octets {
        1 => be_u8.map(u32::from).parse(input)?,
        2 => be_u16.map(u32::from).parse(input)?,
        _ => be_u32(input)?,
    };
    let before_value = usize::from(format.type_octets).saturating_add(usize::from(format.length_octets));
    let (input, body) = match format.length_octets {
        0 => rest(input)?,
        1 => length_data(map_opt(be_u8, |length| {
            usize::from(length).checked_sub(before_value)
        }))
        .parse(input)?,
        _ => length_data(map_opt(be_u16, |length| {
            usize::from(length).checked_sub(before_value)
        }))
        .parse(input)?,
    };
    let (value, flag) = take(usize::from(format.continuation)).parse(body)?;
    let more = flag.first().is_some_and(|flag| flag & CONTINUES != 0);
    Ok((input, VendorAttribute { kind, value, more }))
}

/// The flag of WiMAX; the other seven bits are reserved.
const CONTINUES: u8 = 0x80;

/// Appends the low `width` octets of a number, `None` if it needs more.
fn push_number(octets: &mut Vec<u8>, number: u32, width: u8) -> Option<()> {
    let number = number.to_be_bytes();
    let unused = number.len().checked_sub(usize::from(width))?;
    let (high, low) = number.split_at_checked(unused)?;
    octets.extend_from_slice(low);
    high.iter().all(|&octet| octet == 0).then_some(())
}
