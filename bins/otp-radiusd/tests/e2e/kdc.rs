//! A real KDC against responders of the test: what it asks whom, in which order, and what a ticket then carries.
//!
//! The first table is that of MIT's own test of OTP preauthentication, with its names.

use std::{path::PathBuf, time::Duration};

use crate::{
    realm::Realm,
    responder::{Behavior, Responder},
};

/// A user's `otp` string, what is typed, and what has to come of it.
struct Row {
    otp: &'static str,
    typed: &'static str,
    /// What the servers accept.
    udp: &'static str,
    unix: &'static str,
    granted: bool,
    /// The user names that the UDP and the UNIX server see.
    users: [&'static [&'static str]; 2],
    indicators: &'static [&'static str],
}

const ROWS: [Row; 6] = [
    Row {
        otp: r#"[{"type":"udp","username":"custom"}]"#,
        typed: "reject",
        udp: "accept",
        unix: "accept",
        granted: false,
        users: [&["custom"], &[]],
        indicators: &[],
    },
    Row {
        otp: r#"[{"type":"udp"}]"#,
        typed: "accept",
        udp: "accept",
        unix: "accept",
        granted: true,
        users: [&["user"], &[]],
        indicators: &["indotp1", "indotp2"],
    },
    Row {
        otp: r#"[{"type":"udp","indicators":["indtok1","indtok2"]}]"#,
        typed: "accept",
        udp: "accept",
        unix: "accept",
        granted: true,
        users: [&["user"], &[]],
        indicators: &["indtok1", "indtok2"],
    },
    Row {
        otp: r#"[{"type":"unix","username":"custom"}]"#,
        typed: "reject",
        udp: "accept",
        unix: "accept",
        granted: false,
        users: [&[], &["custom"]],
        indicators: &[],
    },
    Row {
        otp: r#"[{"type":"unix"}]"#,
        typed: "accept",
        udp: "accept",
        unix: "accept",
        granted: true,
        users: [&[], &["user@KRBTEST.COM"]],
        indicators: &[],
    },
    Row {
        otp: r#"[{"type":"udp"},{"type":"unix"}]"#,
        typed: "accept2",
        udp: "accept1",
        unix: "accept2",
        granted: true,
        users: [&["user"], &["user@KRBTEST.COM"]],
        indicators: &[],
    },
];

#[test]
fn the_table_of_mits_own_test() {
    let realm = Realm::new();
    realm.add_user("user", "[{}]");
    std::fs::write(realm.dir().join("secret"), "otptest").unwrap();
    let dir = realm.dir().display();
    for (number, row) in ROWS.iter().enumerate() {
        let socket = realm.dir().join(format!("unix{number}"));
        let (udp, address) = Responder::udp(&["otptest"], row.udp, Behavior::Accept);
        let unix = Responder::unix(&socket, &[""], row.unix, Behavior::Accept);
        let kdc = realm
            .kdc(&format!(
                " udp = {{\n  server = {address}\n  secret = {dir}/secret\n  strip_realm = true\n  \
                 indicator = indotp1\n  indicator = indotp2\n }}\n unix = {{\n  server = {}\n  strip_realm = false\n }}",
                socket.display()
            ))
            .start();
        realm.set_otp("user", row.otp);
        let login = kdc.login("user", row.typed);
        assert_eq!(
            login.succeeded(),
            row.granted,
            "{}: {login}\n{}",
            row.otp,
            kdc.log()
        );
        for (server, expected) in [&udp, &unix].into_iter().zip(row.users) {
            let users: Vec<String> = server
                .received()
                .into_iter()
                .map(|received| received.user)
                .collect();
            assert_eq!(users, expected, "{}", row.otp);
        }
        if row.granted {
            for indicator in ["indotp1", "indotp2", "indtok1", "indtok2"] {
                assert_eq!(
                    login.has_indicator(indicator),
                    row.indicators.contains(&indicator),
                    "{indicator}"
                );
            }
        }
    }
}

fn socket_type(realm: &Realm, lines: &str) -> (PathBuf, String) {
    let socket = realm.dir().join("socket");
    let otp = format!(" t = {{\n  server = {}\n{lines} }}", socket.display());
    (socket, otp)
}

/// An OTP can reach a server twice in different packets: the client sends its request again after a second, and another
/// process of the KDC, which knows nothing of the first, asks again.
#[test]
fn workers_ask_twice_for_one_login() {
    let realm = Realm::new();
    realm.add_user("alice", r#"[{"type":"t"}]"#);
    let (socket, otp) = socket_type(&realm, "  timeout = 2\n");
    let kdc = realm.kdc(&otp).workers(4).udp().start();
    // Which worker gets the second request is the kernel's choice.
    let twins = (0..8).find_map(|_| {
        let server = Responder::unix(&socket, &[""], "123456", Behavior::Silent);
        assert!(!kdc.login("alice", "123456").succeeded());
        let received = server.received();
        assert!(!received.is_empty(), "{}", kdc.log());
        <[_; 2]>::try_from(received).ok()
    });
    let [first, second] = twins.expect("one of eight logins reaches two workers");
    assert_eq!((first.user.as_str(), second.user.as_str()), ("alice", "alice"));
    assert!(
        first.secret.is_some() && second.secret.is_some(),
        "both carry the code"
    );
    assert_ne!(first.octets, second.octets, "they are different packets");
    let apart = second.at - first.at;
    assert!(
        (Duration::from_millis(800)..Duration::from_millis(1800)).contains(&apart),
        "{apart:?}"
    );
}

#[test]
fn a_restarted_kdc_and_a_restarted_server_find_each_other() {
    let realm = Realm::new();
    realm.add_user("alice", r#"[{"type":"t"}]"#);
    let (socket, otp) = socket_type(&realm, "");
    let server = Responder::unix(&socket, &[""], "123456", Behavior::Accept);
    let kdc = realm.kdc(&otp).start();
    let login = kdc.login("alice", "123456");
    assert!(login.succeeded() && login.cache().exists(), "{login}");
    let kdc = kdc.restart();
    assert!(kdc.login("alice", "123456").succeeded());
    assert_eq!(server.received().len(), 2);

    drop(server);
    let _rejecting = Responder::unix(&socket, &[""], "123456", Behavior::Reject);
    let login = kdc.login("alice", "123456");
    assert!(!login.succeeded());
    assert!(
        login.output().stderr.contains("Preauthentication failed"),
        "{login}"
    );
    assert!(
        kdc.log().contains("PREAUTH_FAILED: alice@KRBTEST.COM"),
        "{}",
        kdc.log()
    );
}
