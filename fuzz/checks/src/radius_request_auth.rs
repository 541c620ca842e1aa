//! A request that is authentic gets a reply that its client verifies; a changed bit of it is noticed.

use krad::{
    Attribute, AttributeType, Code, MessageAuthenticatorRule, Packet, ReplyStyle, RequestBuilder,
    SharedSecret,
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

    let mut flipped = pending.octets().to_vec();
    let bit = usize::from(bit) % (flipped.len() * 8);
    flipped[bit / 8] ^= 1 << (bit % 8);
    let accepted =
        Packet::decode(&flipped).is_ok_and(|packet| packet.authenticate(&secret, REQUIRED).is_ok());
    assert!(!accepted, "bit {bit} is not covered");
}
