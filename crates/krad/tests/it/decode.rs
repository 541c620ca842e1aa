//! What is not a packet, with its exact error.

use krad::{
    AttributeType, Code, DecodeError, EncodeError, Identifier, LengthPolicy, Packet, RequestBuilder,
    SharedSecret, bytes_needed,
};

use crate::{
    hex::{authenticator, hex},
    vectors::{REPLIES, REQUEST_UNIX, REQUEST_WITH_MAC, REQUEST_WITHOUT_MAC},
};

/// A packet with these attributes and a right Length.
fn packet(attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + attributes.len()).unwrap().to_be_bytes();
    [&[1, 7][..], &length, &[0; 16], attributes].concat()
}

#[test]
fn length_rules() {
    for (length, error) in [
        (0, DecodeError::Length(0)),
        (19, DecodeError::Length(19)),
        (4097, DecodeError::Length(4097)),
        (65535, DecodeError::Length(65535)),
        (
            4096,
            DecodeError::Truncated {
                length: 4096,
                available: 30,
            },
        ),
        (
            31,
            DecodeError::Truncated {
                length: 31,
                available: 30,
            },
        ),
    ] {
        let mut octets = [packet(&[]), vec![0; 10]].concat();
        octets[2..4].copy_from_slice(&u16::to_be_bytes(length));
        assert_eq!(Packet::decode(&octets).unwrap_err(), error);
    }
    for available in 0..20 {
        assert_eq!(
            Packet::decode(&packet(&[])[..available]).unwrap_err(),
            DecodeError::Header(available)
        );
    }
}

#[test]
fn octets_beyond_length_are_padding() {
    let whole = packet(&[1, 3, b'a']);
    let padded = [&whole[..], &[0xff; 50]].concat();
    let decoded = Packet::decode(&padded).unwrap();
    assert_eq!(decoded.octets(), whole);
    assert_eq!(decoded.attributes().iter().count(), 1);
}

#[test]
fn attribute_rules() {
    for (attributes, offset) in [
        (&[1][..], 20),                   // no Length
        (&[1, 0], 20),                    // Length 0
        (&[1, 1], 20),                    // Length 1
        (&[1, 3], 20),                    // past the end
        (&[1, 4, 0], 20),                 // past the end
        (&[1, 255, 0, 0], 20),            // past the end
        (&[1, 3, b'a', 1], 23),           // one octet left
        (&[1, 3, b'a', 0, 0], 23),        // zero padding inside Length
        (&[1, 2, 1, 3, b'a', 2, 99], 25), // third one
    ] {
        assert_eq!(
            Packet::decode(&packet(attributes)).unwrap_err(),
            DecodeError::Attribute(offset)
        );
    }
}

#[test]
fn order_and_repetition_are_kept() {
    let octets = packet(&[33, 3, 1, 1, 3, b'a', 33, 3, 2, 200, 2, 33, 3, 3]);
    let attributes = Packet::decode(&octets).unwrap().attributes();
    let kinds: Vec<u8> = attributes.iter().map(|attribute| attribute.kind.0).collect();
    assert_eq!(kinds, [33, 1, 33, 200, 33]);
    assert_eq!(
        attributes.all(AttributeType::PROXY_STATE).collect::<Vec<_>>(),
        [[1], [2], [3]]
    );
    assert_eq!(attributes.first(AttributeType(200)), Some(&[][..]));
    assert_eq!(attributes.first(AttributeType::STATE), None);
}

#[test]
fn any_code_decodes() {
    for code in 0..=u8::MAX {
        let mut octets = packet(&[]);
        octets[0] = code;
        assert_eq!(Packet::decode(&octets).unwrap().code(), Code(code));
    }
}

#[test]
fn libkrad_lengths() {
    let nas_ipv6_address = packet(&[&[95, 18][..], &[0; 16]].concat());
    let kind = AttributeType::NAS_IPV6_ADDRESS;
    Packet::decode(&nas_ipv6_address).unwrap();
    assert_eq!(
        Packet::decode_with(&nas_ipv6_address, LengthPolicy::Libkrad).unwrap_err(),
        DecodeError::AttributeLength { kind, length: 16 }
    );
    for request in [REQUEST_WITH_MAC, REQUEST_WITHOUT_MAC, REQUEST_UNIX] {
        Packet::decode_with(&hex(request), LengthPolicy::Libkrad).unwrap();
    }
}

/// libkrad does not look at the last one or two octets; digests cover them all the same.
#[test]
fn libkrad_ignores_the_end() {
    for policy in [LengthPolicy::Libkrad, LengthPolicy::LibkradBefore1_22] {
        for end in [&[][..], &[5], &[0, 0], &[1, 2], &[200, 2]] {
            let octets = packet(&[&[1, 3, b'a'][..], end].concat());
            let decoded = Packet::decode_with(&octets, policy).unwrap();
            assert_eq!(decoded.octets(), octets);
            assert_eq!(decoded.attributes().iter().count(), 1, "{end:?}");
        }
        let three = packet(&[1, 3, b'a', 0, 0, 0]);
        assert_eq!(
            Packet::decode_with(&three, policy).unwrap_err(),
            DecodeError::Attribute(23)
        );
    }
    let with_mac = hex(REQUEST_WITH_MAC);
    let kind = AttributeType::MESSAGE_AUTHENTICATOR;
    assert_eq!(
        Packet::decode_with(&with_mac, LengthPolicy::LibkradBefore1_22).unwrap_err(),
        DecodeError::AttributeLength { kind, length: 16 }
    );
}

#[test]
fn truncated_at_every_length() {
    let requests = [REQUEST_WITH_MAC, REQUEST_WITHOUT_MAC, REQUEST_UNIX];
    for valid in requests.into_iter().chain(REPLIES.iter().map(|row| row.5)) {
        let octets = hex(valid);
        let length = u16::try_from(octets.len()).unwrap();
        for available in 0..octets.len() {
            let truncated = &octets[..available];
            let expected = if available < 20 {
                DecodeError::Header(available)
            } else {
                DecodeError::Truncated { length, available }
            };
            assert_eq!(Packet::decode(truncated).unwrap_err(), expected);
            let missing = if available < 4 { 4 } else { octets.len() } - available;
            assert_eq!(bytes_needed(truncated), Ok(missing));
        }
        Packet::decode(&octets).unwrap();
    }
}

/// Without Message-Authenticator: 15 User-Names of 253 octets and one of 249 make 4096 octets.
#[test]
fn longest_packet() {
    let secret = SharedSecret::new(b"foo");
    let full = |last: usize| {
        let builder = RequestBuilder::access_request(Identifier(0), authenticator(&"0".repeat(32)), &secret)
            .dangerous_omit_message_authenticator();
        (0..15)
            .try_fold(builder, |b, _| b.user_name(&[b'u'; 253]))?
            .user_name(&vec![b'u'; last])?
            .build()
    };
    let pending = full(249).unwrap();
    assert_eq!(pending.octets().len(), 4096);
    assert_eq!(
        Packet::decode(pending.octets())
            .unwrap()
            .attributes()
            .iter()
            .count(),
        16
    );
    assert_eq!(full(250).unwrap_err(), EncodeError::PacketLength(4097));
}

/// Lengths of packets whose only attribute is a password: 38, 38, 38, 54, 150 octets, 18 more with
/// Message-Authenticator.
#[test]
fn password_lengths() {
    let secret = SharedSecret::new(b"foo");
    let length_of = |password: usize, with_mac: bool| {
        let builder = RequestBuilder::access_request(Identifier(0), authenticator(&"0".repeat(32)), &secret);
        let builder = if with_mac {
            builder
        } else {
            builder.dangerous_omit_message_authenticator()
        };
        builder
            .user_password(&vec![b'p'; password])
            .unwrap()
            .build()
            .unwrap()
            .octets()
            .len()
    };
    for (password, length) in [(1, 38), (15, 38), (16, 38), (17, 54), (128, 150)] {
        assert_eq!(length_of(password, false), length);
        assert_eq!(length_of(password, true), length + 18);
    }
}

#[test]
fn values_that_cannot_be_sent() {
    let secret = SharedSecret::new(b"foo");
    let builder = || RequestBuilder::access_request(Identifier(0), authenticator(&"0".repeat(32)), &secret);
    let kind = AttributeType::USER_NAME;
    for length in [0, 254, 300] {
        let refused = builder().user_name(&vec![b'u'; length]).unwrap_err();
        assert_eq!(refused, EncodeError::ValueLength { kind, length });
    }
    for kind in [AttributeType::USER_PASSWORD, AttributeType::MESSAGE_AUTHENTICATOR] {
        assert_eq!(
            builder().with(kind, &[0; 16]).unwrap_err(),
            EncodeError::Reserved(kind)
        );
    }
}
