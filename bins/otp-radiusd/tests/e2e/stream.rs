//! Bad input on the KDC's stream: the packet is discarded, the connection lives.

use std::{thread, time::Duration};

use crate::{
    system::{System, hotp},
    wire::{Connection, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Packets with intact framing that nobody can answer.
const MALFORMED: &[(&str, &[u8])] = &[
    (
        "no attributes, unknown code",
        &[
            99, 1, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
        ],
    ),
    (
        "attribute of length 0",
        &[
            1, 2, 0, 22, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 0,
        ],
    ),
    (
        "attribute of length 1",
        &[
            1, 3, 0, 22, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 1,
        ],
    ),
    (
        "attribute past the end",
        &[
            1, 4, 0, 23, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 9, 0,
        ],
    ),
    (
        "a reply",
        &[2, 5, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    ),
];

#[test]
fn a_malformed_packet_is_discarded_and_the_connection_lives() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let daemon = system.start();
    let mut kdc = Connection::to(&system.kdc_socket());
    for (counter, (what, octets)) in (0..).zip(MALFORMED) {
        kdc.send(octets);
        assert_eq!(
            kdc.ask("alice", &hotp(SECRET, counter)),
            Verdict::Accept,
            "after a packet with {what}"
        );
    }
    let (status, log) = daemon.signal("TERM");
    assert!(status.success());
    let discarded: Vec<_> = log
        .iter()
        .filter(|line| line.contains("discarded since start"))
        .collect();
    println!("{discarded:#?}");
    assert!(!discarded.is_empty(), "they are counted:\n{}", log.join("\n"));
}

#[test]
fn requests_without_name_or_password_are_rejected_not_ignored() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let daemon = system.start();
    let mut kdc = Connection::to(&system.kdc_socket());
    for (user, credential, reason) in [
        ("alice", "75522", "not-a-code"),
        ("alice", " 755224", "not-a-code"),
        ("alice\n", "755224", "invalid-user-name"),
        ("*", "755224", "unknown-user"),
        ("ali*", "755224", "unknown-user"),
        ("' OR 1=1 --", "755224", "unknown-user"),
    ] {
        assert_eq!(
            kdc.ask(user, credential),
            Verdict::Reject,
            "{user:?} {credential:?}"
        );
        daemon.wait_for(reason);
    }
    assert!(
        !daemon.log().iter().any(|line| line.contains("755224")),
        "codes are never logged"
    );
}

#[test]
fn pipelined_requests_are_all_answered() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let daemon = system.start();
    let mut kdc = Connection::to(&system.kdc_socket());
    let requests: Vec<_> = (0..5)
        .map(|n| kdc.request(if n == 0 { "alice" } else { "nobody" }, &hotp(SECRET, 0)))
        .collect();
    let together: Vec<u8> = requests
        .iter()
        .flat_map(|request| request.octets().to_vec())
        .collect();
    kdc.send(&together);
    let mut answered = Vec::new();
    for _ in &requests {
        let packet = kdc.read_packet();
        answered.push((packet[1], packet[0]));
    }
    answered.sort_unstable();
    let expected: Vec<_> = requests
        .iter()
        .enumerate()
        .map(|(n, request)| (request.identifier().0, if n == 0 { 2 } else { 3 }))
        .collect();
    assert_eq!(answered, expected);
    assert_eq!(daemon.count("decided"), 5);
}

#[test]
fn a_twin_comes_through_another_connection() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let daemon = system.start();
    // The grace does not reach back beyond the start.
    thread::sleep(Duration::from_millis(2_100));
    let (mut first, mut second) = (
        Connection::to(&system.kdc_socket()),
        Connection::to(&system.kdc_socket()),
    );
    let code = hotp(SECRET, 0);
    assert_eq!(first.ask("alice", &code), Verdict::Accept);
    assert_eq!(
        first.ask("alice", &code),
        Verdict::Reject,
        "a second login of the same KDC process"
    );
    assert_eq!(
        second.ask("alice", &code),
        Verdict::Accept,
        "another process that was asked for the same login"
    );
    assert_eq!(
        second.ask("alice", &code),
        Verdict::Reject,
        "which was asked once"
    );
    assert_eq!(daemon.count("reason=\"accepted\""), 1);
    assert_eq!(daemon.count("reason=\"twin\""), 1);
}

#[test]
fn the_first_connections_of_two_listeners_are_two_channels() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let other = system.dir().join("other.socket");
    let daemon = system.start_with(&["--listen", &format!("unix:{}", other.display())]);
    thread::sleep(Duration::from_secs(2)); // the grace does not reach back beyond the start
    let code = hotp(SECRET, 0);
    let verdicts = [system.kdc_socket(), other].map(|socket| Connection::to(&socket).ask("alice", &code));
    assert_eq!(verdicts, [Verdict::Accept; 2]);
    assert_eq!(daemon.count("reason=\"twin\""), 1);
}
