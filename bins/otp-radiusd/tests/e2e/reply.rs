//! Attributes of acceptances: set by `otpctl`, read by FreeRADIUS's `radclient`, kept from a KDC.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, RequestAuthenticator, RequestBuilder,
    SharedSecret,
};

use crate::{
    radclient::{Answer, pap, radclient},
    system::{PATIENCE, System, hotp},
    wire::{Connection, Verdict, uninterrupted},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const VLAN: [&str; 6] = [
    "--reply",
    "Tunnel-Type:1=VLAN",
    "--reply",
    "Tunnel-Medium-Type:1=IEEE-802",
    "--reply",
    "Tunnel-Private-Group-ID:1=20",
];

/// The attributes of the answer that `radclient` has shown.
pub fn lines(text: &str) -> Vec<String> {
    let reply = text.split("Received Access-").nth(1).unwrap_or_default();
    let lines = reply.lines().skip(1).map(str::trim);
    let of_interest = lines.filter(|line| line.contains(" = ") && !line.starts_with("Message-Authenticator"));
    of_interest.map(str::to_owned).collect()
}

#[test]
fn radclient_reads_by_name_what_otpctl_has_set() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let set = |object: &str, name: &str, options: &[&str]| {
        let mut args = vec![object, "set", name];
        args.extend(options);
        system.otpctl(&args, "");
    };
    let ask = |counter: u64| {
        let (answer, text) = radclient(&daemon, &secret, &pap("alice", &hotp(SECRET, counter)));
        assert_eq!(answer, Answer::Accept, "{text}");
        lines(&text)
    };
    assert_eq!(ask(0), [""; 0], "nobody has set any");

    // While the daemon runs: the user's first, then the client's.
    let mut options = vec!["--reply", "Session-Timeout=3600", "--reply", "Class=staff"];
    options.extend(VLAN);
    set("user", "alice", &options);
    set(
        "client",
        "vpn",
        &[
            "--reply",
            "Session-Timeout=60",
            "--reply",
            "Idle-Timeout=300",
            "--reply",
            "Class=vpn",
            "--reply",
            "Cisco-AVPair=shell:priv-lvl=15",
            "--reply",
            "Mikrotik-Group=full",
            "--reply",
            "MS-Primary-DNS-Server=192.0.2.53",
            "--reply",
            "Reply-Message=Welcome",
        ],
    );
    let all = ask(1);
    assert_eq!(
        all,
        [
            "Session-Timeout = 3600",
            "Class = 0x7374616666",
            "Tunnel-Type:1 = VLAN",
            "Tunnel-Medium-Type:1 = IEEE-802",
            "Tunnel-Private-Group-Id:1 = \"20\"",
            "Idle-Timeout = 300",
            "Class = 0x76706e",
            "Cisco-AVPair = \"shell:priv-lvl=15\"",
            "Mikrotik-Group = \"full\"",
            "MS-Primary-DNS-Server = 192.0.2.53",
            "Reply-Message = \"Welcome\"",
        ]
    );
    let (answer, text) = radclient(&daemon, &secret, &pap("alice", "000000"));
    assert_eq!((answer, lines(&text)), (Answer::Reject, Vec::new()), "{text}");

    set(
        "user",
        "alice",
        &["--no-reply", "Session-Timeout", "--no-reply", "Class"],
    );
    set(
        "client",
        "vpn",
        &["--no-reply", "Reply-Message", "--reply", "Idle-Timeout=5"],
    );
    let fewer = ask(2);
    assert!(fewer.contains(&"Session-Timeout = 60".to_owned()), "{fewer:?}");
    assert!(fewer.contains(&"Idle-Timeout = 5".to_owned()), "{fewer:?}");
    assert!(
        !fewer
            .iter()
            .any(|line| line.contains("Welcome") || line.contains("7374616666"))
    );
}

/// The attributes of the reply to `octets`, as types and values.
pub fn reply(server: SocketAddr, socket: &UdpSocket, request: &krad::PendingRequest) -> Vec<(u8, Vec<u8>)> {
    socket.send_to(request.octets(), server).unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = uninterrupted(|| socket.recv_from(&mut buffer)).expect("an answer");
    let packet = Packet::decode(&buffer[..length]).unwrap();
    let reply = request
        .verify(
            packet,
            MessageAuthenticatorRule::IfPresent {
                limit_proxy_state: false,
            },
        )
        .unwrap();
    assert_eq!(reply.code(), Code::ACCESS_ACCEPT);
    let attributes = reply.attributes().iter();
    attributes
        .filter(|attribute| attribute.kind != AttributeType::MESSAGE_AUTHENTICATOR)
        .map(|attribute| (attribute.kind.0, attribute.value.to_vec()))
        .collect()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn the_same_packet_after_a_restart_has_the_same_attributes_unless_they_were_changed() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    system.otpctl(&["user", "set", "alice", "--reply", "Session-Timeout=3600"], "");
    let secret = system.radius_client("vpn", &["--repeat-grace", "5"]);
    system.otpctl(&["client", "set", "vpn", "--reply", "Framed-Pool=staff"], "");
    let daemon = system.start();
    let socket = socket();
    let shared = SharedSecret::new(secret.as_bytes());
    let authenticator = RequestAuthenticator::from([7; 16]);
    let request = RequestBuilder::access_request(Identifier(9), authenticator, &shared)
        .user_name(b"alice")
        .and_then(|request| request.user_password(hotp(SECRET, 0).as_bytes()))
        .and_then(RequestBuilder::build)
        .unwrap();
    let first = reply(daemon.udp(), &socket, &request);
    assert_eq!(first, [(27, vec![0, 0, 14, 16]), (88, b"staff".to_vec())]);
    assert_eq!(
        reply(daemon.udp(), &socket, &request),
        first,
        "from the table of duplicates"
    );
    drop(daemon);
    let daemon = system.start();
    assert_eq!(reply(daemon.udp(), &socket, &request), first, "from the store");
    drop(daemon);
    system.otpctl(&["user", "set", "alice", "--reply", "Session-Timeout=60"], "");
    system.otpctl(&["client", "set", "vpn", "--no-reply", "Framed-Pool"], "");
    let daemon = system.start();
    assert_eq!(reply(daemon.udp(), &socket, &request), [(27, vec![0, 0, 0, 60])]);
}

#[test]
fn a_kdc_is_told_nothing_but_yes() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let mut options = vec!["user", "set", "alice", "--reply", "Session-Timeout=3600"];
    options.extend(VLAN);
    system.otpctl(&options, "");
    let refused = system.try_otpctl(&["client", "set", "kdc", "--reply", "Session-Timeout=1"], "");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let secret = system.radius_client("realm", &[]);
    let daemon = system.start();

    let mut kdc = Connection::to(&system.kdc_socket());
    // A header of twenty octets and nothing else, or this fails.
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Accept);

    // Over a network, as krb5 1.22 composes it.
    let shared = SharedSecret::new(secret.as_bytes());
    let compose = |counter: u64, more: bool| {
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        let request = RequestBuilder::access_request(Identifier(1), authenticator, &shared)
            .with(AttributeType::NAS_IDENTIFIER, b"kdc.example.com")
            .and_then(|request| request.with(AttributeType::SERVICE_TYPE, &[0, 0, 0, 8]))
            .and_then(|request| request.user_password(hotp(SECRET, counter).as_bytes()))
            .and_then(|request| request.user_name(b"alice"));
        let request = match more {
            true => request.and_then(|request| request.with(AttributeType::NAS_PORT, &[0, 0, 0, 1])),
            false => request,
        };
        request.and_then(RequestBuilder::build).unwrap()
    };
    let socket = socket();
    assert_eq!(reply(daemon.udp(), &socket, &compose(1, false)), []);
    assert_eq!(
        reply(daemon.udp(), &socket, &compose(2, true)).len(),
        4,
        "a NAS that asks like a KDC"
    );
}
