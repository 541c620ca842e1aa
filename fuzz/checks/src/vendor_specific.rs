//! Vendor-Specific in every layout: what decodes encodes back, but for reserved bits; the dictionary's walk through the
//! same octets and a plain loop over them agree; what was encoded is decoded.

use krad::{Attribute, AttributeType, VendorFormat, VendorId, VendorSpecific};

use crate::structured;

/// Checks any value in any layout, and any attributes written in it.
pub fn check(input: &[u8]) {
    structured(input, decoded);
    structured(input, encoded);
}

/// One of the 10 layouts that there are.
fn layout(choice: u8) -> (VendorFormat, [usize; 3]) {
    let (kind, length, flag) = match choice % 10 {
        9 => (1, 1, true),
        choice => ([1, 2, 4][usize::from(choice / 3)], choice % 3, false),
    };
    let format = VendorFormat::new(kind, length, flag).expect("a layout that there is");
    (
        format,
        [usize::from(kind), usize::from(length), usize::from(flag)],
    )
}

/// The values that rules look at in a request: those of the usual layout, or the whole.
fn values(value: &[u8]) {
    for kind in [AttributeType::VENDOR_SPECIFIC, AttributeType::CLASS] {
        let values: Vec<_> = Attribute { kind, value }.values().collect();
        let inner = value
            .split_at_checked(4)
            .filter(|(_, data)| kind == AttributeType::VENDOR_SPECIFIC && !data.is_empty())
            .and_then(|(vendor, data)| Some((vendor, plainly(data, [1, 1, 0])?)));
        let Some((vendor, inner)) = inner else {
            assert_eq!(values, [(None, value)]);
            continue;
        };
        let vendor = VendorId(u32::from_be_bytes(vendor.try_into().unwrap()));
        let inner: Vec<_> = inner
            .into_iter()
            .map(|(kind, value, _)| (Some((vendor, kind)), value))
            .collect();
        assert_eq!(values, inner);
    }
}

fn decoded(input: (u8, &[u8])) {
    let (choice, value) = input;
    values(value);
    let (format, widths) = layout(choice);
    let specific = VendorSpecific::decode(value);
    assert_eq!(specific.is_some(), value.len() >= 5);
    let Some(specific) = specific else { return };
    assert_eq!(specific.vendor.0.to_be_bytes(), value[..4]);
    assert_eq!(specific.data, &value[4..]);

    let attributes = specific.attributes(format).map(Iterator::collect::<Vec<_>>);
    let plain = plainly(specific.data, widths);
    let seen = attributes.as_ref().map(|all| {
        all.iter()
            .map(|one| (one.kind, one.value, one.more))
            .collect::<Vec<_>>()
    });
    assert_eq!(seen, plain, "{format:?}");
    let Some(attributes) = attributes else { return };

    let encoded = VendorSpecific::encode(
        specific.vendor,
        format,
        attributes.iter().map(|one| (one.kind, one.value)),
    );
    if value.len() > 253 {
        assert!(encoded.is_err());
        return;
    }
    let mut encoded = encoded.expect("what was decoded can be encoded");
    if widths[2] == 1 {
        // The flag is written as zero: what an application writes is whole.
        let mut at = 4;
        for attribute in &attributes {
            encoded[at + 2] = value[at + 2];
            at += 3 + attribute.value.len();
        }
    }
    assert_eq!(encoded, value);
}

/// A kind, its value, and whether it goes on; `None` for what is not wholly attributes.
fn plainly(mut data: &[u8], [kinds, lengths, flags]: [usize; 3]) -> Option<Vec<(u32, &[u8], bool)>> {
    let number = |octets: &[u8]| {
        octets
            .iter()
            .fold(0_usize, |number, octet| number << 8 | usize::from(*octet))
    };
    let header = kinds + lengths + flags;
    let mut attributes = Vec::new();
    while !data.is_empty() {
        if data.len() < header {
            return None;
        }
        let length = if lengths == 0 {
            data.len()
        } else {
            number(&data[kinds..kinds + lengths])
        };
        if length < header || length > data.len() {
            return None;
        }
        let more = flags == 1 && data[kinds + lengths] >= 0x80;
        attributes.push((
            u32::try_from(number(&data[..kinds])).ok()?,
            &data[header..length],
            more,
        ));
        data = &data[length..];
    }
    Some(attributes)
}

fn encoded(input: (u8, u32, Vec<(u32, Vec<u8>)>)) {
    let (choice, vendor, attributes) = input;
    let (format, [kinds, lengths, flags]) = layout(choice);
    let value = VendorSpecific::encode(
        VendorId(vendor),
        format,
        attributes.iter().map(|(kind, value)| (*kind, value.as_slice())),
    );
    let total: usize = 4 + attributes
        .iter()
        .map(|(_, value)| kinds + lengths + flags + value.len())
        .sum::<usize>();
    let fits = (5..=253).contains(&total)
        && attributes
            .iter()
            .all(|(kind, _)| kinds == 4 || u64::from(*kind) < 1 << (8 * kinds))
        && (lengths > 0 || attributes.len() == 1);
    assert_eq!(value.is_ok(), fits, "{value:?}");
    let Ok(value) = value else { return };
    assert_eq!(value.len(), total);
    let specific = VendorSpecific::decode(&value).expect("5 octets or more");
    assert_eq!(specific.vendor, VendorId(vendor));
    let read = specific
        .attributes(format)
        .expect("what was encoded can be decoded");
    assert!(
        read.map(|one| (one.kind, one.value.to_vec(), one.more))
            .eq(attributes.into_iter().map(|(kind, value)| (kind, value, false)))
    );
}
