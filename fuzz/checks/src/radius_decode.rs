//! Any octets decode or do not; what decodes is whole attributes. What libkrad's policies take, the RFC's takes
//! without the one or two octets at the end that libkrad ignores.

use krad::{LengthPolicy, Packet};

/// Checks any octets.
pub fn check(octets: &[u8]) {
    let policies = [LengthPolicy::Libkrad, LengthPolicy::LibkradBefore1_22];
    for policy in policies {
        if let Ok(packet) = Packet::decode_with(octets, policy) {
            without_tail(packet);
        }
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
    for policy in policies {
        let permitted = |a: krad::Attribute<'_>| policy.permits(a.kind, a.value.len());
        let taken = Packet::decode_with(octets, policy).is_ok();
        assert!(taken || !packet.attributes().iter().all(permitted));
    }
}

/// What libkrad takes is a packet without what it ignores, and says the same.
fn without_tail(packet: Packet<'_>) {
    let attributes: usize = packet.attributes().iter().map(|a| a.value.len() + 2).sum();
    let end = krad::MIN_PACKET_LENGTH + attributes;
    assert!(packet.octets().len() - end <= 2);
    let mut shorter = packet.octets()[..end].to_vec();
    shorter[2..4].copy_from_slice(&u16::try_from(end).unwrap().to_be_bytes());
    let shorter = Packet::decode(&shorter).expect("libkrad's policies take more than the default");
    assert!(shorter.attributes().iter().eq(packet.attributes()));
}
