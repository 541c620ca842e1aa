//! Tagged attributes of tunnels: what is split is put together again, and what is put together is split; every octet is
//! the tag's or the value's.

use krad::{Tag, Tagged};

use crate::structured;

/// Checks any value, and any tag in front of it.
pub fn check(input: &[u8]) {
    split(input);
    structured(input, together);
}

fn split(value: &[u8]) {
    let string = Tagged::decode_string(value);
    let first = value.first().copied();
    assert_eq!(
        string.tag.map(Tag::get),
        first.filter(|first| (1..=31).contains(first))
    );
    let has_field = first.is_some_and(|first| first <= 31);
    assert_eq!(string.value, &value[usize::from(has_field)..]);
    // An unused field is left out where nothing looks like one.
    let encoded = string.encode();
    let unused = first == Some(0) && value.get(1).is_none_or(|next| *next > 31);
    assert_eq!(encoded, &value[usize::from(unused)..]);

    let integer = Tagged::<u32>::decode_integer(value);
    assert_eq!(integer.is_some(), value.len() == 4);
    if let Some(integer) = integer {
        assert_eq!(integer.tag, string.tag, "a tag is a tag");
        let mut encoded = integer.encode().expect("three octets fit");
        assert_eq!(encoded[1..], value[1..]);
        if integer.tag.is_none() {
            assert_eq!(encoded[0], 0);
            encoded[0] = value[0];
        }
        assert_eq!(encoded, value);
    }
}

fn together(input: (u8, u32, &[u8])) {
    let (tag, number, value) = input;
    assert_eq!(
        Tag::new(tag).map(Tag::get),
        (1..=31).contains(&tag).then_some(tag)
    );
    for tag in [None, Tag::new(tag)] {
        let tagged = Tagged { tag, value };
        assert_eq!(Tagged::decode_string(&tagged.encode()), tagged);
        let integer = Tagged { tag, value: number };
        assert_eq!(integer.encode().is_some(), number < 1 << 24);
        assert!(
            integer
                .encode()
                .is_none_or(|octets| Tagged::<u32>::decode_integer(&octets) == Some(integer))
        );
    }
}
