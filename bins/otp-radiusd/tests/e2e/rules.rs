//! Attributes by rule: set by `otpctl` while the daemon runs, read by FreeRADIUS's `radclient`, kept from a KDC.

use std::net::{Ipv4Addr, UdpSocket};

use krad::{AttributeType, Identifier, RequestAuthenticator, RequestBuilder, SharedSecret};

use crate::{
    radclient::{Answer, pap, radclient},
    reply::{lines, reply},
    system::{Daemon, PATIENCE, System, hotp},
    wire::{Connection, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Logins of alice, one code after the other.
struct Logins<'a> {
    daemon: &'a Daemon,
    counter: u64,
}

impl Logins<'_> {
    /// What the Access-Accept says besides yes.
    fn ask(&mut self, secret: &str, user: &str, more: &str) -> Vec<String> {
        let attributes = format!("{}{more}\n", pap(user, &hotp(SECRET, self.counter)).trim_end());
        self.counter += 1;
        let (answer, text) = radclient(self.daemon, secret, &attributes);
        assert_eq!(answer, Answer::Accept, "{text}");
        lines(&text)
    }
}

fn rule(system: &System, args: &[&str]) {
    let mut all = vec!["rule"];
    all.extend(args);
    system.otpctl(&all, "");
}

#[test]
fn rules_look_at_clients_realms_users_and_requests_and_change_while_the_daemon_runs() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let switch = system.radius_client("switch-7", &["--nas-identifier", "switch-7"]);
    let vpn = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let mut logins = Logins {
        daemon: &daemon,
        counter: 0,
    };
    const AT_SWITCH: &str = ", NAS-Identifier = \"switch-7\"";
    const AT_GUESTS: &str = ", Called-Station-Id = \"00-11-22-33-44-55:guest\"";
    assert_eq!(
        logins.ask(&switch, "alice", AT_SWITCH),
        [""; 0],
        "there are no rules"
    );

    // By a pattern of clients.
    rule(
        &system,
        &[
            "add",
            "switches",
            "--client",
            "switch-*",
            "--reply",
            "Tunnel-Type:1=VLAN",
            "--reply",
            "Tunnel-Medium-Type:1=IEEE-802",
            "--reply",
            "Tunnel-Private-Group-ID:1=20",
            "--reply",
            "Session-Timeout=20",
        ],
    );
    let vlan = [
        "Tunnel-Type:1 = VLAN",
        "Tunnel-Medium-Type:1 = IEEE-802",
        "Tunnel-Private-Group-Id:1 = \"20\"",
        "Session-Timeout = 20",
    ];
    assert_eq!(logins.ask(&switch, "alice", AT_SWITCH), vlan);
    assert_eq!(logins.ask(&vpn, "alice", ""), [""; 0]);

    // By the SSID, which access points put behind their address.
    rule(
        &system,
        &[
            "add",
            "guests",
            "--attribute",
            "Called-Station-Id=*:guest",
            "--reply",
            "Filter-Id=guest",
            "--reply",
            "Session-Timeout=3600",
        ],
    );
    let guest = ["Filter-Id = \"guest\"", "Session-Timeout = 3600"];
    assert_eq!(logins.ask(&vpn, "alice", AT_GUESTS), guest);
    let staff = ", Called-Station-Id = \"00-11-22-33-44-55:staff\"";
    assert_eq!(logins.ask(&vpn, "alice", staff), [""; 0]);

    // Both are about this login: the first that names Session-Timeout counts, and then the other.
    let both = format!("{AT_SWITCH}{AT_GUESTS}");
    let ordered = |first: &[&str], then: &[&str]| -> Vec<String> {
        first.iter().chain(then).map(ToString::to_string).collect()
    };
    assert_eq!(
        logins.ask(&switch, "alice", &both),
        ordered(&vlan, &["Filter-Id = \"guest\""])
    );
    rule(&system, &["set", "guests", "--order", "1"]);
    assert_eq!(logins.ask(&switch, "alice", &both), ordered(&guest, &vlan[..3]));

    // The user's before the rules', and these before the client's.
    system.otpctl(&["user", "set", "alice", "--reply", "Session-Timeout=60"], "");
    let client = ["client", "set", "vpn", "--reply", "Session-Timeout=5"];
    system.otpctl(&[&client[..], &["--reply", "Idle-Timeout=5"]].concat(), "");
    assert_eq!(
        logins.ask(&vpn, "alice", AT_GUESTS),
        [
            "Session-Timeout = 60",
            "Filter-Id = \"guest\"",
            "Idle-Timeout = 5"
        ]
    );
    system.otpctl(&["user", "set", "alice", "--no-reply", "Session-Timeout"], "");

    // Disabled, enabled, removed.
    rule(&system, &["disable", "guests"]);
    let of_client = ["Session-Timeout = 5", "Idle-Timeout = 5"];
    assert_eq!(logins.ask(&vpn, "alice", AT_GUESTS), of_client);
    rule(&system, &["enable", "guests"]);
    assert_eq!(
        logins.ask(&vpn, "alice", AT_GUESTS),
        ordered(&guest, &["Idle-Timeout = 5"])
    );
    rule(&system, &["rm", "guests", "switches"]);
    assert_eq!(logins.ask(&vpn, "alice", AT_GUESTS), of_client);

    // By the realm of what came in, and by a user; a rejection carries nothing.
    rule(
        &system,
        &[
            "add",
            "corp",
            "--realm",
            "CORP.example",
            "--user",
            "al*",
            "--reply",
            "Framed-Pool=corp",
        ],
    );
    assert_eq!(logins.ask(&vpn, "alice", ""), of_client);
    assert_eq!(
        logins.ask(&vpn, "alice@corp.EXAMPLE", ""),
        ordered(&["Framed-Pool = \"corp\""], &of_client)
    );
    let (answer, text) = radclient(&daemon, &vpn, &pap("alice@corp.example", "000000"));
    assert_eq!((answer, lines(&text)), (Answer::Reject, Vec::new()), "{text}");
}

#[test]
fn a_vendors_attribute_is_found_beside_others_in_one() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    rule(
        &system,
        &[
            "add",
            "ssid",
            "--attribute",
            "Cisco-AVPair=ssid=g*",
            "--reply",
            "Class=guest",
        ],
    );
    let daemon = system.start();
    let shared = SharedSecret::new(secret.as_bytes());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = |counter: u64, vendors: &[&[u8]]| {
        let mut inner = vec![0, 0, 0, 9];
        for value in vendors {
            inner.extend([1, u8::try_from(value.len() + 2).unwrap()]);
            inner.extend(*value);
        }
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        let request = RequestBuilder::access_request(Identifier(1), authenticator, &shared)
            .user_name(b"alice")
            .and_then(|request| request.user_password(hotp(SECRET, counter).as_bytes()))
            .and_then(|request| request.with(AttributeType::VENDOR_SPECIFIC, &inner))
            .and_then(RequestBuilder::build)
            .unwrap();
        reply(daemon.udp(), &socket, &request)
    };
    assert_eq!(ask(0, &[b"vlan=7", b"ssid=guest"]), [(25, b"guest".to_vec())]);
    assert_eq!(ask(1, &[b"vlan=7", b"ssid=staff"]), []);
}

#[test]
fn a_kdc_is_told_nothing_but_yes() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let refused = system.try_otpctl(&["rule", "add", "x", "--client", "kdc", "--reply", "Class=x"], "");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    rule(&system, &["add", "everybody", "--reply", "Session-Timeout=3600"]);
    let secret = system.radius_client("realm", &[]);
    let daemon = system.start();
    // A header of twenty octets and nothing else, or this fails.
    let mut kdc = Connection::to(&system.kdc_socket());
    assert_eq!(kdc.ask("alice", &hotp(SECRET, 0)), Verdict::Accept);

    // Over a network, as krb5 1.22 composes it; and one attribute more, which makes it a NAS.
    let shared = SharedSecret::new(secret.as_bytes());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let compose = |counter: u64| {
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        RequestBuilder::access_request(Identifier(1), authenticator, &shared)
            .with(AttributeType::NAS_IDENTIFIER, b"kdc.example.com")
            .and_then(|request| request.with(AttributeType::SERVICE_TYPE, &[0, 0, 0, 8]))
            .and_then(|request| request.user_password(hotp(SECRET, counter).as_bytes()))
            .and_then(|request| request.user_name(b"alice"))
            .unwrap()
    };
    let of_kdc = compose(1).build().unwrap();
    assert_eq!(reply(daemon.udp(), &socket, &of_kdc), []);
    let of_nas = compose(2)
        .with(AttributeType::NAS_PORT, &[0, 0, 0, 1])
        .and_then(RequestBuilder::build)
        .unwrap();
    assert_eq!(reply(daemon.udp(), &socket, &of_nas), [(27, vec![0, 0, 14, 16])]);
}

/// More than a packet has room for, which a user and a client alone never have: nobody loses a code by it.
#[test]
fn what_does_not_fit_is_refused_and_no_code_is_spent() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let secret = system.radius_client("vpn", &[]);
    let daemon = system.start();
    let long = format!("Reply-Message={}", "x".repeat(253));
    for name in ["a", "b", "c", "d"] {
        let mut args = vec!["add", name];
        for _ in 0..4 {
            args.extend(["--reply", long.as_str()]);
        }
        rule(&system, &args);
    }
    let shown = system.try_otpctl(&["auth", "alice", "--client", "vpn"], &hotp(SECRET, 0));
    let said = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.status.code(), Some(1), "{shown:?}");
    assert!(said.contains("reject reply-too-long alice"), "{shown:?}");
    let (answer, text) = radclient(&daemon, &secret, &pap("alice", &hotp(SECRET, 0)));
    assert_eq!((answer, lines(&text)), (Answer::Reject, Vec::new()), "{text}");
    daemon.wait_for("reason=\"reply-too-long\"");
    daemon.wait_for("an Access-Accept does not fit");
    rule(&system, &["disable", "d"]);
    let (answer, text) = radclient(&daemon, &secret, &pap("alice", &hotp(SECRET, 0)));
    assert_eq!((answer, lines(&text).len()), (Answer::Accept, 12), "{text}");
}
