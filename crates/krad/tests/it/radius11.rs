//! RADIUS/1.1 (RFC 9765).

use krad::{
    AttributeType, ChapError, Code, DecodeError, EncodeError, ReplyStyle, StreamDecoder, UserPasswordError,
    VerifyError, chap_password,
    radius11::{
        ALPN_RADIUS_1_0, ALPN_RADIUS_1_1, Negotiated, NegotiationError, Packet, PacketBuilder, Selected,
        Token, TokenCounter, Version, Versions, negotiate,
    },
};
use proptest::{collection::vec, prelude::*};
use rand::{SeedableRng, rngs::StdRng};

use crate::hex::hex;

const TOKEN: Token = Token([0xde, 0xad, 0xbe, 0xef]);

fn request() -> PacketBuilder<'static> {
    PacketBuilder::access_request(TOKEN)
}

/// The format of RFC 9765 §4.1, written out: Code, Reserved-1, Length, Token, Reserved-2, attributes.
const REQUEST: &str = concat!(
    "01 00 0023 deadbeef 000000000000000000000000",
    "01 07 616c696365",   // User-Name "alice"
    "02 08 373535323234", // User-Password "755224", in the clear
);

const ACCEPT: &str = concat!(
    "02 00 001f deadbeef 000000000000000000000000",
    "19 04 6869", // Class "hi"
    "21 03 70",   // Proxy-State, echoed
    "21 04 7170",
);

#[test]
fn packets_are_as_the_rfc_draws_them() {
    let octets = request()
        .user_name(b"alice")
        .and_then(|b| b.user_password(b"755224"))
        .unwrap()
        .build();
    assert_eq!(*octets.unwrap(), hex(REQUEST));

    let proxied = request()
        .with(AttributeType::PROXY_STATE, b"p")
        .and_then(|b| b.with(AttributeType::PROXY_STATE, b"qp"));
    let proxied = proxied.unwrap().build().unwrap();
    let reply = Packet::decode(&proxied).unwrap().reply(Code::ACCESS_ACCEPT);
    let reply = reply.with(AttributeType::CLASS, b"hi").unwrap();
    assert_eq!(*reply.clone().build().unwrap(), hex(ACCEPT));
    let echoed = reply.with(AttributeType::PROXY_STATE, b"mine");
    assert_eq!(
        echoed.err(),
        Some(EncodeError::Reserved(AttributeType::PROXY_STATE))
    );
}

#[test]
fn decoding_reads_what_the_rfc_draws() {
    let octets = hex(REQUEST);
    let packet = Packet::decode(&octets).unwrap();
    assert_eq!((packet.code(), packet.token()), (Code::ACCESS_REQUEST, TOKEN));
    assert_eq!(packet.user_name(), Some(&b"alice"[..]));
    assert_eq!(packet.user_password(), Ok(Some(&b"755224"[..])));
    assert!(!format!("{packet:?}").contains("alice"));
}

#[test]
fn truncated_at_every_length() {
    for valid in [REQUEST, ACCEPT, MEANINGLESS] {
        let octets = hex(valid);
        Packet::decode(&octets).unwrap();
        let length = u16::try_from(octets.len()).unwrap();
        for available in 0..octets.len() {
            let expected = if available < 20 {
                DecodeError::Header(available)
            } else {
                DecodeError::Truncated { length, available }
            };
            assert_eq!(Packet::decode(&octets[..available]).unwrap_err(), expected);
        }
    }
}

#[test]
fn reserved_octets_are_ignored() {
    let octets = hex(REQUEST);
    let plain = Packet::decode(&octets).unwrap();
    for reserved in [1].into_iter().chain(8..20) {
        let mut octets = octets.clone();
        octets[reserved] = 0xa5;
        let packet = Packet::decode(&octets).unwrap();
        assert_eq!((packet.code(), packet.token()), (plain.code(), plain.token()));
        assert!(packet.attributes().eq(plain.attributes()));
        let reply = packet.reply(Code::ACCESS_REJECT).build().unwrap();
        assert_eq!(
            *reply,
            hex("03 00 0014 deadbeef 000000000000000000000000"),
            "and never echoed"
        );
    }
}

/// Message-Authenticator and Original-Packet-Code (241.4); another extended attribute beside them.
const MEANINGLESS: &str = concat!(
    "01 00 0039 deadbeef 000000000000000000000000",
    "5012 00000000000000000000000000000000",
    "f107 04 00000001",
    "f107 05 00000001",
    "01 05 626f62",
);

#[test]
fn attributes_without_meaning_are_neither_read_nor_sent() {
    let octets = hex(MEANINGLESS);
    let packet = Packet::decode(&octets).unwrap();
    let kinds: Vec<u8> = packet.attributes().map(|attribute| attribute.kind.0).collect();
    assert_eq!(kinds, [241, 1], "the packet itself is taken");
    assert_eq!(packet.first(AttributeType::MESSAGE_AUTHENTICATOR), None);
    assert_eq!(packet.user_name(), Some(&b"bob"[..]));

    let refused = request().with(AttributeType::MESSAGE_AUTHENTICATOR, &[0; 16]);
    assert_eq!(
        refused.err(),
        Some(EncodeError::Reserved(AttributeType::MESSAGE_AUTHENTICATOR))
    );
    let refused = request().with(AttributeType(241), &[4, 0, 0, 0, 1]);
    assert_eq!(refused.err(), Some(EncodeError::Reserved(AttributeType(241))));
    assert!(request().with(AttributeType(241), &[5, 0, 0, 0, 1]).is_ok());
}

#[test]
fn passwords_are_octets_as_they_are() {
    for password in [&b"755224"[..], b"nul at the end\0", &[b'p'; 128], b"\0"] {
        let octets = request().user_password(password).unwrap().build().unwrap();
        assert_eq!(
            Packet::decode(&octets).unwrap().user_password(),
            Ok(Some(password))
        );
    }
    let length = |length| EncodeError::ValueLength {
        kind: AttributeType::USER_PASSWORD,
        length,
    };
    assert_eq!(request().user_password(b"").err(), Some(length(0)));
    assert_eq!(
        request().user_password(&[b'p'; 129]).err(),
        Some(EncodeError::PasswordLength(129))
    );
    assert_eq!(
        Packet::decode(&request().build().unwrap())
            .unwrap()
            .user_password(),
        Ok(None)
    );

    let twice = request()
        .user_password(b"a")
        .and_then(|b| b.user_password(b"b"))
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(
        Packet::decode(&twice).unwrap().user_password(),
        Err(UserPasswordError::Repeated)
    );
    let empty = hex("01 00 0016 deadbeef 000000000000000000000000 0202");
    assert_eq!(
        Packet::decode(&empty).unwrap().user_password(),
        Err(UserPasswordError::ClearLength(0))
    );
    let mut long = hex("01 00 0097 deadbeef 000000000000000000000000 0283");
    long.resize(0x97, b'p');
    assert_eq!(
        Packet::decode(&long).unwrap().user_password(),
        Err(UserPasswordError::ClearLength(129))
    );
}

#[test]
fn chap_needs_its_challenge() {
    let chap = request().with(AttributeType::CHAP_PASSWORD, &[0; 17]).unwrap();
    assert_eq!(
        chap.clone().build().err(),
        Some(EncodeError::MissingChapChallenge)
    );
    assert!(
        chap.with(AttributeType::CHAP_CHALLENGE, &[0; 16])
            .unwrap()
            .build()
            .is_ok()
    );
}

#[test]
fn limits_are_those_of_rfc_2865() {
    let full = (0..15)
        .try_fold(request(), |b, _| b.with(AttributeType::CLASS, &[0; 253]))
        .unwrap();
    let full = full.with(AttributeType::CLASS, &[0; 249]).unwrap();
    assert_eq!(
        full.clone().with(AttributeType::CLASS, b"x").err(),
        Some(EncodeError::PacketLength(4099))
    );
    assert_eq!(full.build().unwrap().len(), 4096);
    let long = hex("01 00 1001 deadbeef 000000000000000000000000");
    assert_eq!(Packet::decode(&long).err(), Some(DecodeError::Length(4097)));
}

#[test]
fn a_stream_is_cut_by_length_and_replies_are_matched_by_token() {
    let mut tokens = TokenCounter::random(&mut StdRng::seed_from_u64(3));
    let sent: Vec<Token> = (0..1000).map(|_| tokens.next_token()).collect();
    let mut stream = Vec::new();
    for token in &sent {
        let request = PacketBuilder::status_server(*token).build().unwrap();
        stream.extend_from_slice(
            &Packet::decode(&request)
                .unwrap()
                .reply(Code::ACCESS_ACCEPT)
                .build()
                .unwrap(),
        );
    }
    let (mut decoder, mut received, mut rest) = (StreamDecoder::new(), Vec::new(), &stream[..]);
    while !rest.is_empty() {
        rest = decoder.push(rest);
        while let Some(packet) = decoder.next_packet().unwrap() {
            received.push(Packet::decode(packet).unwrap().token());
        }
    }
    assert_eq!(received, sent);
    received.sort_unstable();
    received.dedup();
    assert_eq!(received.len(), 1000, "more than there are Identifiers");
}

/// RFC 9765 §3.3.2: a row for each client, a column for each server, both in this order.
const ENDS: [Versions; 4] = [
    Versions::NoAlpn,
    Versions::Historic,
    Versions::Both,
    Versions::Radius11,
];

const TABLE: [[Negotiated; 4]; 4] = {
    use Negotiated::{Alert, ClosedByClient, ClosedByServer, Historic, HistoricWithoutAlpn as Tls, Radius11};
    [
        [Tls, Tls, Tls, ClosedByServer],
        [Tls, Historic, Historic, Alert],
        [Tls, Historic, Radius11, Radius11],
        [ClosedByClient, Alert, Radius11, Radius11],
    ]
};

#[test]
fn negotiation_is_the_table_of_the_rfc() {
    for (client, row) in ENDS.into_iter().zip(TABLE) {
        for (server, expected) in ENDS.into_iter().zip(row) {
            assert_eq!(
                negotiate(client, server),
                expected,
                "client {client:?}, server {server:?}"
            );
        }
    }
}

#[test]
fn names_that_are_not_radius_do_not_matter() {
    let others: [&[u8]; 2] = [b"h2", b"radius/1.2"];
    let with = |name| others.into_iter().chain([name]);
    let selected = |alpn, version| Ok(Selected { alpn, version });
    let (v10, v11) = (
        selected(Some(ALPN_RADIUS_1_0), Version::Historic),
        selected(Some(ALPN_RADIUS_1_1), Version::Radius11),
    );
    assert_eq!(Versions::Both.select(with(ALPN_RADIUS_1_0)), v10);
    assert_eq!(Versions::Both.select(with(ALPN_RADIUS_1_1)), v11);
    assert_eq!(Versions::NoAlpn.select(others), selected(None, Version::Historic));
    for server in [Versions::Historic, Versions::Both, Versions::Radius11] {
        assert_eq!(server.select(others), Err(NegotiationError::NoCommonVersion));
    }
    let backwards = [ALPN_RADIUS_1_0, ALPN_RADIUS_1_1];
    assert_eq!(
        Versions::Both.select(backwards),
        v11,
        "whatever the client's order"
    );
}

#[test]
fn a_client_takes_only_what_it_offered() {
    assert_eq!(
        Versions::Historic.conclude(Some(ALPN_RADIUS_1_1)),
        Err(NegotiationError::NotOffered)
    );
    assert_eq!(
        Versions::NoAlpn.conclude(Some(ALPN_RADIUS_1_0)),
        Err(NegotiationError::NotOffered)
    );
    assert_eq!(
        Versions::Radius11.conclude(Some(ALPN_RADIUS_1_0)),
        Err(NegotiationError::NotOffered)
    );
    assert_eq!(
        Versions::Radius11.conclude(None),
        Err(NegotiationError::ServerWithoutAlpn)
    );
    assert_eq!(
        Versions::Both.conclude(Some(ALPN_RADIUS_1_0)),
        Ok(Version::Historic)
    );
}

#[test]
fn a_resumed_session_is_not_talked_down() {
    for configured in ENDS {
        assert_eq!(configured.resuming(Version::Radius11), Versions::Radius11);
        assert_eq!(configured.resuming(Version::Historic), configured);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_built_decodes(
        code in any::<u8>(),
        token in any::<[u8; 4]>(),
        attributes in vec((any::<u8>(), vec(any::<u8>(), 1..=253)), 0..12),
    ) {
        let mut builder = PacketBuilder::access_request(Token(token));
        let mut kept = Vec::new();
        for (kind, value) in attributes {
            let Ok(next) = builder.clone().with(AttributeType(kind), &value) else { continue };
            builder = next;
            kept.push((kind, value));
        }
        prop_assume!(!kept.iter().any(|(kind, _)| *kind == 3) || kept.iter().any(|(kind, _)| *kind == 60));
        let octets = builder.build().unwrap();
        let packet = Packet::decode(&octets).unwrap();
        prop_assert_eq!(packet.token(), Token(token));
        let decoded: Vec<_> = packet.attributes().map(|a| (a.kind.0, a.value.to_vec())).collect();
        prop_assert_eq!(decoded, kept);

        let reply = packet.reply(Code(code)).build();
        if let Ok(octets) = reply {
            let reply = Packet::decode(&octets).unwrap();
            prop_assert_eq!((reply.code(), reply.token()), (Code(code), Token(token)));
            prop_assert!(reply.all(AttributeType::PROXY_STATE).eq(packet.all(AttributeType::PROXY_STATE)));
        }
    }

    #[test]
    fn any_octets_decode_or_do_not(octets in vec(any::<u8>(), 0..200)) {
        if let Ok(packet) = Packet::decode(&octets) {
            let _ = (packet.attributes().count(), packet.user_password(), packet.token());
        }
    }
}

/// The octets of a request of RADIUS/1.1 as one that TLS made authentic.
fn with_request<T>(octets: &[u8], look: impl FnOnce(krad::Request<'_>) -> T) -> T {
    let packet = krad::Packet::decode(octets).unwrap();
    look(packet.authenticated_by_tls().unwrap())
}

#[test]
fn a_request_that_tls_makes_authentic() {
    let octets = hex(REQUEST);
    with_request(&octets, |request| {
        assert_eq!(
            (request.version(), request.token()),
            (Version::Radius11, Some(TOKEN))
        );
        assert_eq!(request.user_name(), Some(&b"alice"[..]));
        assert_eq!(**request.user_password().unwrap().unwrap(), *b"755224");
        assert!(!request.has_message_authenticator() && !request.is_of_older_kdc());
        let owned = request.to_buf();
        let again = owned.as_request();
        assert_eq!((again.version(), again.token()), (Version::Radius11, Some(TOKEN)));
        assert_eq!(**again.user_password().unwrap().unwrap(), *b"755224");
    });
}

/// Neither style brings a Message-Authenticator back, and what no style knows stays in the reply.
#[test]
fn its_reply_has_the_token_and_no_signature() {
    let octets = request()
        .user_name(b"alice")
        .and_then(|b| b.with(AttributeType::PROXY_STATE, b"p"))
        .and_then(|b| b.with(AttributeType::PROXY_STATE, b"qp"))
        .and_then(PacketBuilder::build)
        .unwrap();
    with_request(&octets, |request| {
        let reply = request.reply(Code::ACCESS_ACCEPT);
        let reply = reply.with(AttributeType::CLASS, b"hi").unwrap();
        for style in [
            ReplyStyle::Network,
            ReplyStyle::Libkrad,
            ReplyStyle::NetworkOrLibkrad,
        ] {
            assert_eq!(reply.sign(style).unwrap(), hex(ACCEPT), "{style:?}");
        }
        let original_packet_code = reply.with(AttributeType(241), &[4, 0, 0, 0, 1]).unwrap();
        assert_eq!(
            original_packet_code.sign(ReplyStyle::Network),
            Err(EncodeError::Reserved(AttributeType(241)))
        );
    });
}

#[test]
fn chap_of_a_request_that_tls_makes_authentic() {
    let challenge = b"sixteen octets!!";
    let value = chap_password(7, b"755224", challenge);
    let octets = request()
        .with(AttributeType::CHAP_PASSWORD, &value)
        .and_then(|b| b.with(AttributeType::CHAP_CHALLENGE, challenge))
        .and_then(PacketBuilder::build)
        .unwrap();
    with_request(&octets, |request| {
        let chap = request.chap().unwrap().unwrap();
        assert!(bool::from(chap.matches(b"755224")) && !bool::from(chap.matches(b"755225")));
    });
    // A builder refuses to write this one.
    let mut alone = octets.get(..20 + 19).unwrap().to_vec();
    alone[3] = 39;
    with_request(&alone, |request| {
        assert_eq!(request.chap().unwrap_err(), ChapError::MissingChallenge);
    });
}

#[test]
fn replies_are_no_requests() {
    let packet = hex(ACCEPT);
    let packet = krad::Packet::decode(&packet).unwrap();
    assert_eq!(
        packet.authenticated_by_tls().unwrap_err(),
        VerifyError::UnexpectedCode(Code::ACCESS_ACCEPT)
    );
}
