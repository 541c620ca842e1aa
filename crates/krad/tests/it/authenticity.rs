//! Message-Authenticator and Response Authenticator: what is refused, and how much is covered.

use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, ReplyStyle,
    RequestBuilder, SharedSecret, UserPasswordError, VerifyError,
};

use crate::{
    hex::{authenticator, hex},
    vectors::{IF_PRESENT, REQUEST_UNIX, REQUEST_WITH_MAC, REQUEST_WITHOUT_MAC},
};

const LENIENT: MessageAuthenticatorRule = MessageAuthenticatorRule::IfPresent {
    limit_proxy_state: false,
};
const REQUIRED: MessageAuthenticatorRule = MessageAuthenticatorRule::Required;
const RULES: [MessageAuthenticatorRule; 3] = [REQUIRED, IF_PRESENT, LENIENT];

/// Appends raw attributes and corrects Length; the authenticators stay what they were.
fn append(octets: &[u8], attributes: &[u8]) -> Vec<u8> {
    let mut octets = [octets, attributes].concat();
    let length = u16::try_from(octets.len()).unwrap();
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    octets
}

fn verify(octets: &[u8], rule: MessageAuthenticatorRule) -> Result<(), VerifyError> {
    let secret = SharedSecret::new(b"foo");
    Packet::decode(octets)
        .unwrap()
        .authenticate(&secret, rule)
        .map(drop)
}

fn pending(secret: &SharedSecret) -> PendingRequest {
    RequestBuilder::access_request(
        Identifier(0x2a),
        authenticator("ac9dc16208c4c78ba12f250ac41d3641"),
        secret,
    )
    .user_name(b"testUser")
    .and_then(RequestBuilder::build)
    .unwrap()
}

/// Requests that a Message-Authenticator covers: as libkrad 1.22 sends them, with Proxy-State, with EAP-Message,
/// Status-Server, and one where it stands last.
fn covered_requests() -> Vec<(SharedSecret, Vec<u8>)> {
    let built = |builder: RequestBuilder<'_>| builder.build().unwrap().octets().to_vec();
    let (secret, testing) = (SharedSecret::new(b"foo"), SharedSecret::new(b"testing123"));
    let access = || {
        let authenticator = authenticator("ac9dc16208c4c78ba12f250ac41d3641");
        RequestBuilder::access_request(Identifier(7), authenticator, &secret)
    };
    let proxied = access().with(AttributeType::PROXY_STATE, b"one");
    let proxied = proxied
        .and_then(|builder| builder.with(AttributeType::PROXY_STATE, b"two"))
        .and_then(|builder| builder.user_password(b"755224"));
    let eap = access()
        .with(AttributeType::EAP_MESSAGE, b"\x02\x01\x00\x05\x01")
        .unwrap();
    let status = RequestBuilder::status_server(Identifier(0), [5; 16].into(), &secret);
    let rows = [
        built(proxied.unwrap()),
        built(eap),
        built(status),
        hex(REQUEST_WITH_MAC),
        with_message_authenticator_at(OTHERS.len(), "foo"),
    ];
    let captured = hex(
        "0121004bdfeb016b8d7c5684bc3ed5ac1387d6545012916ee376ea607f559575ed2a4e8de1f92004766d06060000000802128fca\
         c53f4f16c7fe19c01d4878e9818f01096f747075736572",
    );
    let rows = rows.map(|octets| (secret.clone(), octets));
    rows.into_iter().chain([(testing, captured)]).collect()
}

#[test]
fn every_flipped_bit_is_noticed() {
    for (secret, octets) in covered_requests() {
        let accepts = |octets: &[u8], rule| {
            Packet::decode(octets).is_ok_and(|packet| packet.authenticate(&secret, rule).is_ok())
        };
        assert!(accepts(&octets, REQUIRED));
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!accepts(&flipped, REQUIRED), "bit {bit} of {octets:x?}");
        }
    }
}

/// The Response Authenticator covers a reply by itself; a Message-Authenticator covers it once more.
#[test]
fn every_flipped_bit_of_a_reply_is_noticed() {
    let secret = SharedSecret::new(b"foo");
    let request = |with_mac: bool| {
        let authenticator = authenticator("ac9dc16208c4c78ba12f250ac41d3641");
        let mut builder = RequestBuilder::access_request(Identifier(0x2a), authenticator, &secret);
        if !with_mac {
            builder = builder.dangerous_omit_message_authenticator();
        }
        builder
            .with(AttributeType::PROXY_STATE, b"p")
            .unwrap()
            .build()
            .unwrap()
    };
    for (with_mac, style, rule) in [
        (true, ReplyStyle::Network, REQUIRED),
        (true, ReplyStyle::Network, LENIENT),
        (true, ReplyStyle::Libkrad, REQUIRED),
        (false, ReplyStyle::Network, REQUIRED),
        (false, ReplyStyle::Libkrad, LENIENT),
    ] {
        let pending = request(with_mac);
        let received = Packet::decode(pending.octets())
            .unwrap()
            .authenticate(&secret, LENIENT)
            .unwrap();
        for code in [Code::ACCESS_ACCEPT, Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE] {
            let reply = received
                .reply(code)
                .with(AttributeType::REPLY_MESSAGE, b"hi")
                .and_then(|reply| reply.with(AttributeType::STATE, b"st"))
                .unwrap();
            let octets = reply.sign(style).unwrap();
            let accepts = |octets: &[u8]| {
                Packet::decode(octets).is_ok_and(|packet| pending.verify(packet, rule).is_ok())
            };
            assert!(accepts(&octets), "{code} {style:?} {rule:?}");
            for bit in 0..octets.len() * 8 {
                let mut flipped = octets.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!accepts(&flipped), "bit {bit} of {code} {style:?} under {rule:?}");
            }
        }
    }
}

#[test]
fn missing_message_authenticator() {
    let octets = hex(REQUEST_WITHOUT_MAC);
    assert_eq!(
        verify(&octets, REQUIRED),
        Err(VerifyError::MissingMessageAuthenticator)
    );
    assert_eq!(verify(&octets, IF_PRESENT), Ok(()));
    assert_eq!(verify(&octets, LENIENT), Ok(()));

    let proxied = append(&octets, &[33, 3, 1]);
    assert_eq!(
        verify(&proxied, IF_PRESENT),
        Err(VerifyError::ProxyStateWithoutMessageAuthenticator)
    );
    assert_eq!(verify(&proxied, LENIENT), Ok(()));

    let eap = append(&octets, &[79, 3, 1]);
    for rule in [IF_PRESENT, LENIENT] {
        assert_eq!(
            verify(&eap, rule),
            Err(VerifyError::EapMessageWithoutMessageAuthenticator)
        );
    }
}

#[test]
fn message_authenticator_that_does_not_count() {
    let without = hex(REQUEST_WITHOUT_MAC);
    for rule in RULES {
        let zero = append(&without, &[&[80, 18][..], &[0; 16]].concat());
        assert_eq!(verify(&zero, rule), Err(VerifyError::WrongMessageAuthenticator));
        let twice = append(&hex(REQUEST_WITH_MAC), &[&[80, 18][..], &[0; 16]].concat());
        assert_eq!(
            verify(&twice, rule),
            Err(VerifyError::DuplicateMessageAuthenticator)
        );
        for length in [0_u8, 1, 15, 17] {
            let attribute = [&[80, length + 2][..], &vec![0; length.into()]].concat();
            assert_eq!(
                verify(&append(&without, &attribute), rule),
                Err(VerifyError::MessageAuthenticatorLength(length.into()))
            );
        }
        let other_secret = SharedSecret::new(b"fop");
        let octets = hex(REQUEST_WITH_MAC);
        let refused = Packet::decode(&octets)
            .unwrap()
            .authenticate(&other_secret, rule)
            .unwrap_err();
        assert_eq!(refused, VerifyError::WrongMessageAuthenticator);
    }
}

const OTHERS: [&[u8]; 3] = [&[32, 3, b'k'], &[1, 4, b'm', b'e'], &[33, 5, 1, 2, 3]];

/// A request with [`OTHERS`] and a Message-Authenticator after so many of them.
fn with_message_authenticator_at(position: usize, secret: &str) -> Vec<u8> {
    use hmac::{Hmac, KeyInit, Mac};
    let zero = [&[80, 18][..], &[0; 16]].concat();
    let mut parts = OTHERS.to_vec();
    parts.insert(position, &zero);
    let mut octets = append(&hex("012a0000ac9dc16208c4c78ba12f250ac41d3641"), &parts.concat());
    let mut hmac = Hmac::<md5::Md5>::new_from_slice(secret.as_bytes()).unwrap();
    hmac.update(&octets);
    let value_at = 22 + parts[..position].iter().map(|part| part.len()).sum::<usize>();
    octets[value_at..value_at + 16].copy_from_slice(&hmac.finalize().into_bytes());
    octets
}

/// RFC 3579 §3.2 does not say where it stands, so it is verified wherever it stands, and with an empty secret
/// too.
#[test]
fn message_authenticator_at_every_position() {
    for secret in ["foo", ""] {
        for position in 0..=OTHERS.len() {
            let octets = with_message_authenticator_at(position, secret);
            let secret = SharedSecret::new(secret.as_bytes());
            let request = Packet::decode(&octets)
                .unwrap()
                .authenticate(&secret, REQUIRED)
                .unwrap();
            assert!(request.has_message_authenticator());
        }
    }
}

#[test]
fn codes_that_a_server_handles() {
    let mut octets = hex(REQUEST_WITHOUT_MAC);
    for code in (0..=u8::MAX).filter(|code| ![1, 12].contains(code)) {
        octets[0] = code;
        assert_eq!(
            verify(&octets, LENIENT),
            Err(VerifyError::UnexpectedCode(Code(code)))
        );
    }
    octets[0] = 12;
    for rule in RULES {
        assert_eq!(
            verify(&octets, rule),
            Err(VerifyError::MissingMessageAuthenticator)
        );
    }
    let secret = SharedSecret::new(b"foo");
    let status = RequestBuilder::status_server(Identifier(0), authenticator(&"5".repeat(32)), &secret);
    let status = status.build().unwrap();
    let request = Packet::decode(status.octets())
        .unwrap()
        .authenticate(&secret, LENIENT)
        .unwrap();
    assert_eq!(request.code(), Code::STATUS_SERVER);
}

#[test]
fn one_password_or_none() {
    let secret = SharedSecret::empty();
    let twice = append(&hex(REQUEST_UNIX), &[&[2, 18][..], &[0; 16]].concat());
    let request = Packet::decode(&twice)
        .unwrap()
        .authenticate(&secret, IF_PRESENT)
        .unwrap();
    assert_eq!(request.user_password(), Err(UserPasswordError::Repeated));
    let none = hex("012a0014ac9dc16208c4c78ba12f250ac41d3641");
    let request = Packet::decode(&none)
        .unwrap()
        .authenticate(&secret, IF_PRESENT)
        .unwrap();
    assert_eq!(request.user_password(), Ok(None));
    let odd = append(&none, &[2, 5, 1, 2, 3]);
    let request = Packet::decode(&odd)
        .unwrap()
        .authenticate(&secret, IF_PRESENT)
        .unwrap();
    assert_eq!(request.user_password(), Err(UserPasswordError::Length(3)));
}

#[test]
fn replies_that_are_not_ours() {
    let secret = SharedSecret::new(b"foo");
    let pending = pending(&secret);
    let verify = |octets: &[u8], rule| {
        pending
            .verify(Packet::decode(octets).unwrap(), rule)
            .map(|r| r.code())
    };
    let accept = hex("022a001432378112e3cc7558f18556a44c13c428");
    let accept_with_mac = hex("022a0026935e0b2015803bde91be07cbcd4c1d1e5012dbcf453198e6fa5be48687a08c2d0844");
    assert_eq!(verify(&accept, IF_PRESENT), Ok(Code::ACCESS_ACCEPT));
    assert_eq!(
        verify(&accept, REQUIRED),
        Err(VerifyError::MissingMessageAuthenticator)
    );
    assert_eq!(verify(&accept_with_mac, REQUIRED), Ok(Code::ACCESS_ACCEPT));
    let challenge =
        "0b2a002e381b0a85f10c8b27ca1348bbd52092d55012dd1a149d034c910e0e36cab14b2f25451204686918047374";
    let challenge = hex(challenge);
    let reply = pending
        .verify(Packet::decode(&challenge).unwrap(), REQUIRED)
        .unwrap();
    assert_eq!(reply.state(), Some(&b"st"[..]));
    assert_eq!(reply.reply_messages().collect::<Vec<_>>(), [b"hi"]);

    let unix = hex("022a0014c330af122d06df30a38e30ab61978182");
    assert_eq!(
        verify(&unix, IF_PRESENT),
        Err(VerifyError::WrongResponseAuthenticator)
    );
    let mut other_identifier = accept.clone();
    other_identifier[1] = 0x2b;
    assert_eq!(
        verify(&other_identifier, IF_PRESENT),
        Err(VerifyError::UnexpectedIdentifier)
    );
    for code in (0..=u8::MAX).filter(|code| ![2, 3, 11].contains(code)) {
        let mut other_code = accept.clone();
        other_code[0] = code;
        assert_eq!(
            verify(&other_code, IF_PRESENT),
            Err(VerifyError::UnexpectedCode(Code(code)))
        );
    }
    // A Response Authenticator that is right does not excuse a Message-Authenticator that is wrong.
    let request = Packet::decode(pending.octets())
        .unwrap()
        .authenticate(&secret, REQUIRED)
        .unwrap();
    let signed = request
        .reply(Code::ACCESS_ACCEPT)
        .sign(ReplyStyle::Network)
        .unwrap();
    let zeroed = [&signed[..22], &[0; 16]].concat();
    assert_eq!(
        verify(&zeroed, LENIENT),
        Err(VerifyError::WrongMessageAuthenticator)
    );
}

/// Proxy-State in a reply to a client that sent none: refused, unless a Message-Authenticator vouches for it.
#[test]
fn a_reply_with_proxy_state_that_nobody_sent() {
    let secret = SharedSecret::new(b"foo");
    let proxied = RequestBuilder::access_request(Identifier(1), [5; 16].into(), &secret)
        .with(AttributeType::PROXY_STATE, b"collision")
        .and_then(|b| b.dangerous_omit_message_authenticator().build())
        .unwrap();
    let request = Packet::decode(proxied.octets())
        .unwrap()
        .authenticate(&secret, LENIENT)
        .unwrap();
    let reply = request.reply(Code::ACCESS_REJECT);
    let without_mac = reply.sign(ReplyStyle::Libkrad).unwrap();
    let packet = Packet::decode(&without_mac).unwrap();
    let refused = proxied.verify(packet, IF_PRESENT).unwrap_err();
    assert_eq!(refused, VerifyError::ProxyStateWithoutMessageAuthenticator);
    assert_eq!(
        proxied.verify(packet, LENIENT).unwrap().code(),
        Code::ACCESS_REJECT
    );
    let with_mac = reply.sign(ReplyStyle::Network).unwrap();
    proxied
        .verify(Packet::decode(&with_mac).unwrap(), IF_PRESENT)
        .unwrap();
}

#[test]
fn nothing_secret_in_debug() {
    let secret = SharedSecret::new(b"hunter2hunter2");
    let pending = pending(&secret);
    let packet = Packet::decode(pending.octets()).unwrap();
    let shown = "Packet { code: Code(Access-Request), identifier: 42, attributes: \
        [Message-Authenticator (16 octets), User-Name (8 octets)], .. }";
    assert_eq!(format!("{packet:?}"), shown);
    let request = packet.authenticate(&secret, REQUIRED).unwrap();
    let reply = request.reply(Code::ACCESS_ACCEPT);
    let shown = format!(
        "{secret:?} {pending:?} {request:?} {:?} {reply:?}",
        request.to_buf()
    );
    for hidden in ["hunter2", "testUser", "104, 117", "116, 101", "172, 157"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
