//! Attributes from names and values.

use krad::{
    Attribute, AttributeType, EncodeError, Tag,
    dictionary::{Dictionary, ValueError},
};
use proptest::{collection::vec, prelude::*};

use crate::hex::hex;

/// The core, and a type for each that it has no attribute of.
fn dictionary() -> Dictionary {
    Dictionary::parse(
        "ATTRIBUTE Text 1 string\n\
         ATTRIBUTE Address 3 ipaddr\n\
         ATTRIBUTE Service 4 integer\n\
         VALUE Service Login 1\n\
         ATTRIBUTE Long 5 integer64\n\
         ATTRIBUTE Signed 6 signed\n\
         ATTRIBUTE Byte 7 byte\n\
         ATTRIBUTE Short 8 short\n\
         ATTRIBUTE Interface 10 ifid\n\
         ATTRIBUTE Ether 11 ether\n\
         ATTRIBUTE Prefix6 12 ipv6prefix\n\
         ATTRIBUTE Prefix4 13 ipv4prefix\n\
         ATTRIBUTE Address6 14 ipv6addr\n\
         ATTRIBUTE Either 15 combo-ip\n\
         ATTRIBUTE Octets 16 octets\n\
         ATTRIBUTE Four 17 octets[4]\n\
         ATTRIBUTE Tunnel 18 integer has_tag\n\
         VALUE Tunnel VLAN 13\n\
         ATTRIBUTE Group 19 string has_tag\n\
         ATTRIBUTE Day 20 date\n\
         ATTRIBUTE Inside 21 string virtual\n\
         ATTRIBUTE Hidden 22 string encrypt=2\n\
         ATTRIBUTE Secret 23 string secret\n\
         ATTRIBUTE With:Colon 27 string\n\
         ATTRIBUTE Vendor-Specific 26 vsa\n\
         ATTRIBUTE Extended-1 241 extended\n\
         ATTRIBUTE Extended-1-Code 241.4 integer\n\
         ATTRIBUTE Extended-5 245 long-extended\n\
         ATTRIBUTE Extended-5-Text 245.1 string\n\
         VENDOR Acme 9\n\
         BEGIN-VENDOR Acme\n\
         ATTRIBUTE Acme-Pair 1 string\n\
         ATTRIBUTE Acme-Box 2 tlv\n\
         ATTRIBUTE Acme-Lid 2.1 byte\n\
         END-VENDOR Acme\n\
         VENDOR Wide 429 format=4,0\n\
         BEGIN-VENDOR Wide\n\
         ATTRIBUTE Wide-Number 258 integer\n\
         END-VENDOR Wide\n",
    )
    .unwrap()
}

#[test]
fn values_by_type() {
    let dictionary = dictionary();
    for (name, text, kind, octets) in [
        ("text", "alice", 1, "616c696365"),
        ("Text", r#""a \"b\" \\ c""#, 1, "61 20 22 62 22 20 5c 20 63"),
        ("Text", r#""a\n""#, 1, "61 5c 6e"),
        ("Text", r#"""#, 1, "22"),
        ("Text", "0x41", 1, "30 78 34 31"),
        ("Text", "ä", 1, "c3a4"),
        ("Address", "192.0.2.1", 3, "c0000201"),
        ("Service", "login", 4, "00000001"),
        ("Service", "7", 4, "00000007"),
        ("Service", "4294967295", 4, "ffffffff"),
        ("Service", "0x10", 4, "00000010"),
        ("Long", "18446744073709551615", 5, "ffffffffffffffff"),
        ("Signed", "-2", 6, "fffffffe"),
        ("Byte", "255", 7, "ff"),
        ("Short", "258", 8, "0102"),
        ("Interface", "1:2:3:ffff", 10, "000100020003ffff"),
        ("Ether", "02:00:5e:10:00:01", 11, "02005e100001"),
        ("Prefix6", "2001:db8::/32", 12, "0020 20010db8"),
        ("Prefix6", "::/0", 12, "0000"),
        ("Prefix6", "2001:db8:8000::/33", 12, "0021 20010db880"),
        ("Prefix4", "192.0.2.0/24", 13, "0018 c0000200"),
        ("Prefix4", "0.0.0.0/0", 13, "0000 00000000"),
        ("Address6", "2001:db8::1", 14, "20010db8000000000000000000000001"),
        ("Either", "192.0.2.1", 15, "c0000201"),
        ("Either", "::1", 15, "00000000000000000000000000000001"),
        ("Octets", "0x00ffAb", 16, "00ffab"),
        ("Octets", "OU=staff;", 16, "4f553d73746166663b"),
        ("Four", "0x01020304", 17, "01020304"),
        ("Tunnel", "VLAN", 18, "0000000d"),
        ("tunnel:1", "vlan", 18, "0100000d"),
        ("Tunnel:31", "16777215", 18, "1fffffff"),
        ("Group", "20", 19, "3230"),
        ("Group:2", "20", 19, "023230"),
        ("Group", "\u{1}0", 19, "000130"),
        ("Day", "1700000000", 20, "6553f100"),
        ("With:Colon", "x", 27, "78"),
        ("Extended-1-Code", "3", 241, "04 00000003"),
        ("Acme-Pair", "a=b", 26, "00000009 01 05 613d62"),
        ("Wide-Number", "5", 26, "000001ad 00000102 00000005"),
    ] {
        let encoded = dictionary
            .encode(name, text)
            .unwrap_or_else(|error| panic!("{name} {text}: {error}"));
        assert_eq!(
            (encoded.kind, encoded.value),
            (AttributeType(kind), hex(octets)),
            "{name} {text}"
        );
    }
    assert_eq!(dictionary.encode("Group:2", "20").unwrap().tag, Tag::new(2));
}

#[test]
fn what_is_refused_and_what_is_expected_instead() {
    let dictionary = dictionary();
    for (name, text, error) in [
        ("Nonsense", "1", "no attribute is called Nonsense"),
        ("Nonsense:1", "1", "no attribute is called Nonsense:1"),
        (
            "Text:1",
            "x",
            "Text takes no tag 1: attributes of tunnels take one from 1 to 31",
        ),
        (
            "Tunnel:0",
            "VLAN",
            "Tunnel takes no tag 0: attributes of tunnels take one from 1 to 31",
        ),
        (
            "Tunnel:32",
            "VLAN",
            "Tunnel takes no tag 32: attributes of tunnels take one from 1 to 31",
        ),
        (
            "Tunnel:x",
            "VLAN",
            "Tunnel takes no tag x: attributes of tunnels take one from 1 to 31",
        ),
        (
            "Tunnel:1",
            "16777216",
            "Tunnel takes VLAN, or a whole number from 0 to 16777215",
        ),
        (
            "Service",
            "Logout",
            "Service takes Login, or a whole number from 0 to 4294967295",
        ),
        (
            "Service",
            "4294967296",
            "Service takes Login, or a whole number from 0 to 4294967295",
        ),
        (
            "Service",
            "+1",
            "Service takes Login, or a whole number from 0 to 4294967295",
        ),
        (
            "Service",
            "0x+1",
            "Service takes Login, or a whole number from 0 to 4294967295",
        ),
        (
            "Service",
            "-1",
            "Service takes Login, or a whole number from 0 to 4294967295",
        ),
        (
            "Service",
            "",
            "Service takes Login, or a whole number from 0 to 4294967295",
        ),
        ("Byte", "256", "Byte takes a whole number from 0 to 255"),
        (
            "Long",
            "18446744073709551616",
            "Long takes a whole number from 0 to 18446744073709551615",
        ),
        ("Signed", "2147483648", "Signed takes a whole number of 32 bits"),
        ("Address", "192.0.2.256", "Address takes an IPv4 address"),
        ("Address6", "192.0.2.1", "Address6 takes an IPv6 address"),
        (
            "Prefix4",
            "192.0.2.1/24",
            "Prefix4 takes an IPv4 prefix without bits beyond its length",
        ),
        (
            "Prefix4",
            "192.0.2.0/33",
            "Prefix4 takes an IPv4 prefix without bits beyond its length",
        ),
        (
            "Prefix6",
            "2001:db8::1/32",
            "Prefix6 takes an IPv6 prefix without bits beyond its length",
        ),
        (
            "Octets",
            "0x123",
            "Octets takes octets: 0x and hexadecimal, or text",
        ),
        (
            "Octets",
            "0x1g",
            "Octets takes octets: 0x and hexadecimal, or text",
        ),
        ("Four", "0x010203", "Four takes 4 octets, these are 3"),
        (
            "Ether",
            "02:00:5e:10:00",
            "Ether takes an Ethernet address: six pairs of hexadecimal digits with colons between them",
        ),
        (
            "Interface",
            "1:2:3:+4",
            "Interface takes four groups of hexadecimal digits with colons between them",
        ),
        ("Inside", "x", "Inside has no value of its own"),
        (
            "Hidden",
            "x",
            "Hidden is a secret, which is not written in the clear",
        ),
        (
            "Secret",
            "x",
            "Secret is a secret, which is not written in the clear",
        ),
        ("Vendor-Specific", "x", "Vendor-Specific has no value of its own"),
        ("Acme-Box", "x", "Acme-Box has no value of its own"),
        ("Acme-Lid", "1", "Acme-Lid has no value of its own"),
        ("Extended-5-Text", "x", "Extended-5-Text has no value of its own"),
    ] {
        assert_eq!(
            dictionary.encode(name, text).unwrap_err().to_string(),
            error,
            "{name} {text}"
        );
    }
}

#[test]
fn a_value_fills_an_attribute_and_no_more() {
    let core = Dictionary::core();
    let long = |length| "x".repeat(length);
    assert_eq!(core.encode("Reply-Message", &long(253)).unwrap().value.len(), 253);
    assert_eq!(core.encode("Cisco-AVPair", &long(247)).unwrap().value.len(), 253);
    assert_eq!(
        core.encode("Tunnel-Private-Group-ID:1", &long(252))
            .unwrap()
            .value
            .len(),
        253
    );
    for (name, length, kind) in [
        ("Reply-Message", 254, AttributeType::REPLY_MESSAGE),
        ("Reply-Message", 0, AttributeType::REPLY_MESSAGE),
        (
            "Tunnel-Private-Group-ID:1",
            253,
            AttributeType::TUNNEL_PRIVATE_GROUP_ID,
        ),
    ] {
        let Err(ValueError::Encode { cause, .. }) = core.encode(name, &long(length)) else {
            panic!("{name} {length}");
        };
        assert!(matches!(cause, EncodeError::ValueLength { kind: found, .. } if found == kind));
    }
    assert!(matches!(
        core.encode("Cisco-AVPair", &long(248)),
        Err(ValueError::Encode { .. })
    ));
}

/// Dates, which are shown as days, and what is hidden, which is not shown, stay out.
fn is_read_back(name: &str) -> bool {
    !matches!(name, "Event-Timestamp")
        && Dictionary::core()
            .encode(name, "1")
            .err()
            .is_none_or(|error| !matches!(error, ValueError::Secret(_) | ValueError::NoValue(_)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Whatever is shown of an attribute of a known form is what it is made of.
    #[test]
    fn what_is_shown_is_read_back(index: prop::sample::Index, octets in vec(any::<u8>(), 1..=64), text in "[ -~]{1,40}") {
        let core = Dictionary::core();
        let all: Vec<_> = core.iter().filter(|definition| is_read_back(&definition.name)).collect();
        let definition = all[index.index(all.len())];
        for value in [octets, text.into_bytes()] {
            // Of what anybody may have written, what the attribute can hold.
            let written = format!("0x{}", value.iter().map(|octet| format!("{octet:02x}")).collect::<String>());
            let Ok(first) = core.encode(&definition.name, &written) else { continue };
            let attribute = Attribute { kind: first.kind, value: &first.value };
            let shown = core.display(attribute).to_string();
            let (name, shown) = shown.split_once(" = ").unwrap();
            let again = core.encode(name, shown).map_err(|error| TestCaseError::fail(format!("{name} {shown}: {error}")))?;
            prop_assert_eq!(&again.value, &first.value, "{} {}", name, shown);
        }
    }

    #[test]
    fn anything_is_encoded_or_refused(index: prop::sample::Index, tag in "(:[0-9a-z]{0,3})?", text in ".{0,300}") {
        let core = Dictionary::core();
        let all: Vec<_> = core.iter().collect();
        let name = format!("{}{tag}", all[index.index(all.len())].name);
        if let Ok(encoded) = core.encode(&name, &text) {
            prop_assert!((1..=253).contains(&encoded.value.len()));
            let attribute = Attribute { kind: encoded.kind, value: &encoded.value };
            prop_assert_eq!(core.expand(attribute).len(), 1);
        }
    }
}
