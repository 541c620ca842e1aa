//! `otpctl auth`.

use crate::harness::{CODES, State};

#[test]
fn a_code_is_accepted_once() {
    let state = State::with_alice();
    let done = state
        .run_with(["auth", "alice", "--json"], format!("{}\n", CODES[0]))
        .ok();
    let value = done.json();
    assert_eq!(
        (&value["verdict"], &value["reason"]),
        (&"accept".into(), &"accepted".into())
    );
    assert_eq!(
        (&value["user"], &value["token"]),
        (&"alice".into(), &"hotp".into())
    );
    assert_eq!(value["client"], "kdc");
    assert!(value["explanation"].as_str().unwrap().contains("spent"));
    // The KDC's grace is for twins of one login; through another client there is none.
    state.run(["client", "add", "vpn", "--address", "192.0.2.1"]).ok();
    let again = state
        .run_with(["auth", "alice", "--client", "vpn"], CODES[0])
        .exits(1);
    assert!(
        again.stdout.starts_with("reject replayed-code alice/hotp\n"),
        "{again:?}"
    );
    state
        .run_with(["auth", "alice@EXAMPLE.COM", "--client", "vpn"], CODES[1])
        .ok()
        .prints("accept accepted alice/hotp");
}

#[test]
fn rejections_say_why() {
    let state = State::with_alice();
    state.run(["user", "add", "bob"]).ok();
    let rows = [
        ("alice", "000000", "wrong-code"),
        ("alice", "75522", "not-a-code"),
        ("alice", " 755224", "not-a-code"),
        ("alice", "\n", "no-credential"),
        ("bob", "755224", "no-active-token"),
        ("carol", "755224", "unknown-user"),
        ("", "755224", "invalid-user-name"),
    ];
    for (user, credential, reason) in rows {
        let done = state.run_with(["auth", user, "--json"], credential).exits(1);
        assert_eq!(done.json()["reason"], reason, "{user} {credential:?}");
        assert_eq!(done.json()["verdict"], "reject");
    }
    state
        .run(["auth", "alice"])
        .exits(4)
        .says("standard input is empty");
    state
        .run_with(["auth", "alice", "--client", "nope"], "755224")
        .exits(3)
        .says("there is no client nope");
}

#[test]
fn failures_count_and_show() {
    let state = State::with_alice();
    for _ in 0..3 {
        state.run_with(["auth", "alice"], "000000").exits(1);
    }
    let shown = state.json(["user", "show", "alice"]);
    let lockout = &shown["lockout"];
    assert_eq!(lockout["otp_failures"], 3);
    assert_eq!(lockout["locked_until"], serde_json::Value::Null, "not everywhere");
    let at = &lockout["clients"][0];
    assert_eq!((&at["client"], &at["otp_failures"]), (&"kdc".into(), &3.into()));
    assert!(at["locked_until"].is_u64(), "{at}");
}

#[test]
fn failures_through_one_client_leave_the_others_open() {
    let state = State::with_alice();
    for client in ["vpn", "wifi"] {
        let address = format!("192.0.2.{}", client.len());
        state.run(["client", "add", client, "--address", &address]).ok();
    }
    state
        .run_with(["auth", "alice", "--client", "vpn"], "000000")
        .exits(1);
    state.lock_alice("vpn", 3);
    state
        .run_with(["auth", "alice", "--client", "vpn"], "755224")
        .exits(1)
        .prints("locked");
    state
        .run_with(["auth", "alice", "--client", "wifi"], "000000")
        .exits(1)
        .prints("wrong-code");
    state
        .run(["user", "show", "alice"])
        .ok()
        .prints("3 wrong codes, 0 wrong passwords through vpn; 1 wrong codes, 0 wrong passwords through wifi")
        .prints("s through vpn; end it: otpctl user unlock alice");
    // What is right through one forgives there alone.
    state
        .run_with(["auth", "alice", "--client", "wifi"], "755224")
        .ok();
    let shown = state.json(["user", "show", "alice"]);
    let clients = shown["lockout"]["clients"].as_array().unwrap();
    assert_eq!(clients.len(), 1, "{clients:?}");
    assert_eq!(clients[0]["client"], "vpn");
    state.run(["client", "rm", "vpn"]).ok();
    state
        .run(["user", "show", "alice"])
        .ok()
        .prints("through a client that was removed");
}

#[test]
fn clients_may_ask_for_another_credential() {
    let state = State::with_alice();
    state
        .run_with(["user", "set", "alice", "--password"], "secret")
        .ok();
    state
        .run([
            "client",
            "add",
            "vpn",
            "--address",
            "192.0.2.1",
            "--grammar",
            "otp+password",
        ])
        .ok();
    state
        .run_with(["auth", "alice"], CODES[0])
        .exits(1)
        .prints("wrong-password");
    state
        .run_with(["auth", "alice"], format!("secret{}", CODES[0]))
        .ok();
    state
        .run_with(
            ["auth", "alice", "--client", "vpn"],
            format!("{}secret", CODES[1]),
        )
        .ok();
}

#[test]
fn what_would_be_sent_is_shown() {
    let state = State::with_alice();
    state.run(["client", "add", "vpn", "--address", "192.0.2.1"]).ok();
    state
        .run([
            "user",
            "set",
            "alice",
            "--reply",
            "Session-Timeout=60",
            "--reply",
            "Class=staff",
        ])
        .ok();
    state
        .run([
            "client",
            "set",
            "vpn",
            "--reply",
            "Session-Timeout=3600",
            "--reply",
            "Class=vpn",
            "--reply",
            "Idle-Timeout=300",
        ])
        .ok();
    let through =
        |client: &str, code: &str| state.run_with(["auth", "alice", "--client", client, "--json"], code);
    assert_eq!(
        through("vpn", CODES[0]).ok().json()["reply"],
        serde_json::json!([
            { "attribute": "Session-Timeout", "value": "60", "from": "user", "rule": null },
            { "attribute": "Class", "value": "staff", "from": "user", "rule": null },
            { "attribute": "Class", "value": "vpn", "from": "client", "rule": null },
            { "attribute": "Idle-Timeout", "value": "300", "from": "client", "rule": null },
        ])
    );
    assert_eq!(
        through("vpn", CODES[0]).exits(1).json()["reply"],
        serde_json::json!([])
    );
    assert_eq!(
        through("kdc", CODES[1]).ok().json()["reply"],
        serde_json::json!([])
    );
    state
        .run_with(["auth", "alice", "--client", "vpn"], CODES[2])
        .ok()
        .prints("Reply: Idle-Timeout = 300 (client)\n");
}
