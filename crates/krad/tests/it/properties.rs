//! Properties over any octets.

use krad::{
    AttributeType, Identifier, LengthPolicy, MessageAuthenticatorRule, Packet, RequestAuthenticator,
    RequestBuilder, SharedSecret, hide_user_password, reveal_user_password,
};
use proptest::{collection::vec, prelude::*};

/// Octets that often are a packet: a right Length, mostly right attributes.
fn nearly_packets() -> impl Strategy<Value = Vec<u8>> {
    let attribute = (any::<u8>(), vec(any::<u8>(), 0..40), 0_u8..20).prop_map(|(kind, value, odd)| {
        let length = u8::try_from(value.len() + 2).unwrap();
        [
            &[kind, if odd == 0 { length.wrapping_sub(1) } else { length }][..],
            &value,
        ]
        .concat()
    });
    (any::<[u8; 20]>(), vec(attribute, 0..12), 0_u8..10).prop_map(|(header, attributes, odd)| {
        let mut octets = [&header[..], &attributes.concat()].concat();
        let length = u16::try_from(octets.len()).unwrap();
        if odd > 0 {
            octets[2..4].copy_from_slice(&length.to_be_bytes());
        }
        octets
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets_decode_or_do_not(octets in prop_oneof![nearly_packets(), vec(any::<u8>(), 0..200)]) {
        let secret = SharedSecret::new(b"foo");
        for policy in [LengthPolicy::Rfc2865, LengthPolicy::Libkrad, LengthPolicy::LibkradBefore1_22] {
            let Ok(packet) = Packet::decode_with(&octets, policy) else { continue };
            let length = packet.octets().len();
            let attributes: usize = packet.attributes().iter().map(|a| a.value.len() + 2).sum();
            let ignored = length - 20 - attributes;
            prop_assert!(ignored == 0 || (ignored <= 2 && policy != LengthPolicy::Rfc2865));
            prop_assert!(octets.starts_with(packet.octets()));
            let rule = MessageAuthenticatorRule::IfPresent { limit_proxy_state: false };
            if let Ok(request) = packet.authenticate(&secret, rule) {
                let _ = request.user_password();
                prop_assert!(request.to_buf().as_request().attributes().iter().eq(packet.attributes()));
                prop_assert_eq!(request.service_type().is_some(),
                    request.attributes().first(AttributeType::SERVICE_TYPE).is_some_and(|v| v.len() == 4));
            }
        }
    }

    #[test]
    fn what_is_built_decodes_and_is_authentic(
        identifier: u8,
        authenticator: [u8; 16],
        secret in vec(any::<u8>(), 0..100),
        password in vec(any::<u8>(), 0..=128),
        attributes in vec((any::<u8>(), vec(any::<u8>(), 1..=253)), 0..14),
    ) {
        let secret = SharedSecret::new(&secret);
        let mut builder = RequestBuilder::access_request(Identifier(identifier), authenticator.into(), &secret);
        let attributes: Vec<_> = attributes.into_iter().filter(|(kind, _)| ![2, 80].contains(kind)).collect();
        for (kind, value) in &attributes {
            builder = builder.with(AttributeType(*kind), value).unwrap();
        }
        let pending = builder.user_password(&password).unwrap().build().unwrap();
        let packet = Packet::decode(pending.octets()).unwrap();
        let request = packet.authenticate(&secret, MessageAuthenticatorRule::Required).unwrap();
        prop_assert_eq!(request.identifier(), Identifier(identifier));
        prop_assert_eq!(request.authenticator(), RequestAuthenticator::from(authenticator));
        let first = request.attributes().iter().next().unwrap();
        prop_assert_eq!(first.kind, AttributeType::MESSAGE_AUTHENTICATOR);
        let seen: Vec<_> = request.attributes().iter()
            .filter(|a| ![2, 80].contains(&a.kind.0)).map(|a| (a.kind.0, a.value.to_vec())).collect();
        prop_assert_eq!(seen, attributes);
        let end = password.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        prop_assert_eq!(&**request.user_password().unwrap().unwrap(), &password[..end]);
    }

    /// Cut anywhere and its Length corrected, a packet is refused, or has the attributes before the cut.
    #[test]
    fn a_shorter_packet_has_fewer_attributes(octets in nearly_packets()) {
        for policy in [LengthPolicy::Rfc2865, LengthPolicy::Libkrad, LengthPolicy::LibkradBefore1_22] {
            let Ok(whole) = Packet::decode_with(&octets, policy) else { continue };
            for length in 20..whole.octets().len() {
                let mut shorter = whole.octets()[..length].to_vec();
                shorter[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
                if let Ok(packet) = Packet::decode_with(&shorter, policy) {
                    let (cut, all) = (packet.attributes().iter(), whole.attributes().iter());
                    prop_assert!(cut.clone().count() <= all.clone().count());
                    prop_assert!(cut.zip(all).all(|(cut, all)| cut == all));
                }
            }
        }
    }

    #[test]
    fn hiding_is_undone(secret in vec(any::<u8>(), 0..80), authenticator: [u8; 16], password in vec(1..=u8::MAX, 0..=128)) {
        let (secret, authenticator) = (SharedSecret::new(&secret), RequestAuthenticator::from(authenticator));
        let hidden = hide_user_password(&password, &secret, &authenticator).unwrap();
        prop_assert!(hidden.len().is_multiple_of(16) && hidden.len() >= password.len());
        prop_assert_eq!(&*reveal_user_password(&hidden, &secret, &authenticator).unwrap(), &password);
    }
}
