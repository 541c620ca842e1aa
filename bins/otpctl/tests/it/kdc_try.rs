//! `otpctl kdc try` against servers of the test. What a real KDC does is compared in the daemon's end-to-end tests.

use std::{
    io::{Read as _, Write as _},
    net::UdpSocket,
    os::unix::net::UnixListener,
    thread,
};

use krad::{Code, MessageAuthenticatorRule, Packet, ReplyStyle, SharedSecret, StreamDecoder};
use serde_json::{Value, json};

use crate::harness::{Done, State};

/// Writes a kdc.conf with these lines in `[otp]`, and tries to log alice in.
fn attempt(state: &State, otp: &str, user_string: &str, code: &str, more: &[&str]) -> Done {
    let conf = state.write("kdc.conf", format!("[otp]\n{otp}\n"));
    let mut arguments = vec![
        "kdc",
        "try",
        "alice@EXAMPLE.COM",
        "--from-stdin",
        "--nas-identifier",
        "test",
    ];
    arguments.extend(more);
    arguments.push(conf.to_str().unwrap());
    state.run_with(arguments, format!("{user_string}\n{code}\n"))
}

/// Serves one connection on the socket `name`: for each request the packets that `replies` makes of it; then it closes.
fn serve(
    state: &State,
    name: &str,
    replies: impl Fn(&krad::Request<'_>) -> Vec<Vec<u8>> + Send + 'static,
) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(state.file(name)).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut decoder = StreamDecoder::new();
        loop {
            while let Some(octets) = decoder.next_packet().unwrap() {
                let rule = MessageAuthenticatorRule::IfPresent {
                    limit_proxy_state: false,
                };
                let secret = SharedSecret::empty();
                let request = Packet::decode(octets)
                    .unwrap()
                    .authenticate(&secret, rule)
                    .unwrap();
                let replies = replies(&request);
                if replies.is_empty() {
                    return;
                }
                // In pieces, as a stream may deliver them.
                for octet in replies.concat().chunks(7) {
                    stream.write_all(octet).unwrap();
                }
            }
            match stream.read(decoder.space()).unwrap() {
                0 => return,
                length => decoder.filled(length),
            }
        }
    })
}

fn reply(request: &krad::Request<'_>, code: Code, style: ReplyStyle) -> Vec<u8> {
    request.reply(code).sign(style).unwrap()
}

fn socket_type(state: &State, name: &str, more: &str) -> String {
    format!(
        " {name} = {{\n  server = {}\n  {more}\n }}",
        state.file(name).display()
    )
}

#[test]
fn every_step_is_told_and_the_indicators_of_a_ticket() {
    let state = State::none();
    let otp = [
        socket_type(&state, "no", ""),
        socket_type(
            &state,
            "yes",
            "indicator = otp\n  indicator = strong\n  strip_realm = no",
        ),
    ]
    .join("\n");
    let user_string = r#"[{"type":"no","username":"other"},{"type":"yes"}]"#;
    for json in [false, true] {
        let no = serve(&state, "no", |request| {
            assert_eq!(request.user_name(), Some(&b"other"[..]));
            assert_eq!(**request.user_password().unwrap().unwrap(), *b"755224");
            vec![reply(request, Code::ACCESS_CHALLENGE, ReplyStyle::Libkrad)]
        });
        let yes = serve(&state, "yes", |request| {
            assert_eq!(request.user_name(), Some(&b"alice@EXAMPLE.COM"[..]));
            vec![reply(request, Code::ACCESS_ACCEPT, ReplyStyle::Libkrad)]
        });
        let more: &[&str] = if json { &["--json"] } else { &[] };
        let done = attempt(&state, &otp, user_string, "755224", more).ok();
        no.join().unwrap();
        yes.join().unwrap();
        for name in ["no", "yes"] {
            std::fs::remove_file(state.file(name)).unwrap();
        }
        assert!(!done.stdout.contains("755224"), "{done:?}");
        if !json {
            let done = done
                .prints("token 1 (no): asked ")
                .prints(" about other: Access-Challenge after ");
            done.prints("token 2 (yes): asked ")
                .prints(" about alice@EXAMPLE.COM: Access-Accept after ")
                .prints("granted: the KDC issues a ticket with the authentication indicators otp, strong\n");
            continue;
        }
        let mut value = done.json();
        let steps = value["steps"].as_array_mut().unwrap();
        for step in steps.iter_mut() {
            assert!(step["milliseconds"].take().is_u64());
            assert!(step["server"].take().as_str().unwrap().starts_with('/'));
        }
        let step = |token: u8, name: &str, user: &str, answer: &str| {
            json!({
                "token": token, "type": name, "server": null, "user_name": user, "answer": answer,
                "cause": null, "packets": 1, "milliseconds": null, "notes": [],
            })
        };
        let expected = json!([
            step(1, "no", "other", "Access-Challenge"),
            step(2, "yes", "alice@EXAMPLE.COM", "Access-Accept"),
        ]);
        assert_eq!(value["steps"], expected);
        assert_eq!(value["verdict"], "granted");
        assert_eq!(value["indicators"], json!(["otp", "strong"]));
        assert_eq!(value["logged_as"], Value::Null);
        assert_eq!(value["principal"], "alice@EXAMPLE.COM");
    }
}

/// What a KDC waits through in silence is told.
#[test]
fn troubles_on_the_way_are_noted() {
    let state = State::none();
    let otp = socket_type(&state, "t", "timeout = 1");
    let try_it = || {
        let value = attempt(&state, &otp, r#"[{"type":"t"}]"#, "1", &["--json"])
            .exits(1)
            .json();
        std::fs::remove_file(state.file("t")).unwrap();
        assert_eq!(value["verdict"], "failed", "{value}");
        assert_eq!(value["logged_as"], "Connection timed out");
        let milliseconds = value["steps"][0]["milliseconds"].as_u64().unwrap();
        assert!((1000..3000).contains(&milliseconds), "{value}");
        value["steps"][0]["notes"].to_string()
    };

    let closing = serve(&state, "t", |_| Vec::new());
    let notes = try_it();
    closing.join().unwrap();
    assert!(notes.contains("closed the connection"), "{notes}");

    // A reply that a KDC before 1.22 cannot read, and one that is not authentic.
    let unreadable = serve(&state, "t", |request| {
        let mut forged = reply(request, Code::ACCESS_ACCEPT, ReplyStyle::Libkrad);
        forged[4] ^= 1;
        vec![reply(request, Code::ACCESS_ACCEPT, ReplyStyle::Network), forged]
    });
    let notes = try_it();
    unreadable.join().unwrap();
    assert!(
        notes.contains("discarded") && notes.contains("Message-Authenticator"),
        "{notes}"
    );
    assert!(notes.contains("wrong Response Authenticator"), "{notes}");

    let garbage = serve(&state, "t", |_| vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()]);
    let notes = try_it();
    garbage.join().unwrap();
    assert!(notes.contains("no sequence of RADIUS packets"), "{notes}");
}

#[test]
fn a_port_that_nobody_listens_at_is_noted() {
    let state = State::none();
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let secret = state.write("secret", "testing123\n");
    let otp = format!(
        " u = {{\n  server = {address}\n  secret = {}\n  timeout = 1\n  retries = 1\n }}",
        secret.display()
    );
    let value = attempt(&state, &otp, r#"[{"type":"u"}]"#, "1", &["--json"])
        .exits(1)
        .json();
    let step = &value["steps"][0];
    assert_eq!(value["verdict"], "failed");
    assert_eq!(step["notes"].as_array().unwrap().len(), 1, "{value}");
    assert!(step["notes"].to_string().contains("cannot be reached"), "{value}");
}

#[test]
fn a_krb5_since_1_22_reads_and_sends_message_authenticator() {
    let state = State::none();
    let secret = state.write("secret", "testing123\n");
    for (version, granted) in [("before-1.22", false), ("since-1.22", true)] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let otp = format!(
            " u = {{\n  server = {}\n  secret = {}\n  timeout = 1\n  retries = 0\n }}",
            socket.local_addr().unwrap(),
            secret.display()
        );
        let server = thread::spawn(move || {
            let mut buffer = [0; 4096];
            let (length, peer) = socket.recv_from(&mut buffer).unwrap();
            let secret = SharedSecret::new(b"testing123");
            let rule = MessageAuthenticatorRule::Required;
            let packet = Packet::decode(&buffer[..length]).unwrap();
            let Ok(request) = packet.authenticate(&secret, rule) else {
                return false;
            };
            let octets = reply(&request, Code::ACCESS_ACCEPT, ReplyStyle::Network);
            socket.send_to(&octets, peer).unwrap();
            true
        });
        let more = ["--final-rule", version];
        let done = attempt(&state, &otp, r#"[{"type":"u"}]"#, "1", &more);
        assert_eq!(done.code == 0, granted, "{version}: {done:?}");
        assert_eq!(server.join().unwrap(), granted, "{version}");
    }
}

#[test]
fn what_never_reaches_a_server_is_told_without_an_otp() {
    let state = State::none();
    let fine = socket_type(&state, "t", "");
    for (otp, user_string, verdict, logged) in [
        (fine.as_str(), "[{", "unusable", json!("Invalid argument")),
        (&fine, r#"[{"type":"T"}]"#, "unusable", json!("Invalid argument")),
        (" t = {\n  timeout = 5s\n }", "[{}]", "without-otp", Value::Null),
        (" t =\n", "[{}]", "does-not-start", Value::Null),
    ] {
        let conf = state.write("kdc.conf", format!("[otp]\n{otp}\n"));
        let arguments = [
            "--json",
            "kdc",
            "try",
            "alice@R",
            "--user-string",
            user_string,
            conf.to_str().unwrap(),
        ];
        let value = state.run(arguments).exits(1).json();
        assert_eq!(value["verdict"], verdict, "{value}");
        assert_eq!(value["logged_as"], logged, "{value}");
        assert_eq!(value["steps"], json!([]));
    }
    // The user string is fine, but the OTP or the server is not.
    for (code, verdict, logged) in [
        ("", "unusable", "Message too long"),
        (&"1".repeat(129), "unusable", "Message too long"),
        ("1", "failed", "No such file or directory"),
    ] {
        let value = attempt(&state, &fine, r#"[{"type":"t"}]"#, code, &["--json"])
            .exits(1)
            .json();
        assert_eq!(value["verdict"], verdict, "{value}");
        assert_eq!(value["logged_as"], logged, "{value}");
    }
    attempt(&state, &fine, r#"[{"type":"t"}]"#, "1", &[])
        .exits(1)
        .prints("failed: no ticket: cannot connect")
        .prints("krb5kdc would log: preauth (otp) verify failure: No such file or directory\n");
}

#[test]
fn what_is_typed_wrong_is_told_apart() {
    let state = State::none();
    let conf = state.write("kdc.conf", "[otp]\n");
    let conf = conf.to_str().unwrap();
    state
        .run(["kdc", "try", "alice", "--user-string", "[{}]", conf])
        .exits(4)
        .says("no realm: write PRINCIPAL@REALM");
    state
        .run(["kdc", "try", "alice@A@B", "--user-string", "[{}]", conf])
        .exits(4)
        .says("in the realm at octet 7");
    state
        .run(["kdc", "try", "alice@A", "--user-string", "[{}]", conf])
        .exits(4)
        .says("standard input is empty");
    state
        .run(["kdc", "try", "alice@A", "--from-stdin", conf])
        .exits(4)
        .says("user string as its first line");
    state
        .run([
            "kdc",
            "try",
            "alice@A",
            "--from-stdin",
            "--user-string",
            "[{}]",
            conf,
        ])
        .exits(2);
    let name = "x".repeat(254);
    state
        .run([
            "kdc",
            "try",
            "alice@A",
            "--user-string",
            "[{}]",
            "--nas-identifier",
            &name,
            conf,
        ])
        .exits(4)
        .says("NAS-Identifier of 254 octets");
    // The default realm is that of the files.
    let krb5 = state.write("krb5.conf", "[libdefaults]\n default_realm = EXAMPLE.COM\n");
    let run_dir = state.directory.path().to_str().unwrap();
    let arguments = [
        "--json",
        "kdc",
        "try",
        "alice",
        "--user-string",
        "[{}]",
        "--run-dir",
        run_dir,
        conf,
        krb5.to_str().unwrap(),
    ];
    let value = state.run_with(arguments, "1\n").exits(1).json();
    assert_eq!(value["steps"][0]["user_name"], "alice@EXAMPLE.COM");
    assert_eq!(value["steps"][0]["server"], format!("{run_dir}/DEFAULT.socket"));
}
