//! Published packets, packets that libkrad 1.20 and 1.22 were seen to send, and replies that both verify.

use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, ReplyStyle, RequestBuilder,
    SharedSecret, VerifyError,
};

use crate::hex::{authenticator, hex};

pub const IF_PRESENT: MessageAuthenticatorRule = MessageAuthenticatorRule::IfPresent {
    limit_proxy_state: true,
};

/// A request of libkrad 1.22 over UDP: secret `foo`, User-Password `accept`.
pub const REQUEST_WITH_MAC: &str = "012a004dac9dc16208c4c78ba12f250ac41d3641501203df1380e59ed55032637f5540a2b8ea\
    20056b64630606000000080212bafced50e1eba6c3c17520e910cec2cb010a7465737455736572";
/// The same of libkrad 1.20.
pub const REQUEST_WITHOUT_MAC: &str = "012a003bac9dc16208c4c78ba12f250ac41d364120056b64630606000000080212bafced50\
    e1eba6c3c17520e910cec2cb010a7465737455736572";
/// The same over a UNIX socket, so with an empty secret.
pub const REQUEST_UNIX: &str = "012a003bac9dc16208c4c78ba12f250ac41d364120056b646306060000000802127029d2e95962238\
    f8a80d5927bc6d30e010a7465737455736572";

/// (packet, secret, has Message-Authenticator, user, password, NAS-Identifier).
const REQUESTS: [(&str, &str, bool, &str, &str, &str); 6] = [
    (REQUEST_WITH_MAC, "foo", true, "testUser", "accept", "kdc"),
    (REQUEST_WITHOUT_MAC, "foo", false, "testUser", "accept", "kdc"),
    (REQUEST_UNIX, "", false, "testUser", "accept", "kdc"),
    (
        "01bb003939eb016b4a27fffff1c39a8c58bda97d2004766d060600000008021217eb850963586a4bce2ccddf038ecf6f01096f74\
         7075736572",
        "testing123",
        false,
        "otpuser",
        "123456",
        "vm",
    ),
    (
        "0121004bdfeb016b8d7c5684bc3ed5ac1387d6545012916ee376ea607f559575ed2a4e8de1f92004766d06060000000802128fca\
         c53f4f16c7fe19c01d4878e9818f01096f747075736572",
        "testing123",
        true,
        "otpuser",
        "123456",
        "vm",
    ),
    (
        "01c900458eeb016bc6a7a2c9a7f590cbb0f475632004766d0606000000080212104dcfe8649eee31aa56d6cbf6a1ef3601156f74\
         7075736572404b5242544553542e434f4d",
        "",
        false,
        "otpuser@KRBTEST.COM",
        "1234",
        "vm",
    ),
];

#[test]
fn requests_of_libkrad() {
    for (packet, secret, has_mac, user, password, nas) in REQUESTS {
        let octets = hex(packet);
        let secret = SharedSecret::new(secret.as_bytes());
        let packet = Packet::decode(&octets).unwrap();
        let required = packet.authenticate(&secret, MessageAuthenticatorRule::Required);
        if has_mac {
            required.unwrap();
        } else {
            assert_eq!(required.unwrap_err(), VerifyError::MissingMessageAuthenticator);
        }
        let request = packet.authenticate(&secret, IF_PRESENT).unwrap();
        assert_eq!(request.has_message_authenticator(), has_mac);
        assert_eq!(request.user_name(), Some(user.as_bytes()));
        assert_eq!(*request.user_password().unwrap().unwrap(), password.as_bytes());
        assert_eq!(request.nas_identifier(), Some(nas.as_bytes()));
        assert_eq!(request.service_type(), Some(8));
        assert_eq!(request.state(), None);
        assert_eq!(request.proxy_states().count(), 0);
        assert_eq!(request.to_buf().as_request().octets(), octets);
    }
}

#[test]
fn our_requests_are_those_of_libkrad() {
    let authenticator = authenticator("ac9dc16208c4c78ba12f250ac41d3641");
    for (expected, secret, with_mac) in [
        (REQUEST_WITH_MAC, "foo", true),
        (REQUEST_WITHOUT_MAC, "foo", false),
        (REQUEST_UNIX, "", false),
    ] {
        let secret = SharedSecret::new(secret.as_bytes());
        let mut builder = RequestBuilder::access_request(Identifier(0x2a), authenticator, &secret);
        if !with_mac {
            builder = builder.dangerous_omit_message_authenticator();
        }
        let pending = builder
            .with(AttributeType::NAS_IDENTIFIER, b"kdc")
            .and_then(|b| b.with(AttributeType::SERVICE_TYPE, &8_u32.to_be_bytes()))
            .and_then(|b| b.user_password(b"accept"))
            .and_then(|b| b.user_name(b"testUser"))
            .and_then(RequestBuilder::build)
            .unwrap();
        assert_eq!(pending.octets(), hex(expected));
    }
}

/// A row of [`REPLIES`]: (request, secret, code, attributes, style, reply).
pub type ReplyRow = (
    &'static str,
    &'static str,
    Code,
    &'static [(AttributeType, &'static [u8])],
    ReplyStyle,
    &'static str,
);

pub const REPLIES: [ReplyRow; 10] = [
    (
        REQUEST_WITHOUT_MAC,
        "foo",
        Code::ACCESS_ACCEPT,
        &[],
        ReplyStyle::Libkrad,
        "022a001432378112e3cc7558f18556a44c13c428",
    ),
    (
        REQUEST_WITHOUT_MAC,
        "foo",
        Code::ACCESS_REJECT,
        &[],
        ReplyStyle::Libkrad,
        "032a0014336be09d49bce96f511b078b4909cc85",
    ),
    (
        REQUEST_WITHOUT_MAC,
        "foo",
        Code::ACCESS_CHALLENGE,
        &[],
        ReplyStyle::Libkrad,
        "0b2a0014584fe7f68051a9be431f24037e7e9e6e",
    ),
    (
        REQUEST_WITHOUT_MAC,
        "foo",
        Code::ACCESS_ACCEPT,
        &[],
        ReplyStyle::Network,
        "022a0026935e0b2015803bde91be07cbcd4c1d1e5012dbcf453198e6fa5be48687a08c2d0844",
    ),
    (
        REQUEST_WITH_MAC,
        "foo",
        Code::ACCESS_CHALLENGE,
        &[
            (AttributeType::REPLY_MESSAGE, b"hi"),
            (AttributeType::STATE, b"st"),
        ],
        ReplyStyle::Libkrad,
        "0b2a002e381b0a85f10c8b27ca1348bbd52092d55012dd1a149d034c910e0e36cab14b2f25451204686918047374",
    ),
    // A KDC composed the request without Message-Authenticator: it would discard a reply that has one.
    (
        REQUEST_WITHOUT_MAC,
        "foo",
        Code::ACCESS_ACCEPT,
        &[],
        ReplyStyle::NetworkOrLibkrad,
        "022a001432378112e3cc7558f18556a44c13c428",
    ),
    // The same KDC, grown up.
    (
        REQUEST_WITH_MAC,
        "foo",
        Code::ACCESS_ACCEPT,
        &[],
        ReplyStyle::NetworkOrLibkrad,
        "022a0026935e0b2015803bde91be07cbcd4c1d1e5012dbcf453198e6fa5be48687a08c2d0844",
    ),
    (
        REQUEST_UNIX,
        "",
        Code::ACCESS_ACCEPT,
        &[],
        ReplyStyle::Libkrad,
        "022a0014c330af122d06df30a38e30ab61978182",
    ),
    (
        REQUEST_UNIX,
        "",
        Code::ACCESS_REJECT,
        // Left out: libkrad would discard the whole reply.
        &[
            (AttributeType::ERROR_CAUSE, b"\0\0\x01\xfe"),
            (AttributeType::SESSION_TIMEOUT, b"60"),
        ],
        ReplyStyle::Libkrad,
        "032a0014d7b86b9391487b455eec7ef8aebc15d5",
    ),
    (
        REQUEST_UNIX,
        "",
        Code::ACCESS_CHALLENGE,
        &[],
        ReplyStyle::Libkrad,
        "0b2a00146552f494aec61ab30c1d2651212ee09d",
    ),
];

#[test]
fn replies_that_libkrad_verifies() {
    for (request, secret, code, attributes, style, expected) in REPLIES {
        let octets = hex(request);
        let secret = SharedSecret::new(secret.as_bytes());
        let request = Packet::decode(&octets)
            .unwrap()
            .authenticate(&secret, IF_PRESENT)
            .unwrap();
        let mut reply = request.reply(code);
        for (kind, value) in attributes {
            reply = reply.with(*kind, value).unwrap();
        }
        assert_eq!(reply.sign(style).unwrap(), hex(expected), "{code}");
    }
}

/// RFC 2865 §7.1: nemo telnets to a host; secret `xyzzy5461`.
#[test]
fn rfc_2865_section_7_1() {
    let secret = SharedSecret::new(b"xyzzy5461");
    let request_octets = hex("01000038 0f403f9473978057bd83d5cb98f4227a 01066e656d6f
        02120dbe708d93d413ce3196e43f782a0aee 0406c0a80110 050600000003");
    let request = Packet::decode(&request_octets)
        .unwrap()
        .authenticate(&secret, IF_PRESENT)
        .unwrap();
    assert_eq!(request.user_name(), Some(&b"nemo"[..]));
    assert_eq!(**request.user_password().unwrap().unwrap(), *b"arctangent");
    assert_eq!(
        request.attributes().first(AttributeType::NAS_IP_ADDRESS),
        Some(&[192, 168, 1, 16][..])
    );

    let expected = hex("02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103");
    let reply = request
        .reply(Code::ACCESS_ACCEPT)
        .with(AttributeType::SERVICE_TYPE, &[0, 0, 0, 1])
        .and_then(|reply| reply.with(AttributeType::LOGIN_SERVICE, &[0, 0, 0, 0]))
        .and_then(|reply| reply.with(AttributeType::LOGIN_IP_HOST, &[192, 168, 1, 3]))
        .unwrap();
    assert_eq!(reply.sign(ReplyStyle::Libkrad).unwrap(), expected);

    let pending = RequestBuilder::access_request(
        Identifier(0),
        authenticator("0f403f9473978057bd83d5cb98f4227a"),
        &secret,
    )
    .dangerous_omit_message_authenticator()
    .user_name(b"nemo")
    .and_then(|b| b.user_password(b"arctangent"))
    .and_then(|b| b.with(AttributeType::NAS_IP_ADDRESS, &[192, 168, 1, 16]))
    .and_then(|b| b.with(AttributeType::NAS_PORT, &[0, 0, 0, 3]))
    .and_then(RequestBuilder::build)
    .unwrap();
    assert_eq!(pending.octets(), request_octets);
    let reply = pending
        .verify(Packet::decode(&expected).unwrap(), IF_PRESENT)
        .unwrap();
    assert_eq!(reply.attributes().iter().count(), 3);
}

/// RFC 2865 §7.2: flopsy uses CHAP over PPP. The codec carries it; the password is not this crate's.
#[test]
fn rfc_2865_section_7_2() {
    let secret = SharedSecret::new(b"xyzzy5461");
    let request_octets = hex("01010047 2aee86f08d0d55969ca5978e0d3367a2 0108666c6f707379
        031316e97557c3161858 95f293ff634407 7275 0406c0a80110 050600000014 060600000002 070600000001");
    let request = Packet::decode(&request_octets)
        .unwrap()
        .authenticate(&secret, IF_PRESENT)
        .unwrap();
    assert_eq!(request.user_password(), Ok(None));
    assert_eq!(
        request
            .attributes()
            .first(AttributeType::CHAP_PASSWORD)
            .map(<[u8]>::len),
        Some(17)
    );

    let reply_octets = hex(
        "02010038 15efbc7dab26cfa3dc34d9c03c8601a4 060600000002 070600000001
        0806fffffffe 0a0600000002 0d0600000001 0c06000005dc",
    );
    let mut reply = request.reply(Code::ACCESS_ACCEPT);
    for attribute in Packet::decode(&reply_octets).unwrap().attributes() {
        reply = reply.with(attribute.kind, attribute.value).unwrap();
    }
    assert_eq!(reply.sign(ReplyStyle::Libkrad).unwrap(), reply_octets);
}

/// libkrad's own test of attribute sets: no Message-Authenticator, an authenticator of zeros.
#[test]
fn attribute_set_of_libkrad() {
    let secret = SharedSecret::new(b"foo");
    let pending = RequestBuilder::access_request(Identifier(0), [0; 16].into(), &secret)
        .dangerous_omit_message_authenticator()
        .user_name(b"testUser")
        .and_then(|b| b.user_password(b"accept"))
        .and_then(RequestBuilder::build)
        .unwrap();
    assert_eq!(
        pending.octets()[20..],
        hex("010a7465737455736572 0212588dffda37f9e4ca19ae49b7166d5827")
    );
}

#[test]
fn names() {
    for (name, code) in [("Access-Request", 1), ("Access-Accept", 2), ("Access-Reject", 3)] {
        assert_eq!(Code::from_name(name), Some(Code(code)));
        assert_eq!(Code(code).to_string(), name);
    }
    assert_eq!(AttributeType::from_name("User-Name"), Some(AttributeType(1)));
    assert_eq!(AttributeType(2).name(), Some("User-Password"));
    for value in 0..=u8::MAX {
        let named = AttributeType(value)
            .name()
            .map_or(Some(AttributeType(value)), AttributeType::from_name);
        assert_eq!(named, Some(AttributeType(value)));
        assert!(
            Code(value)
                .name()
                .is_none_or(|name| Code::from_name(name) == Some(Code(value)))
        );
    }
}
