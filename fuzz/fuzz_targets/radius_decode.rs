//! Any octets decode or do not; what decodes is whole attributes, and libkrad's policy takes no more than the
//! RFC's.
#![no_main]

use krad::{LengthPolicy, Packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let strict = Packet::decode_with(octets, LengthPolicy::Libkrad);
    let Ok(packet) = Packet::decode(octets) else {
        assert!(strict.is_err(), "a policy takes more than the default");
        return;
    };
    assert!(octets.starts_with(packet.octets()));
    assert!((krad::MIN_PACKET_LENGTH..=krad::MAX_PACKET_LENGTH).contains(&packet.octets().len()));

    // The header and the attributes are all there is of it.
    let length = u16::try_from(packet.octets().len()).unwrap();
    let mut encoded = vec![packet.code().0, packet.identifier().0];
    encoded.extend(length.to_be_bytes());
    encoded.extend(packet.authenticator());
    for attribute in packet.attributes() {
        encoded.extend([attribute.kind.0, u8::try_from(attribute.value.len() + 2).unwrap()]);
        encoded.extend(attribute.value);
    }
    assert_eq!(encoded, packet.octets());

    // Padding is not part of it, and any less of it is no packet.
    assert_eq!(Packet::decode(packet.octets()).unwrap().octets(), packet.octets());
    assert!(Packet::decode(&packet.octets()[..packet.octets().len() - 1]).is_err());
    let permitted = |a: krad::Attribute<'_>| LengthPolicy::Libkrad.permits(a.kind, a.value.len());
    assert_eq!(strict.is_ok(), packet.attributes().iter().all(permitted));
});
