//! `otpctl user`.

use crate::harness::State;

#[test]
fn users_are_added_listed_and_shown() {
    let state = State::new();
    state
        .run(["user", "add", "bob@EXAMPLE.COM"])
        .ok()
        .prints("Added user bob@EXAMPLE.COM");
    let added = state.json(["user", "add", "alice"]);
    assert_eq!(added["user"]["name"], "alice");
    assert_eq!(added["user"]["enabled"], true);
    assert_eq!(added["user"]["has_password"], false);
    assert_eq!(added["user"]["grammar"], serde_json::Value::Null);
    assert_eq!(added["user"]["effective_grammar"], "otp");
    assert!(added["user"]["created_at"].as_u64().unwrap() > 1_700_000_000);

    let listed = state.json(["user", "list"]);
    let names: Vec<_> = listed["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["alice", "bob@EXAMPLE.COM"]);
    let table = state.run(["user", "list"]).ok().stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].starts_with("USER ") && lines[1].starts_with("alice ") && lines.len() == 3,
        "{table}"
    );

    let shown = state.json(["user", "show", "alice"]);
    assert_eq!(shown["tokens"], serde_json::json!([]));
    assert_eq!(shown["lockout"]["otp_failures"], 0);
    assert_eq!(shown["lockout"]["locked_until"], serde_json::Value::Null);
    assert_eq!(shown["lockout"]["clients"], serde_json::json!([]));
    state
        .run(["user", "show", "alice"])
        .ok()
        .prints("credential  otp\n")
        .prints("tokens      none\n")
        .prints("failures    none\n");
}

#[test]
fn the_second_of_a_name_and_a_missing_one_exit_with_3() {
    let state = State::new();
    state.run(["user", "add", "alice"]).ok();
    state.run(["user", "add", "alice"]).exits(3).says("alice exists");
    state
        .run(["user", "show", "Alice"])
        .exits(3)
        .says("there is no user Alice")
        .says("otpctl user list");
    state.run(["user", "set", "bob", "--no-password"]).exits(3);
    state.run(["user", "show", "alice@EXAMPLE.COM"]).exits(3);
}

#[test]
fn passwords_come_from_standard_input_and_only_the_newline_goes() {
    let state = State::new();
    let done = state
        .run_with(
            ["user", "add", "alice", "--password", "--json"],
            " with blanks \nnot this",
        )
        .ok();
    assert_eq!(done.json()["user"]["has_password"], true);
    assert_eq!(done.json()["user"]["effective_grammar"], "password+otp");
    state
        .run_with(
            ["token", "add", "alice", "--type", "hotp", "--secret", "--active"],
            crate::harness::KEY,
        )
        .ok();
    state
        .run_with(["auth", "alice"], "with blanks755224\n")
        .exits(1)
        .prints("wrong-password");
    state
        .run_with(["auth", "alice"], " with blanks 755224\n")
        .ok()
        .prints("accept");
}

#[test]
fn passwords_that_prove_nothing_are_refused() {
    let state = State::new();
    state
        .run_with(["user", "add", "alice", "--password"], "\n")
        .exits(4)
        .says("must not be empty");
    state
        .run(["user", "add", "alice", "--password"])
        .exits(4)
        .says("standard input is empty");
    state
        .run_with(["user", "add", "alice", "--password"], "x".repeat(121))
        .exits(4)
        .says("120 octets");
    assert_eq!(
        state.json(["user", "list"])["users"],
        serde_json::json!([]),
        "nobody was added"
    );
}

#[test]
fn users_are_changed() {
    let state = State::new();
    state.run(["user", "add", "alice"]).ok();
    let set = |arguments: &[&str], input: &str| {
        let all = ["user", "set", "alice", "--json"].iter().chain(arguments);
        state.run_with(all, input).ok().json()["user"].clone()
    };
    assert_eq!(
        set(&["--password"], "secret")["effective_grammar"],
        "password+otp"
    );
    assert_eq!(set(&["--grammar", "otp+password"], "")["grammar"], "otp+password");
    assert_eq!(
        set(&["--grammar", "auto"], "")["grammar"],
        serde_json::Value::Null
    );
    let user = set(&["--no-password", "--grammar", "otp"], "");
    assert_eq!(
        (&user["has_password"], &user["grammar"]),
        (&false.into(), &"otp".into())
    );
    state
        .run(["user", "set", "alice", "--grammar", "password+otp"])
        .ok()
        .says("warning: alice has no password");
}

#[test]
fn users_are_disabled_all_or_none() {
    let state = State::with_alice();
    state.run(["user", "add", "bob"]).ok();
    state
        .run(["user", "disable", "alice", "carol"])
        .exits(3)
        .says("carol");
    assert_eq!(state.json(["user", "show", "alice"])["user"]["enabled"], true);
    let disabled = state.json(["user", "disable", "alice", "bob"]);
    assert_eq!(disabled["users"][0]["enabled"], false);
    assert_eq!(disabled["users"][1]["enabled"], false);
    state
        .run_with(["auth", "alice"], "755224")
        .exits(1)
        .prints("user-disabled");
    state
        .run(["user", "enable", "alice"])
        .ok()
        .prints("Enabled user alice.");
    state.run_with(["auth", "alice"], "755224").ok();
}

#[test]
fn a_lock_is_ended() {
    let state = State::with_alice();
    state.run_with(["auth", "alice"], "000000").exits(1);
    state.lock_alice("kdc", 5);
    state
        .run_with(["auth", "alice"], "755224")
        .exits(1)
        .prints("locked");
    state
        .run(["user", "show", "alice"])
        .ok()
        .prints("5 wrong codes")
        .prints("end it: otpctl user unlock alice");
    state
        .run(["user", "unlock", "alice", "bob"])
        .exits(3)
        .says("there is no user bob");
    state
        .run(["user", "unlock", "alice"])
        .ok()
        .prints("Unlocked user alice.");
    assert_eq!(
        state.json(["user", "show", "alice"])["lockout"]["otp_failures"],
        0
    );
    state.run_with(["auth", "alice"], "755224").ok();
}

#[test]
fn users_are_removed_and_their_codes_stay_spent() {
    let state = State::with_alice();
    state.run_with(["auth", "alice"], "755224").ok();
    state.run(["user", "rm", "alice", "bob"]).exits(3);
    let removed = state.json(["user", "rm", "alice", "alice"]);
    assert_eq!(
        removed["users"].as_array().unwrap().len(),
        1,
        "named twice, removed once"
    );
    assert_eq!(state.json(["user", "list"])["users"], serde_json::json!([]));
    state
        .run(["user", "rm", "alice"])
        .exits(3)
        .says("there is no user alice");

    state.run(["user", "add", "alice"]).ok();
    state
        .run_with(
            ["token", "add", "alice", "--type", "hotp", "--secret", "--active"],
            crate::harness::KEY,
        )
        .ok();
    state
        .run_with(["auth", "alice"], "755224")
        .exits(1)
        .prints("replayed-code");
    state.run_with(["auth", "alice"], "287082").ok();
}

#[test]
fn what_a_name_could_do_to_a_terminal_is_escaped() {
    let state = State::new();
    state.run(["user", "add", "\u{202e}ecila"]).ok();
    let done = state.run(["user", "list"]).ok().prints("\\u{202e}ecila");
    assert!(!done.stdout.contains('\u{202e}'));
    assert_eq!(
        state.json(["user", "list"])["users"][0]["name"],
        "\u{202e}ecila",
        "JSON is for programs"
    );
}

#[test]
fn reply_attributes_are_set_shown_and_removed() {
    let state = State::with_alice();
    let set = [
        "user",
        "set",
        "alice",
        "--reply",
        "session-timeout=3600",
        "--reply",
        "Tunnel-Type:1=VLAN",
        "--reply",
        "Class=OU=staff",
    ];
    let expected = serde_json::json!([
        { "attribute": "Session-Timeout", "value": "3600" },
        { "attribute": "Tunnel-Type:1", "value": "VLAN" },
        { "attribute": "Class", "value": "OU=staff" },
    ]);
    assert_eq!(state.json(set)["user"]["reply"], expected);
    assert_eq!(state.json(["user", "show", "alice"])["user"]["reply"], expected);
    state
        .run(["user", "show", "alice"])
        .ok()
        .prints("Session-Timeout = 3600, Tunnel-Type:1 = VLAN, Class = OU=staff");
    state
        .run([
            "user",
            "set",
            "alice",
            "--no-reply",
            "tunnel-type",
            "--no-reply",
            "CLASS",
        ])
        .ok();
    assert_eq!(
        state.json(["user", "show", "alice"])["user"]["reply"],
        serde_json::json!([{ "attribute": "Session-Timeout", "value": "3600" }])
    );
    // Two changes that exclude each other, one of them wrong: nothing is done.
    state
        .run([
            "user",
            "set",
            "alice",
            "--grammar",
            "otp+password",
            "--reply",
            "Session-Timeout=never",
        ])
        .exits(4)
        .says("Session-Timeout takes a whole number from 0 to 4294967295");
    assert_eq!(
        state.json(["user", "show", "alice"])["user"]["grammar"],
        serde_json::Value::Null
    );
    state
        .run(["user", "set", "alice", "--no-reply", "Class"])
        .exits(3)
        .says("alice has no reply attribute Class");
    state
        .run(["user", "set", "alice", "--reply", "Acme-Role=boss"])
        .exits(4)
        .says("--dictionary FILE");
    state.run(["audit"]).ok().prints("reply-attribute-set");
}

#[test]
fn names_of_a_vendor_come_from_a_dictionary_once() {
    let state = State::with_alice();
    let file = state.write(
        "dictionary.acme",
        "VENDOR Acme 32473\nBEGIN-VENDOR Acme\nATTRIBUTE Acme-Role 7 integer\nVALUE Acme-Role Boss 3\nEND-VENDOR Acme\n",
    );
    let file = file.to_str().unwrap();
    state
        .run([
            "user",
            "set",
            "alice",
            "--dictionary",
            file,
            "--reply",
            "Acme-Role=boss",
        ])
        .ok();
    // The file is not asked for again.
    state
        .run(["user", "show", "alice"])
        .ok()
        .prints("Acme-Role = Boss");
    state.run(["user", "set", "alice", "--dictionary", file]).exits(2);
    state
        .run([
            "user",
            "set",
            "alice",
            "--dictionary",
            "/nonexistent",
            "--reply",
            "Class=x",
        ])
        .exits(4)
        .says("cannot be read");
}
