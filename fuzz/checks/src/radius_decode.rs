//! Any octets decode or do not; what decodes is whole attributes. What libkrad's policy takes, the RFC's takes
//! without the one or two octets at the end that libkrad ignores.

use krad::{LengthPolicy, Packet};

/// Checks any octets.
pub fn check(octets: &[u8]) {
    let strict = Packet::decode_with(octets, LengthPolicy::Libkrad);
    if let Ok(packet) = strict {
        let attributes: usize = packet.attributes().iter().map(|a| a.value.len() + 2).sum();
        let end = krad::MIN_PACKET_LENGTH + attributes;
        assert!(packet.octets().len() - end <= 2);
        let mut shorter = packet.octets()[..end].to_vec();
        shorter[2..4].copy_from_slice(&u16::try_from(end).unwrap().to_be_bytes());
        let shorter = Packet::decode(&shorter).expect("libkrad's policy takes more than the default");
        assert!(shorter.attributes().iter().eq(packet.attributes()));
    }
    let Ok(packet) = Packet::decode(octets) else {
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
    assert!(strict.is_ok() || !packet.attributes().iter().all(permitted));
}
