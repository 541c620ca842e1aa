//! RADIUS/1.1: a packet reads as the same octets do in RFC 2865, but for what has no meaning there; its attributes in a
//! packet of our own, and in the reply to it, come out as they went in; both ends of ALPN agree on what they negotiate.

use krad::radius11::{Negotiated, Packet, PacketBuilder, Version, Versions, negotiate};
use krad::{Attribute, AttributeType, Code, EncodeError, MAX_PACKET_LENGTH};

use crate::structured;

/// Checks any packet, with any names offered by ALPN.
pub fn check(input: &[u8]) {
    packet(input);
    structured(input, alpn);
}

fn packet(octets: &[u8]) {
    let historic = krad::Packet::decode(octets);
    let packet = match (Packet::decode(octets), historic) {
        (Ok(packet), Ok(historic)) => {
            assert_eq!(
                (packet.code(), packet.octets()),
                (historic.code(), historic.octets())
            );
            assert_eq!(packet.token().0, octets[4..8]);
            let meaningful = historic.attributes().into_iter().filter(has_meaning);
            assert!(packet.attributes().eq(meaningful));
            packet
        }
        (packet, historic) => {
            assert_eq!(packet.err(), historic.err(), "the form is that of RFC 2865");
            return;
        }
    };
    let passwords: Vec<&[u8]> = packet.all(AttributeType::USER_PASSWORD).collect();
    match (packet.user_password(), passwords.as_slice()) {
        (Ok(None), []) => {}
        (Ok(Some(password)), [only]) => assert!(password == *only && (1..=128).contains(&only.len())),
        (Err(_), [only]) => assert!(!(1..=128).contains(&only.len())),
        (result, several) => assert!(result.is_err() && several.len() > 1),
    }
    rebuilt(packet);
    replied(packet);
    served(packet);
}

/// What a server sees of the packet is what the packet says.
fn served(packet: Packet<'_>) {
    let same = krad::Packet::decode(packet.octets()).expect("it was decoded before");
    let Ok(request) = same.authenticated_by_tls() else {
        assert!(!matches!(
            packet.code(),
            Code::ACCESS_REQUEST | Code::STATUS_SERVER
        ));
        return;
    };
    assert_eq!(
        (request.code(), request.token()),
        (packet.code(), Some(packet.token()))
    );
    assert!(request.proxy_states().eq(packet.all(AttributeType::PROXY_STATE)));
    match (request.user_password(), packet.user_password()) {
        (Ok(served), Ok(said)) => assert_eq!(served.as_ref().map(|octets| &octets[..]), said),
        (served, said) => assert_eq!(served.err(), said.err()),
    }
    let has_challenge = packet.first(AttributeType::CHAP_CHALLENGE).is_some();
    assert!(!matches!(request.chap(), Ok(Some(_))) || has_challenge);
    let replies = [
        request.reply(Code::ACCESS_REJECT).sign(krad::ReplyStyle::Network),
        packet
            .reply(Code::ACCESS_REJECT)
            .build()
            .map(|octets| octets.to_vec()),
    ];
    assert_eq!(replies[0], replies[1]);
}

/// Message-Authenticator, and Original-Packet-Code (241.4), are not read (RFC 9765 §5.2, §5.5).
fn has_meaning(attribute: &Attribute<'_>) -> bool {
    match (attribute.kind.0, attribute.value) {
        (80, _) => false,
        (241, [kind, ..]) => *kind != 4,
        _ => true,
    }
}

fn rebuilt(packet: Packet<'_>) {
    let mut builder = PacketBuilder::access_request(packet.token());
    let mut taken = Vec::new();
    for attribute in packet.attributes() {
        let Attribute { kind, value } = attribute;
        match builder.clone().with(kind, value) {
            Ok(longer) => {
                builder = longer;
                taken.push(attribute);
            }
            Err(error) => {
                let is_long_password = kind == AttributeType::USER_PASSWORD && value.len() > 128;
                assert_eq!(matches!(error, EncodeError::PasswordLength(_)), is_long_password);
                assert!(value.is_empty() || is_long_password, "{error}");
            }
        }
    }
    let has = |kind| taken.iter().any(|attribute| attribute.kind == kind);
    let lacks_challenge = has(AttributeType::CHAP_PASSWORD) && !has(AttributeType::CHAP_CHALLENGE);
    match builder.build() {
        Ok(octets) => {
            assert!(!lacks_challenge);
            let again = Packet::decode(&octets).expect("what was written can be read");
            assert_eq!(
                (again.code(), again.token()),
                (Code::ACCESS_REQUEST, packet.token())
            );
            assert!(again.attributes().eq(taken));
            assert!(
                octets[8..20].iter().all(|octet| *octet == 0),
                "Reserved-2 is zero"
            );
        }
        Err(error) => assert!(
            lacks_challenge && error == EncodeError::MissingChapChallenge,
            "{error}"
        ),
    }
}

fn replied(packet: Packet<'_>) {
    let reply = packet.reply(Code::ACCESS_REJECT);
    let reply = reply
        .with(AttributeType::REPLY_MESSAGE, b"no")
        .expect("a reply has room for it");
    let proxy_states: usize = packet
        .all(AttributeType::PROXY_STATE)
        .map(|state| state.len() + 2)
        .sum();
    let length = 20 + 4 + proxy_states;
    let Ok(octets) = reply.build() else {
        assert!(length > MAX_PACKET_LENGTH);
        return;
    };
    assert_eq!(octets.len(), length);
    let reply = Packet::decode(&octets).expect("what was written can be read");
    assert_eq!(
        (reply.code(), reply.token()),
        (Code::ACCESS_REJECT, packet.token())
    );
    assert!(
        reply
            .all(AttributeType::PROXY_STATE)
            .eq(packet.all(AttributeType::PROXY_STATE))
    );
}

const VERSIONS: [Versions; 4] = [
    Versions::NoAlpn,
    Versions::Historic,
    Versions::Both,
    Versions::Radius11,
];

fn alpn(input: (u8, Vec<u8>)) {
    let (versions, names) = input;
    let server = VERSIONS[usize::from(versions % 4)];
    // Names of our own, and others.
    let names: Vec<&[u8]> = names
        .iter()
        .map(|name| match name % 4 {
            0 => krad::radius11::ALPN_RADIUS_1_0,
            1 => krad::radius11::ALPN_RADIUS_1_1,
            2 => b"radius/1.",
            _ => b"h2",
        })
        .collect();
    if let Ok(selected) = server.select(names.iter().copied()) {
        assert!(
            selected
                .alpn
                .is_none_or(|name| names.contains(&name) && server.offer().contains(&name))
        );
        let newest = names.contains(&krad::radius11::ALPN_RADIUS_1_1)
            && matches!(server, Versions::Both | Versions::Radius11);
        assert_eq!(selected.version == Version::Radius11, newest);
        // A client that offered these names concludes the same as the server.
        for client in VERSIONS {
            if client.offer().iter().all(|name| names.contains(name))
                && selected.alpn.is_some_and(|name| client.offer().contains(&name))
            {
                assert_eq!(client.conclude(selected.alpn), Ok(selected.version));
            }
            // What was RADIUS/1.1 is not talked down by resuming it.
            let resumed = negotiate(
                client.resuming(Version::Radius11),
                server.resuming(Version::Radius11),
            );
            assert_eq!(resumed, Negotiated::Radius11);
        }
    }
}
