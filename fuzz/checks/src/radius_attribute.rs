//! Attributes in attributes (vendors', TLVs, extended ones): the dictionary's walk and a plain recursion over the same
//! octets agree; what is shown of any attribute is one line without what is secret.

use std::sync::LazyLock;

use krad::dictionary::{DataType, Dictionary};
use krad::{Attribute, AttributeType};

use crate::structured;

/// Checks any attribute.
pub fn check(input: &[u8]) {
    structured(input, run);
}

/// The core dictionary, and vendors of every layout.
static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
    let vendors: String = LAYOUTS
        .iter()
        .map(|(vendor, [kind, length, flag])| {
            let flag = if *flag == 1 { ",c" } else { "" };
            format!("VENDOR V{vendor} {vendor} format={kind},{length}{flag}\n")
        })
        .collect();
    let text = format!("{CORE}{vendors}{NESTED}");
    Dictionary::parse(&text).expect("a dictionary of our own")
});

/// Vendors with their octets of Type, Length and flag.
const LAYOUTS: [(u32, [usize; 3]); 5] = [
    (1, [1, 1, 0]),
    (2, [2, 2, 0]),
    (3, [4, 0, 0]),
    (4, [1, 0, 0]),
    (5, [1, 1, 1]),
];

const CORE: &str = "\
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 string encrypt=1
ATTRIBUTE CHAP-Password 3 octets secret
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE NAS-Port 5 integer
ATTRIBUTE Vendor-Specific 26 vsa
ATTRIBUTE Event-Timestamp 55 date
ATTRIBUTE Tunnel-Type 64 integer has_tag
ATTRIBUTE Tunnel-Private-Group-ID 81 string has_tag
ATTRIBUTE Tunnel-Password 69 string has_tag,encrypt=2
ATTRIBUTE Framed-IPv6-Prefix 97 ipv6prefix
ATTRIBUTE Extended-Attribute-1 241 extended
ATTRIBUTE Extended-Attribute-5 245 long-extended
ATTRIBUTE Extended-Vendor-Specific-1 241.26 evs
ATTRIBUTE Extended-Vendor-Specific-5 245.26 evs
ATTRIBUTE Nested 241.1 tlv
VALUE NAS-Port Console 0
";

const NESTED: &str = "\
BEGIN-VENDOR V1
ATTRIBUTE V1-TLV 1 tlv
BEGIN-TLV V1-TLV
ATTRIBUTE V1-TLV-TLV 1 tlv
ATTRIBUTE V1-TLV-Text 2 string
ATTRIBUTE V1-TLV-Secret 3 octets secret
END-TLV V1-TLV
ATTRIBUTE V1-TLV-TLV-TLV 1.1.1 tlv
END-VENDOR V1
BEGIN-VENDOR V1 format=Extended-Vendor-Specific-1
ATTRIBUTE V1-Extended 1 tlv
END-VENDOR V1
";

/// A position, a tag and a value.
type Found<'a> = Vec<(Vec<u32>, Option<u8>, &'a [u8])>;

fn run(input: (u8, &[u8])) {
    let (kind, value) = input;
    let attribute = Attribute {
        kind: AttributeType(kind),
        value,
    };
    let dictionary = &*DICTIONARY;
    let expanded = dictionary.expand(attribute);
    let mut plain = Found::new();
    plainly(vec![u32::from(kind)], value, 8, &mut plain);
    let seen: Found<'_> = expanded
        .iter()
        .map(|found| {
            (
                found.oid.numbers().to_vec(),
                found.tag.map(krad::Tag::get),
                found.value,
            )
        })
        .collect();
    assert_eq!(seen, plain);
    for found in &expanded {
        assert_eq!(found.definition, dictionary.by_oid(found.oid.numbers()));
    }

    for dictionary in [dictionary, Dictionary::core()] {
        let shown = dictionary.display(attribute).to_string();
        assert!(
            shown.contains(" = ") && !shown.contains(char::is_control),
            "{shown:?}"
        );
        // What is secret is not shown: the same with other octets of the same length.
        if matches!(kind, 2 | 3) {
            let other: Vec<u8> = value.iter().map(|octet| octet ^ 1).collect();
            let other = Attribute {
                kind: attribute.kind,
                value: &other,
            };
            assert_eq!(dictionary.display(other).to_string(), shown);
        }
    }
}

fn plainly<'a>(oid: Vec<u32>, value: &'a [u8], depth: usize, found: &mut Found<'a>) {
    let children = if depth == 0 { None } else { nested(&oid, value) };
    if let Some(children) = children {
        for (numbers, value) in children {
            plainly([oid.as_slice(), &numbers].concat(), value, depth - 1, found);
        }
        return;
    }
    let definition = DICTIONARY.by_oid(&oid);
    let (has_tag, data_type) = definition.map_or((false, None), |found| {
        (found.flags.has_tag, Some(found.data_type))
    });
    let tag = value.first().copied().filter(|_| has_tag);
    match (tag, data_type) {
        (Some(tag), Some(DataType::Integer)) if value.len() == 4 => {
            found.push((oid, (1..=31).contains(&tag).then_some(tag), &value[1..]));
        }
        (Some(tag @ 0..=31), Some(DataType::String)) => {
            found.push((oid, (tag > 0).then_some(tag), &value[1..]))
        }
        _ => found.push((oid, None, value)),
    }
}

/// Values in a value, and the numbers that lead from it to them.
fn nested<'a>(oid: &[u32], value: &'a [u8]) -> Option<Vec<(Vec<u32>, &'a [u8])>> {
    let number = |octets: &[u8]| {
        octets
            .iter()
            .fold(0, |number, octet| number << 8 | u32::from(*octet))
    };
    match DICTIONARY.by_oid(oid)?.data_type {
        DataType::Tlv => several(&[], value, [1, 1, 0]),
        DataType::Vsa if value.len() > 4 => {
            let vendor = number(&value[..4]);
            let (_, layout) = LAYOUTS.iter().find(|(known, _)| *known == vendor)?;
            several(&[vendor], &value[4..], *layout)
        }
        DataType::Extended if !value.is_empty() => Some(vec![(vec![number(&value[..1])], &value[1..])]),
        DataType::LongExtended if value.len() > 1 && value[1] < 0x80 => {
            Some(vec![(vec![number(&value[..1])], &value[2..])])
        }
        DataType::Evs if value.len() > 4 => Some(vec![(
            vec![number(&value[..4]), number(&value[4..5])],
            &value[5..],
        )]),
        _ => None,
    }
}

fn several<'a>(parents: &[u32], mut data: &'a [u8], widths: [usize; 3]) -> Option<Vec<(Vec<u32>, &'a [u8])>> {
    let [kinds, lengths, flags] = widths;
    let number = |octets: &[u8]| {
        octets
            .iter()
            .fold(0_u32, |number, octet| number << 8 | u32::from(*octet))
    };
    let header = kinds + lengths + flags;
    let mut attributes = Vec::new();
    while !data.is_empty() {
        let kind = number(data.get(..kinds)?);
        let length = if lengths == 0 {
            data.len()
        } else {
            usize::try_from(number(data.get(kinds..kinds + lengths)?)).ok()?
        };
        let value = data.get(header..length)?;
        // A value that goes on elsewhere is no value.
        if flags == 1 && data[kinds + lengths] >= 0x80 {
            return None;
        }
        attributes.push(([parents, &[kind]].concat(), value));
        data = &data[length..];
    }
    (!attributes.is_empty()).then_some(attributes)
}
