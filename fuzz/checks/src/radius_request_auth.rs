//! A request that is authentic gets a reply that its client verifies; a changed bit of either is noticed.

use std::ops::Range;

use krad::{
    Attribute, AttributeType, Code, MIN_PACKET_LENGTH, MessageAuthenticatorRule, Packet, ReplyStyle,
    RequestBuilder, SharedSecret,
};

use crate::structured;

const REQUIRED: MessageAuthenticatorRule = MessageAuthenticatorRule::Required;
const LENIENT: MessageAuthenticatorRule = MessageAuthenticatorRule::IfPresent {
    limit_proxy_state: false,
};

/// Checks any packet.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(input: (u16, &[u8])) {
    let (bit, octets) = input;
    let secret = SharedSecret::new(b"foo");
    let Ok(packet) = Packet::decode(octets) else {
        return;
    };

    // As it is. Without the secret, nobody makes a Message-Authenticator that is right.
    if let Ok(request) = packet.authenticate(&secret, LENIENT) {
        let has_attribute = packet
            .attributes()
            .first(AttributeType::MESSAGE_AUTHENTICATOR)
            .is_some();
        assert_eq!(request.has_message_authenticator(), has_attribute);
        assert_eq!(packet.authenticate(&secret, REQUIRED).is_ok(), has_attribute);
        let password = request.user_password();
        assert!(password.is_err() || password.is_ok_and(|p| p.is_none_or(|p| p.len() <= 128)));
    }

    // Its attributes in a request of our own.
    let authenticator = (*packet.authenticator()).into();
    let mut builder = RequestBuilder::access_request(packet.identifier(), authenticator, &secret);
    for Attribute { kind, value } in packet.attributes() {
        builder = builder.clone().with(kind, value).unwrap_or(builder);
    }
    let Ok(pending) = builder.build() else { return };
    let request = Packet::decode(pending.octets())
        .unwrap()
        .authenticate(&secret, REQUIRED)
        .unwrap();
    assert!(request.has_message_authenticator());

    for style in [ReplyStyle::Network, ReplyStyle::Libkrad] {
        // A request full of Proxy-State may leave no room for a reply.
        let Ok(reply) = request.reply(Code::ACCESS_REJECT).sign(style) else {
            continue;
        };
        let reply = pending.verify(Packet::decode(&reply).unwrap(), REQUIRED).unwrap();
        assert_eq!(reply.code(), Code::ACCESS_REJECT);
        assert!(
            reply
                .attributes()
                .all(AttributeType::PROXY_STATE)
                .eq(request.proxy_states())
        );
    }

    // The bit that was chosen, and one of each octet of the Message-Authenticator, whose place is known.
    let octets = pending.octets();
    let bit = usize::from(bit) % (octets.len() * 8);
    let before = Packet::decode(octets).unwrap().attributes().iter();
    let before = before.take_while(|attribute| attribute.kind != AttributeType::MESSAGE_AUTHENTICATOR);
    let mac = MIN_PACKET_LENGTH + before.map(|attribute| attribute.value.len() + 2).sum::<usize>() + 2;
    for bit in [bit].into_iter().chain(one_of_each(mac..mac + 16, bit)) {
        let flipped = flipped(octets, bit);
        let packet = Packet::decode(&flipped);
        let accepted = packet.is_ok_and(|packet| packet.authenticate(&secret, REQUIRED).is_ok());
        assert!(!accepted, "bit {bit} of the request is not covered");
    }

    // Over a stream to a KDC, the Response Authenticator alone covers a reply.
    let Ok(reply) = request.reply(Code::ACCESS_ACCEPT).sign(ReplyStyle::Libkrad) else {
        return;
    };
    for bit in one_of_each(4..20, bit) {
        let flipped = flipped(&reply, bit);
        let verified = pending.verify(Packet::decode(&flipped).unwrap(), LENIENT);
        assert!(verified.is_err(), "bit {bit} of the reply is not covered");
    }
}

/// A bit in each of these octets.
fn one_of_each(octets: Range<usize>, bit: usize) -> impl Iterator<Item = usize> {
    octets.map(move |octet| octet * 8 + bit % 8)
}

fn flipped(octets: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = octets.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}
