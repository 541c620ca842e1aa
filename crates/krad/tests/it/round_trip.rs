//! Client and server against each other in memory.

use krad::{
    AttributeType, Code, EncodeError, Identifier, MessageAuthenticatorRule, Packet, ReplyStyle,
    RequestAuthenticator, RequestBuilder, SharedSecret,
};
use proptest::{collection::vec, prelude::*};

const REQUIRED: MessageAuthenticatorRule = MessageAuthenticatorRule::Required;
const IF_PRESENT: MessageAuthenticatorRule = MessageAuthenticatorRule::IfPresent {
    limit_proxy_state: true,
};

/// Accepts the password `accept`, after a challenge to `challenge`.
fn server(octets: &[u8], secret: &SharedSecret, style: ReplyStyle) -> Vec<u8> {
    let request = Packet::decode(octets)
        .unwrap()
        .authenticate(secret, IF_PRESENT)
        .unwrap();
    let password = request.user_password().unwrap().unwrap();
    let reply = match (&password[..], request.state()) {
        (b"accept", _) | (b"second", Some(b"cookie")) => request.reply(Code::ACCESS_ACCEPT),
        (b"challenge", None) => request
            .reply(Code::ACCESS_CHALLENGE)
            .with(AttributeType::STATE, b"cookie")
            .unwrap(),
        _ => request
            .reply(Code::ACCESS_REJECT)
            .with(AttributeType::REPLY_MESSAGE, b"no")
            .unwrap(),
    };
    reply.sign(style).unwrap()
}

#[test]
fn accept_reject_challenge() {
    // As in libkrad's own test: a NAS-Identifier of 253 octets.
    let nas: Vec<u8> = b"1234567890".iter().copied().cycle().take(253).collect();
    for secret in [&b"foo"[..], b""] {
        let secret = SharedSecret::new(secret);
        let style = if secret.is_empty() {
            ReplyStyle::Libkrad
        } else {
            ReplyStyle::Network
        };
        let rule = if secret.is_empty() { IF_PRESENT } else { REQUIRED };
        let ask = |password: &[u8], state: Option<&[u8]>| {
            let authenticator = RequestAuthenticator::random(&mut rand::make_rng::<rand::rngs::StdRng>());
            let mut builder = RequestBuilder::access_request(Identifier(1), authenticator, &secret)
                .with(AttributeType::NAS_IDENTIFIER, &nas)
                .and_then(|b| b.user_name(b"testUser"))
                .and_then(|b| b.user_password(password))
                .unwrap();
            if secret.is_empty() {
                builder = builder.dangerous_omit_message_authenticator();
            }
            if let Some(state) = state {
                builder = builder.with(AttributeType::STATE, state).unwrap();
            }
            let pending = builder.build().unwrap();
            let octets = server(pending.octets(), &secret, style);
            let reply = pending.verify(Packet::decode(&octets).unwrap(), rule).unwrap();
            (reply.code(), reply.state().map(<[u8]>::to_vec))
        };
        assert_eq!(ask(b"accept", None), (Code::ACCESS_ACCEPT, None));
        assert_eq!(ask(b"reject", None), (Code::ACCESS_REJECT, None));
        let (code, state) = ask(b"challenge", None);
        assert_eq!(code, Code::ACCESS_CHALLENGE);
        assert_eq!(ask(b"second", state.as_deref()), (Code::ACCESS_ACCEPT, None));
    }
}

#[test]
fn the_builder_writes_its_own_attributes() {
    let secret = SharedSecret::new(b"foo");
    let pending = RequestBuilder::access_request(Identifier(1), [7; 16].into(), &secret)
        .build()
        .unwrap();
    let request = Packet::decode(pending.octets())
        .unwrap()
        .authenticate(&secret, REQUIRED)
        .unwrap();
    for kind in [AttributeType::MESSAGE_AUTHENTICATOR, AttributeType::PROXY_STATE] {
        let refused = request
            .reply(Code::ACCESS_ACCEPT)
            .with(kind, &[0; 16])
            .unwrap_err();
        assert_eq!(refused, EncodeError::Reserved(kind));
    }
}

/// A request full of Proxy-State leaves no room for a Message-Authenticator: refused, not truncated.
#[test]
fn a_reply_that_does_not_fit() {
    let secret = SharedSecret::new(b"foo");
    let builder = RequestBuilder::access_request(Identifier(1), [7; 16].into(), &secret)
        .dangerous_omit_message_authenticator();
    let pending = (0..15)
        .try_fold(builder, |b, _| b.with(AttributeType::PROXY_STATE, &[1; 253]))
        .and_then(|b| b.with(AttributeType::PROXY_STATE, &[1; 249]))
        .and_then(RequestBuilder::build)
        .unwrap();
    let rule = MessageAuthenticatorRule::IfPresent {
        limit_proxy_state: false,
    };
    let request = Packet::decode(pending.octets())
        .unwrap()
        .authenticate(&secret, rule)
        .unwrap();
    let reply = request.reply(Code::ACCESS_REJECT);
    assert_eq!(
        reply.sign(ReplyStyle::Network),
        Err(EncodeError::PacketLength(4114))
    );
    assert_eq!(reply.sign(ReplyStyle::Libkrad).unwrap().len(), 4096);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn proxy_state_comes_back_in_order(
        states in vec(vec(any::<u8>(), 1..=253), 0..8),
        attributes in vec((any::<u8>(), vec(any::<u8>(), 1..=253)), 0..6),
    ) {
        let secret = SharedSecret::new(b"foo");
        let mut builder = RequestBuilder::access_request(Identifier(9), [3; 16].into(), &secret);
        for state in &states {
            builder = builder.with(AttributeType::PROXY_STATE, state).unwrap();
        }
        let pending = builder.build().unwrap();
        let request = Packet::decode(pending.octets()).unwrap().authenticate(&secret, REQUIRED).unwrap();
        let mut reply = request.reply(Code::ACCESS_ACCEPT);
        let attributes: Vec<_> = attributes.into_iter().filter(|(kind, _)| ![33, 80].contains(kind)).collect();
        for (kind, value) in &attributes {
            reply = reply.with(AttributeType(*kind), value).unwrap();
        }
        let octets = reply.sign(ReplyStyle::Network).unwrap();
        let reply = pending.verify(Packet::decode(&octets).unwrap(), REQUIRED).unwrap();
        let seen: Vec<_> = reply.attributes().iter().map(|a| (a.kind.0, a.value.to_vec())).collect();
        prop_assert_eq!(seen.first().map(|(kind, _)| *kind), Some(80));
        let expected: Vec<_> = attributes.into_iter().chain(states.into_iter().map(|s| (33, s))).collect();
        prop_assert_eq!(&seen[1..], &expected);
    }
}
