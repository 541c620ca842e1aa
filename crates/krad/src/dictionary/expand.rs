//! What is in an attribute: a vendor's attributes, TLVs, extended ones.

use std::fmt;

use super::{DataType, Definition, Dictionary, Oid};
use crate::{Attribute, Tag, Tagged, VendorFormat, VendorId, VendorSpecific};

/// How deeply attributes are looked for in attributes; the dictionaries of vendors stay below it.
const MAX_DEPTH: usize = 8;

/// One value, and the attribute that it is a value of.
#[derive(Clone, PartialEq, Eq)]
pub struct ExpandedAttribute<'d, 'a> {
    /// What the dictionary says about it; `None` if it says nothing.
    pub definition: Option<&'d Definition>,
    /// Position.
    pub oid: Oid,
    /// Tag of a tunnel (RFC 2868), if the attribute can have one and the value has.
    pub tag: Option<Tag>,
    /// The value, without the tag.
    pub value: &'a [u8],
}

/// Shows the position and the length only: a value can be a password or name a person.
impl fmt::Debug for ExpandedAttribute<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} octets)", self.oid, self.value.len())
    }
}

/// What [`Dictionary::expand`] found.
pub type Expanded<'d, 'a> = Vec<ExpandedAttribute<'d, 'a>>;

impl Dictionary {
    /// Takes an attribute apart into those that are nested in it, as far as this dictionary knows its form; one that
    /// nothing is nested in, or that is malformed, comes back whole.
    #[must_use]
    pub fn expand<'a>(&self, attribute: Attribute<'a>) -> Expanded<'_, 'a> {
        let mut found = Vec::new();
        let oid = [u32::from(attribute.kind.0)].into_iter().collect();
        self.expand_into(&mut found, oid, attribute.value, MAX_DEPTH);
        found
    }

    fn expand_into<'d, 'a>(&'d self, found: &mut Expanded<'d, 'a>, oid: Oid, value: &'a [u8], depth: usize) {
        let definition = self.by_oid(oid.numbers());
        let data_type = definition.map(|definition| definition.data_type);
        let nested = match depth.checked_sub(1) {
            Some(depth) => self.nested(data_type, &oid, value).map(|nested| (nested, depth)),
            None => None,
        };
        match nested {
            Some((nested, depth)) => nested
                .into_iter()
                .for_each(|(oid, value)| self.expand_into(found, oid, value, depth)),
            None => {
                let (tag, value) = untagged(definition, value);
                found.push(ExpandedAttribute {
                    definition,
                    oid,
                    tag,
                    value,
                });
            }
        }
    }

    /// The attributes in a value; `None` if there are none, or it is malformed.
    fn nested<'a>(
        &self,
        data_type: Option<DataType>,
        oid: &Oid,
        value: &'a [u8],
    ) -> Option<Vec<(Oid, &'a [u8])>> {
        match data_type? {
            DataType::Tlv => attributes(VendorFormat::default(), VendorId(0), value, oid),
            DataType::Vsa => {
                let VendorSpecific { vendor, data } = VendorSpecific::decode(value)?;
                let format = self.vendor(vendor)?.format;
                attributes(format, vendor, data, &oid.child(vendor.0))
            }
            // Extended-Type, Value (RFC 6929 §2.1).
            DataType::Extended => {
                let (&kind, value) = value.split_first()?;
                Some(vec![(oid.child(u32::from(kind)), value)])
            }
            // Extended-Type, More flag, Value (RFC 6929 §2.2). A fragment alone is no value.
            DataType::LongExtended => {
                let (&[kind, flags], value) = value.split_first_chunk()?;
                (flags & MORE == 0).then(|| vec![(oid.child(u32::from(kind)), value)])
            }
            // Vendor-Id, Vendor-Type, Value (RFC 6929 §2.4).
            DataType::Evs => {
                let VendorSpecific { vendor, data } = VendorSpecific::decode(value)?;
                let (&kind, value) = data.split_first()?;
                Some(vec![(oid.child(vendor.0).child(u32::from(kind)), value)])
            }
            _ => None,
        }
    }
}

/// One or more attributes, all whole, none continued elsewhere.
fn attributes<'a>(
    format: VendorFormat,
    vendor: VendorId,
    data: &'a [u8],
    parent: &Oid,
) -> Option<Vec<(Oid, &'a [u8])>> {
    let attributes = VendorSpecific { vendor, data }.attributes(format)?;
    let whole = attributes.map(|attribute| {
        let whole = (!attribute.more).then_some(attribute.value);
        Some((parent.child(attribute.kind), whole?))
    });
    let whole: Vec<_> = whole.collect::<Option<_>>()?;
    (!whole.is_empty()).then_some(whole)
}

/// Splits off the tag of a tunnel's attribute. In an integer it takes the place of the first octet.
fn untagged<'a>(definition: Option<&Definition>, value: &'a [u8]) -> (Option<Tag>, &'a [u8]) {
    match definition {
        Some(definition) if definition.flags.has_tag => {
            if definition.data_type == DataType::Integer {
                let tag = Tagged::decode_integer(value).and_then(|tagged| tagged.tag);
                (
                    tag,
                    if value.len() == 4 {
                        value.get(1..).unwrap_or_default()
                    } else {
                        value
                    },
                )
            } else {
                let Tagged { tag, value } = Tagged::decode_string(value);
                (tag, value)
            }
        }
        _ => (None, value),
    }
}

/// The More flag of RFC 6929 §2.2.
const MORE: u8 = 0x80;
