//! Attributes with a structure of their own: vendors', tunnels', extended ones, CHAP.

use krad::{
    AttributeType, Chap, ChapError, Code, EncodeError, Identifier, MessageAuthenticatorRule, Packet,
    ReplyStyle, RequestBuilder, SharedSecret, Tag, Tagged, VendorAttribute, VendorFormat, VendorId,
    VendorSpecific, chap_password,
};
use proptest::{collection::vec, prelude::*};

use crate::{hex::hex, vectors::IF_PRESENT};

/// RFC 2865 §7.2: Access-Request of flopsy, CHAP identifier 22, password "arctangent".
const RFC_2865_7_2: &str = "01010047 2aee86f08d0d55969ca5978e0d3367a2 0108666c6f707379 031316e97557c316185895f293ff6344077275 \
     0406c0a80110 050600000014 060600000002 070600000001";

#[test]
fn chap_matches_rfc2865_7_2() {
    let octets = hex(RFC_2865_7_2);
    let secret = SharedSecret::new(b"xyzzy5461");
    let request = Packet::decode(&octets)
        .unwrap()
        .authenticate(&secret, IF_PRESENT)
        .unwrap();
    let chap = request.chap().unwrap().unwrap();
    assert!(bool::from(chap.matches(b"arctangent")));
    for wrong in [&b"arctangen"[..], b"arctangent\0", b"Arctangent", b""] {
        assert!(!bool::from(chap.matches(wrong)), "{wrong:?}");
    }
    assert_eq!(
        chap_password(22, b"arctangent", request.authenticator().as_bytes())[..],
        *request.attributes().first(AttributeType::CHAP_PASSWORD).unwrap()
    );
    assert_eq!(format!("{chap:?}"), "Chap(..)");
}

fn chap_request(attributes: &[(AttributeType, &[u8])]) -> Result<Option<bool>, ChapError> {
    let secret = SharedSecret::new(b"foo");
    let builder = RequestBuilder::access_request(Identifier(1), [9; 16].into(), &secret);
    let pending = attributes
        .iter()
        .try_fold(builder, |builder, &(kind, value)| match kind {
            AttributeType::USER_PASSWORD => builder.user_password(value),
            _ => builder.with(kind, value),
        })
        .and_then(RequestBuilder::build)
        .unwrap();
    let packet = Packet::decode(pending.octets()).unwrap();
    let request = packet
        .authenticate(&secret, MessageAuthenticatorRule::Required)
        .unwrap();
    Ok(request.chap()?.map(|chap| chap.matches(b"755224").into()))
}

#[test]
fn chap_rules() {
    use AttributeType as A;
    let own = chap_password(7, b"755224", b"a challenge of its own");
    let authenticator = chap_password(7, b"755224", &[9; 16]);
    let challenge = (A::CHAP_CHALLENGE, &b"a challenge of its own"[..]);
    assert_eq!(chap_request(&[]), Ok(None));
    assert_eq!(chap_request(&[challenge]), Ok(None));
    assert_eq!(
        chap_request(&[(A::CHAP_PASSWORD, &authenticator)]),
        Ok(Some(true))
    );
    assert_eq!(
        chap_request(&[(A::CHAP_PASSWORD, &own), challenge]),
        Ok(Some(true))
    );
    // A challenge that is there is the one that counts.
    assert_eq!(
        chap_request(&[(A::CHAP_PASSWORD, &authenticator), challenge]),
        Ok(Some(false))
    );
    assert_eq!(chap_request(&[(A::CHAP_PASSWORD, &own)]), Ok(Some(false)));
    for length in [1, 16, 18, 253] {
        let value = vec![7; length];
        assert_eq!(
            chap_request(&[(A::CHAP_PASSWORD, &value)]),
            Err(ChapError::Length(length))
        );
    }
    assert_eq!(Chap::new(&[], &[]).unwrap_err(), ChapError::Length(0));
    assert_eq!(
        chap_request(&[(A::CHAP_PASSWORD, &own), (A::CHAP_CHALLENGE, b"four")]),
        Err(ChapError::ChallengeLength(4))
    );
    assert_eq!(
        chap_request(&[(A::CHAP_PASSWORD, &own), (A::CHAP_PASSWORD, &own), challenge]),
        Err(ChapError::Repeated(A::CHAP_PASSWORD))
    );
    assert_eq!(
        chap_request(&[(A::CHAP_PASSWORD, &own), challenge, challenge]),
        Err(ChapError::Repeated(A::CHAP_CHALLENGE))
    );
    assert_eq!(
        chap_request(&[(A::CHAP_PASSWORD, &own), (A::USER_PASSWORD, b"755224"), challenge]),
        Err(ChapError::WithUserPassword)
    );
}

fn format(type_octets: u8, length_octets: u8, continuation: bool) -> VendorFormat {
    VendorFormat::new(type_octets, length_octets, continuation).unwrap()
}

/// (octets after Vendor-Id, layout, attributes; `None` if opaque).
#[test]
fn vendor_layouts() {
    let standard = VendorFormat::default();
    type Row = (
        &'static str,
        VendorFormat,
        Option<&'static [(u32, &'static [u8])]>,
    );
    let rows: [Row; 17] = [
        ("010361", standard, Some(&[(1, b"a")])),
        (
            "010361ff02020462 63",
            standard,
            Some(&[(1, b"a"), (255, b""), (2, b"bc")]),
        ),
        ("01", standard, None),
        ("0100", standard, None),
        ("0101", standard, None),
        ("0104 61", standard, None),
        ("010361 00", standard, None),
        ("ffff", standard, None),
        ("01000361", format(2, 1, false), None),
        ("01000461", format(2, 1, false), Some(&[(256, b"a")])),
        ("0001000561", format(2, 2, false), Some(&[(1, b"a")])),
        ("0001000461", format(2, 2, false), None),
        ("0000000161", format(4, 0, false), Some(&[(1, b"a")])),
        ("00000001", format(4, 0, false), Some(&[(1, b"")])),
        ("01040061", format(1, 1, true), Some(&[(1, b"a")])),
        ("010361", format(1, 1, true), Some(&[(1, b"")])),
        ("0102", format(1, 1, true), None),
    ];
    for (octets, format, expected) in rows {
        let value = [&9_u32.to_be_bytes()[..], &hex(octets)].concat();
        let vendor = VendorSpecific::decode(&value).unwrap();
        assert_eq!(vendor.vendor, VendorId(9));
        let decoded: Option<Vec<_>> = vendor
            .attributes(format)
            .map(|all| all.map(|a| (a.kind, a.value)).collect());
        assert_eq!(decoded.as_deref(), expected, "{octets} {format:?}");
    }
    assert_eq!(VendorSpecific::decode(&[0, 0, 0, 9]), None);
    assert_eq!(VendorSpecific::decode(&[]), None);
    for (type_octets, length_octets, continuation) in [
        (0, 1, false),
        (3, 1, false),
        (1, 3, false),
        (2, 1, true),
        (1, 0, true),
    ] {
        assert_eq!(VendorFormat::new(type_octets, length_octets, continuation), None);
    }
    let continued = VendorSpecific::decode(&[0, 0, 0x60, 0xb5, 1, 4, 0x80, b'a']).unwrap();
    let attribute = VendorAttribute {
        kind: 1,
        value: b"a",
        more: true,
    };
    assert!(continued.attributes(format(1, 1, true)).unwrap().eq([attribute]));
}

#[test]
fn vendor_values_that_cannot_be_sent() {
    let encode = |format, kind, length: usize| {
        VendorSpecific::encode(VendorId(9), format, [(kind, &vec![b'v'; length][..])])
            .map(|octets| octets.len())
    };
    let standard = VendorFormat::default();
    assert_eq!(encode(standard, 255, 247), Ok(253));
    let kind = AttributeType::VENDOR_SPECIFIC;
    assert_eq!(
        encode(standard, 255, 248),
        Err(EncodeError::ValueLength { kind, length: 254 })
    );
    assert_eq!(
        encode(standard, 255, 254),
        Err(EncodeError::VendorAttribute {
            kind: 255,
            length: 254
        })
    );
    assert_eq!(
        encode(standard, 256, 1),
        Err(EncodeError::VendorAttribute { kind: 256, length: 1 })
    );
    assert_eq!(encode(format(4, 0, false), u32::MAX, 245), Ok(253));
    let none: [(u32, &[u8]); 0] = [];
    assert_eq!(
        VendorSpecific::encode(VendorId(9), standard, none),
        Err(EncodeError::ValueLength { kind, length: 4 })
    );
    let two = [(1, &b"a"[..]), (2, b"b")];
    assert_eq!(
        VendorSpecific::encode(VendorId(9), format(1, 0, false), two),
        Err(EncodeError::VendorAttribute { kind: 2, length: 1 })
    );
}

#[test]
fn tags() {
    let string = |octets| Tagged::<&[u8]>::decode_string(octets);
    for (octets, tag, value) in [
        (&b"\x00vlan"[..], None, &b"vlan"[..]),
        (b"\x01vlan", Tag::new(1), b"vlan"),
        (b"\x1fvlan", Tag::new(31), b"vlan"),
        (b"\x20vlan", None, b"\x20vlan"),
        (b"vlan", None, b"vlan"),
        (b"\x05", Tag::new(5), b""),
        (b"", None, b""),
    ] {
        assert_eq!(string(octets), Tagged { tag, value });
    }
    assert_eq!(
        Tagged {
            tag: None,
            value: &b"\x01x"[..]
        }
        .encode(),
        b"\x00\x01x"
    );
    assert_eq!(
        Tagged {
            tag: None,
            value: &b"x"[..]
        }
        .encode(),
        b"x"
    );
    assert_eq!(
        Tagged {
            tag: Tag::new(2),
            value: &b"x"[..]
        }
        .encode(),
        b"\x02x"
    );
    for (octets, expected) in [
        (&[0, 0, 0, 13][..], Some(Tagged { tag: None, value: 13 })),
        (
            &[31, 1, 2, 3],
            Some(Tagged {
                tag: Tag::new(31),
                value: 0x01_02_03,
            }),
        ),
        (&[32, 0, 0, 6], Some(Tagged { tag: None, value: 6 })),
        (&[1, 0, 0], None),
        (&[1, 0, 0, 0, 0], None),
    ] {
        assert_eq!(Tagged::decode_integer(octets), expected);
    }
    assert_eq!(
        Tagged {
            tag: Tag::new(1),
            value: 0x0100_0000_u32
        }
        .encode(),
        None
    );
    for tag in [0, 32, 255] {
        assert_eq!(Tag::new(tag), None);
    }
}

/// RFC 6929 types are opaque to the codec: they come through as they are, in request and reply.
#[test]
fn extended_attributes_come_through_unharmed() {
    let secret = SharedSecret::new(b"foo");
    let builder = RequestBuilder::access_request(Identifier(1), [9; 16].into(), &secret);
    let values: Vec<(AttributeType, Vec<u8>)> = (241..=246)
        .flat_map(|kind| [1, 2, 3, 9, 253].map(|length| (AttributeType(kind), vec![kind; length])))
        .collect();
    let pending = values
        .iter()
        .try_fold(builder, |b, (kind, value)| b.with(*kind, value))
        .unwrap()
        .build()
        .unwrap();
    let packet = Packet::decode(pending.octets()).unwrap();
    let request = packet
        .authenticate(&secret, MessageAuthenticatorRule::Required)
        .unwrap();
    let extended = |attributes: krad::Attributes<'_>| -> Vec<(AttributeType, Vec<u8>)> {
        let all = attributes.iter().filter(|a| a.kind.0 >= 241);
        all.map(|a| (a.kind, a.value.to_vec())).collect()
    };
    assert_eq!(extended(request.attributes()), values);
    let reply = values
        .iter()
        .try_fold(request.reply(Code::ACCESS_ACCEPT), |b, (kind, value)| {
            b.with(*kind, value)
        });
    let octets = reply.unwrap().sign(ReplyStyle::Network).unwrap();
    let reply = pending
        .verify(
            Packet::decode(&octets).unwrap(),
            MessageAuthenticatorRule::Required,
        )
        .unwrap();
    assert_eq!(extended(reply.attributes()), values);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn vendor_attributes_come_back(
        vendor: u32,
        layout in prop::sample::select(vec![(1, 1, false), (2, 1, false), (2, 2, false), (4, 1, false), (4, 2, false), (1, 1, true)]),
        attributes in vec((any::<u8>(), vec(any::<u8>(), 0..40)), 1..5),
    ) {
        let format = format(layout.0, layout.1, layout.2);
        let pairs = attributes.iter().map(|(kind, value)| (u32::from(*kind), value.as_slice()));
        let octets = VendorSpecific::encode(VendorId(vendor), format, pairs.clone()).unwrap();
        let decoded = VendorSpecific::decode(&octets).unwrap();
        prop_assert_eq!(decoded.vendor, VendorId(vendor));
        prop_assert!(decoded.attributes(format).unwrap().map(|a| (a.kind, a.value)).eq(pairs));
        // Any less of it is opaque, or it is whole attributes.
        for length in 5..octets.len() {
            if let Some(all) = VendorSpecific::decode(&octets[..length]).unwrap().attributes(format) {
                prop_assert!(all.zip(decoded.attributes(format).unwrap()).all(|(a, b)| a == b));
            }
        }
    }

    #[test]
    fn any_vendor_octets_are_attributes_or_opaque(octets in vec(any::<u8>(), 0..80), layout in (1_u8..5, 0_u8..3, any::<bool>())) {
        if let (Some(vendor), Some(format)) = (VendorSpecific::decode(&octets), VendorFormat::new(layout.0, layout.1, layout.2))
            && let Some(attributes) = vendor.attributes(format)
        {
            let pairs = attributes.clone().map(|a| (a.kind, a.value));
            if attributes.clone().all(|a| !a.more) && (!layout.2 || attributes.clone().count() > 0) {
                let encoded = VendorSpecific::encode(vendor.vendor, format, pairs).unwrap();
                prop_assert!(encoded == octets || layout.2, "the reserved bits of the flag alone are not kept");
            }
        }
    }

    /// The response depends on every bit of the identifier, the password and the challenge.
    #[test]
    fn chap_round_trips_and_covers_every_bit(
        identifier: u8,
        password in vec(any::<u8>(), 0..=40),
        challenge in vec(any::<u8>(), 5..=40),
        bit: prop::sample::Index,
    ) {
        let value = chap_password(identifier, &password, &challenge);
        let matches = |value: &[u8], password: &[u8], challenge: &[u8]| {
            bool::from(Chap::new(value, challenge).unwrap().matches(password))
        };
        prop_assert!(matches(&value, &password, &challenge));
        let flipped = |octets: &[u8]| {
            let mut octets = octets.to_vec();
            let bit = bit.index(octets.len() * 8);
            octets[bit / 8] ^= 1 << (bit % 8);
            octets
        };
        prop_assert!(!matches(&flipped(&value), &password, &challenge));
        prop_assert!(!matches(&value, &password, &flipped(&challenge)));
        if !password.is_empty() {
            prop_assert!(!matches(&value, &flipped(&password), &challenge));
        }
    }

    #[test]
    fn tagged_integers_come_back(tag in 0_u8..=31, value in 0..1_u32 << 24) {
        let tagged = Tagged { tag: Tag::new(tag), value };
        let octets = tagged.encode().unwrap();
        prop_assert_eq!(Tagged::decode_integer(&octets), Some(tagged));
        for length in 0..octets.len() {
            prop_assert_eq!(Tagged::decode_integer(&octets[..length]), None);
        }
    }

    #[test]
    fn tagged_strings_come_back(tag in 0_u8..=31, value in vec(any::<u8>(), 0..50)) {
        let tagged = Tagged { tag: Tag::new(tag), value: value.as_slice() };
        let octets = tagged.encode();
        prop_assert_eq!(Tagged::decode_string(&octets), tagged);
    }
}
