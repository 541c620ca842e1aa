//! Attributes as logs show them, and what is in them.

use krad::{Attribute, AttributeType, dictionary::Dictionary};
use proptest::{collection::vec, prelude::*};

use crate::hex::hex;

fn dictionary() -> Dictionary {
    Dictionary::parse(
        "ATTRIBUTE Text 1 string\n\
         ATTRIBUTE Password 2 string encrypt=1\n\
         ATTRIBUTE Address 3 ipaddr\n\
         ATTRIBUTE Service 4 integer\n\
         VALUE Service Login 1\n\
         ATTRIBUTE Long 5 integer64\n\
         ATTRIBUTE Signed 6 signed\n\
         ATTRIBUTE Byte 7 byte\n\
         ATTRIBUTE Short 8 short\n\
         ATTRIBUTE Date 9 date\n\
         ATTRIBUTE Interface 10 ifid\n\
         ATTRIBUTE Ether 11 ether\n\
         ATTRIBUTE Prefix6 12 ipv6prefix\n\
         ATTRIBUTE Prefix4 13 ipv4prefix\n\
         ATTRIBUTE Address6 14 ipv6addr\n\
         ATTRIBUTE Either 15 combo-ip\n\
         ATTRIBUTE Octets 16 octets\n\
         ATTRIBUTE Secret 17 octets secret\n\
         ATTRIBUTE Tunnel 18 integer has_tag\n\
         VALUE Tunnel VLAN 13\n\
         ATTRIBUTE Group 19 string has_tag\n\
         ATTRIBUTE Vendor-Specific 26 vsa\n\
         ATTRIBUTE Extended-1 241 extended\n\
         ATTRIBUTE Extended-1-Code 241.4 integer\n\
         ATTRIBUTE Extended-1-Vendor 241.26 evs\n\
         ATTRIBUTE Extended-5 245 long-extended\n\
         ATTRIBUTE Extended-5-Text 245.1 string\n\
         VENDOR Acme 9\n\
         BEGIN-VENDOR Acme\n\
         ATTRIBUTE Acme-Pair 1 string\n\
         ATTRIBUTE Acme-Box 2 tlv\n\
         ATTRIBUTE Acme-Lid 2.1 byte\n\
         END-VENDOR Acme\n\
         BEGIN-VENDOR Acme format=Extended-1-Vendor\n\
         ATTRIBUTE Acme-Far 7 string\n\
         END-VENDOR Acme\n\
         VENDOR WiMAX 24757 format=1,1,c\n",
    )
    .unwrap()
}

#[test]
fn values_by_type() {
    let dictionary = dictionary();
    for (kind, octets, shown) in [
        (1, "616c696365", r#"Text = "alice""#),
        (1, "61 22 0a 5c c3a4 ff 1b", r#"Text = "a\"\n\\ä\xff\u{1b}""#),
        (1, "", r#"Text = """#),
        (2, "00112233445566778899aabbccddeeff", "Password = <hidden>"),
        (3, "c0000201", "Address = 192.0.2.1"),
        (3, "c00002", "Address = 0xc00002"),
        (4, "00000001", "Service = Login"),
        (4, "00000002", "Service = 2"),
        (4, "000002", "Service = 0x000002"),
        (5, "ffffffffffffffff", "Long = 18446744073709551615"),
        (6, "fffffffe", "Signed = -2"),
        (7, "ff", "Byte = 255"),
        (8, "0100", "Short = 256"),
        (9, "00000000", "Date = 1970-01-01T00:00:00Z"),
        (9, "386d4380", "Date = 2000-01-01T00:00:00Z"),
        (9, "38bc6fff", "Date = 2000-03-01T01:18:55Z"),
        (9, "38bb1e80", "Date = 2000-02-29T01:18:56Z"),
        (9, "7fffffff", "Date = 2038-01-19T03:14:07Z"),
        (9, "ffffffff", "Date = 2106-02-07T06:28:15Z"),
        (10, "0200000000000001", "Interface = 200:0:0:1"),
        (11, "0a0b0c0d0e0f", "Ether = 0a:0b:0c:0d:0e:0f"),
        (12, "0020 20010db8", "Prefix6 = 2001:db8::/32"),
        (12, "0021 20010db8", "Prefix6 = 0x002120010db8"),
        (12, "0000", "Prefix6 = ::/0"),
        (
            12,
            "0081 20010db8000000000000000000000001",
            "Prefix6 = 0x008120010db8000000000000000000000001",
        ),
        (13, "0018 c0000200", "Prefix4 = 192.0.2.0/24"),
        (14, "20010db8000000000000000000000001", "Address6 = 2001:db8::1"),
        (15, "c0000201", "Either = 192.0.2.1"),
        (15, "20010db8000000000000000000000001", "Either = 2001:db8::1"),
        (16, "00ff", "Octets = 0x00ff"),
        (17, "00ff", "Secret = <hidden>"),
        (18, "0100000d", "Tunnel:1 = VLAN"),
        (18, "0000000d", "Tunnel = VLAN"),
        (18, "0100", "Tunnel = 0x0100"),
        (19, "02766c616e", r#"Group:2 = "vlan""#),
        (19, "766c616e", r#"Group = "vlan""#),
        (200, "00ff", "Attr-200 = 0x00ff"),
        (26, "00000009 010361", r#"Acme-Pair = "a""#),
        (
            26,
            "00000009 010361 010362 030363",
            r#"Acme-Pair = "a", Acme-Pair = "b", Attr-26.9.3 = 0x63"#,
        ),
        (26, "00000009 0205 010307", "Acme-Lid = 7"),
        (26, "00000009 0205 010407", "Acme-Box = 0x010407"),
        (26, "00000009 010461", "Vendor-Specific = 0x00000009010461"),
        (26, "0000000a 010361", "Vendor-Specific = 0x0000000a010361"),
        (26, "000060b5 01040061", "Attr-26.24757.1 = 0x61"),
        (26, "000060b5 01048061", "Vendor-Specific = 0x000060b501048061"),
        (26, "0000", "Vendor-Specific = 0x0000"),
        (241, "0400000001", "Extended-1-Code = 1"),
        (241, "0561", "Attr-241.5 = 0x61"),
        (241, "1a 00000009 0761", r#"Acme-Far = "a""#),
        (241, "", "Extended-1 = 0x"),
        (245, "010061", r#"Extended-5-Text = "a""#),
        (245, "018061", "Extended-5 = 0x018061"),
    ] {
        let value = hex(octets);
        let attribute = Attribute {
            kind: AttributeType(kind),
            value: &value,
        };
        assert_eq!(
            dictionary.display(attribute).to_string(),
            shown,
            "{kind} {octets}"
        );
    }
}

#[test]
fn what_is_in_an_attribute() {
    let dictionary = dictionary();
    let value = hex("00000009 010361 0205 010307");
    let expanded = dictionary.expand(Attribute {
        kind: AttributeType::VENDOR_SPECIFIC,
        value: &value,
    });
    let found: Vec<_> = expanded
        .iter()
        .map(|a| (a.oid.to_string(), a.definition.unwrap().name.as_str(), a.value))
        .collect();
    assert_eq!(
        found,
        [
            ("26.9.1".to_owned(), "Acme-Pair", &b"a"[..]),
            ("26.9.2.1".to_owned(), "Acme-Lid", &[7])
        ]
    );
    assert_eq!(
        format!("{expanded:?}"),
        "[26.9.1 (1 octets), 26.9.2.1 (1 octets)]"
    );
}

/// Passwords, and what passwords can be tried on, stay out of logs.
#[test]
fn the_core_hides_what_is_secret() {
    for (kind, length) in [(2, 16), (3, 17), (69, 18)] {
        let value = vec![b's'; length];
        let shown = Dictionary::core()
            .display(Attribute {
                kind: AttributeType(kind),
                value: &value,
            })
            .to_string();
        assert!(shown.ends_with(" = <hidden>"), "{shown}");
    }
    let response = [&hex("00000137 1934")[..], &[b's'; 50]].concat();
    let attribute = Attribute {
        kind: AttributeType::VENDOR_SPECIFIC,
        value: &response,
    };
    assert_eq!(
        Dictionary::core().display(attribute).to_string(),
        "MS-CHAP2-Response = <hidden>"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_attribute_is_one_line(kind: u8, vendor in prop::sample::select(vec![9_u32, 311, 429, 4846, 24757]), value in vec(any::<u8>(), 0..=253)) {
        let vendors = [&vendor.to_be_bytes()[..], &value].concat();
        for (kind, value) in [(AttributeType(kind), &value[..]), (AttributeType::VENDOR_SPECIFIC, &vendors)] {
            for dictionary in [Dictionary::core(), super::debian::freeradius()] {
                let attribute = Attribute { kind, value };
                let shown = dictionary.display(attribute).to_string();
                prop_assert!(shown.contains(" = ") && !shown.contains(char::is_control), "{shown:?}");
                let octets: usize = dictionary.expand(attribute).iter().map(|a| a.value.len()).sum();
                prop_assert!(octets <= value.len());
            }
        }
    }
}
