//! `otpctl audit` and `otpctl why`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::harness::{CODES, Done, State};

/// Alice, one acceptance through the KDC, the same code through a VPN, a wrong code, a stranger.
fn state_with_history() -> State {
    let state = State::with_alice();
    state.run(["client", "add", "vpn", "--address", "192.0.2.1"]).ok();
    state.run_with(["auth", "alice"], CODES[0]).ok();
    for (user, credential) in [
        ("alice@EXAMPLE.COM", CODES[0]),
        ("alice", "000000"),
        ("mallory", "123456"),
    ] {
        state
            .run_with(["auth", user, "--client", "vpn"], credential)
            .exits(1);
    }
    state
}

fn lines(done: &Done) -> Vec<Value> {
    let lines = done.stdout.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn list(state: &State, options: &[&str]) -> Vec<Value> {
    let arguments = ["audit", "--json"].iter().chain(options);
    lines(&state.run(arguments).ok())
}

#[test]
fn everything_is_listed_in_its_order() {
    let state = state_with_history();
    let all = list(&state, &[]);
    let what = |value: &Value| {
        let field = value["deed"].as_str().or(value["reason"].as_str());
        field.unwrap_or_default().to_owned()
    };
    assert_eq!(
        all.iter().map(what).collect::<Vec<_>>(),
        [
            "store-made",
            "user-added",
            "token-added",
            "client-added",
            "accepted",
            "replayed-code",
            "wrong-code",
            "unknown-user"
        ]
    );
    let accepted = &all[4];
    assert_eq!(accepted["decision"], "accept");
    assert_eq!(
        (&accepted["user"], &accepted["token"]),
        (&"alice".into(), &"hotp".into())
    );
    assert_eq!(
        (&accepted["client"], &accepted["peer"]),
        (&"kdc".into(), &"otpctl".into())
    );
    assert_eq!(accepted["hotp_skipped"], 0);
    assert!(accepted["request"].as_u64().is_some());
    assert!(accepted["time"].as_str().unwrap().ends_with('Z'));
    let wrong = &all[6];
    assert_eq!(wrong["wrong_codes"], 1);
    assert_eq!(wrong["tokens"], serde_json::json!(["hotp active"]));
    // As people see it.
    let text = state.run(["audit"]).ok().stdout;
    assert_eq!(text.lines().count(), 8);
    assert!(
        text.contains("  accept  accepted            alice/hotp            kdc "),
        "{text}"
    );
    assert!(
        text.contains("  admin   token-added         alice/hotp            uid "),
        "{text}"
    );
    assert!(
        text.contains("  reject  unknown-user        mallory               vpn "),
        "{text}"
    );
}

#[test]
fn a_part_of_it_is_listed() {
    let state = state_with_history();
    let count = |options: &[&str]| list(&state, options).len();
    assert_eq!(count(&["--limit", "3"]), 3);
    assert_eq!(list(&state, &["--limit", "1"])[0]["reason"], "unknown-user");
    assert_eq!(count(&["--limit", "0"]), 0);
    assert_eq!(count(&["--client", "vpn"]), 4, "its addition and three requests");
    assert_eq!(count(&["--user", "alice"]), 5);
    assert_eq!(count(&["--user", "alice@EXAMPLE.COM"]), 1);
    assert_eq!(count(&["--user", "mallory", "--client", "vpn"]), 1);
    assert_eq!(count(&["--user", "nobody"]), 0);
    assert_eq!(count(&["--since", "1h"]), 8);
    assert_eq!(count(&["--since", "2099-01-01"]), 0);
    state
        .run(["audit", "--since", "yesterday"])
        .exits(2)
        .says("write 2h");
}

#[test]
fn what_is_recorded_is_followed() {
    let state = State::with_alice();
    let mut child = Command::new(env!("CARGO_BIN_EXE_otpctl"))
        .args(["audit", "--follow", "--json", "--limit", "1"])
        .env_clear()
        .env("OTP_RADIUSD_STATE_DIR", state.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&seen.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["deed"], "token-added");
    state.run(["user", "add", "bob"]).ok();
    assert_eq!(next()["deed"], "user-added");
    state.run_with(["auth", "alice"], "000000").exits(1);
    assert_eq!(next()["reason"], "wrong-code");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_trail_is_verified_and_its_heads_are_checked_later() {
    let state = state_with_history();
    let found = state.json(["audit", "verify"]);
    assert_eq!((&found["sound"], &found["records"]), (&true.into(), &8.into()));
    let head = found["heads"][0].as_str().unwrap().to_owned();
    state
        .run(["audit", "verify"])
        .ok()
        .prints("The audit trail is whole: 8 records in 1 chain, ")
        .prints(&head);
    state.run(["user", "add", "bob"]).ok();
    state.run(["audit", "verify", "--head", &head]).ok();
    // Somebody who has the database takes away what came last, and what tells of it.
    let sql = rusqlite::Connection::open(state.path().join("otp.db")).unwrap();
    sql.execute_batch(
        "DROP TRIGGER audit_is_kept; DROP TRIGGER audit_chains_grow;
         DELETE FROM audit WHERE number > 6;
         UPDATE audit_chains SET number = 6, link = (SELECT link FROM audit WHERE number = 6);",
    )
    .unwrap();
    state.run(["audit", "verify"]).ok();
    state
        .run(["audit", "verify", "--head", &head])
        .exits(1)
        .prints("The audit trail is broken: 6 records in 1 chain, ")
        .prints("record 8: the chain does not have what was noted of it")
        .says("something else than this program");
    sql.execute_batch("DELETE FROM audit WHERE number = 3").unwrap();
    let broken = state.run(["audit", "verify", "--json"]).exits(1).json();
    assert_eq!(broken["broken"][0]["number"], 3);
    assert_eq!(broken["broken"][0]["why"], "the record is missing");
    state
        .run(["audit", "verify", "--head", "nonsense"])
        .exits(2)
        .says("CHAIN:NUMBER:LINK");
}

/// The request of the last record with this reason.
fn request(state: &State, reason: &str) -> String {
    let all = list(state, &[]);
    let found = all.iter().rev().find(|value| value["reason"] == reason);
    found.unwrap()["request"].to_string()
}

#[test]
fn a_decision_is_told_step_by_step() {
    let state = state_with_history();
    state
        .run(["why", &request(&state, "accepted")])
        .ok()
        .prints("was accepted: accepted.")
        .prints("user    alice\n")
        .prints("yes  There is a user alice.")
        .prints("yes  The code was one of hotp, the expected one, and had not been used.")
        .prints("yes  The acceptance was on disk before it was answered.");
    state
        .run(["why", &request(&state, "replayed-code")])
        .exits(1)
        .prints("was rejected: replayed-code.")
        .prints("alice, sent as \"alice@EXAMPLE.COM\"")
        .prints("yes  \"alice@EXAMPLE.COM\" leads to the user alice.")
        .prints("NO   The code is one of hotp, but it, or a later one, was used before.")
        .prints("try: log in with the next code");
    let wrong = state.run(["why", &request(&state, "wrong-code")]).exits(1);
    let wrong = wrong
        .prints("yes  Tokens that could let in: hotp.")
        .prints("NO   Each of them was asked")
        .prints("-   In a row through this client, so far: 1 wrong code, 0 wrong passwords.")
        .prints("try: if it goes on, find out what the app or device does otherwise");
    assert!(!wrong.stdout.contains("on disk"), "{wrong:?}");
    state
        .run(["why", &request(&state, "unknown-user")])
        .exits(1)
        .prints("\"mallory\", as it was sent")
        .prints("NO   Nobody has this name")
        .prints("otpctl user add mallory");
    let value = state
        .run(["why", &request(&state, "wrong-code"), "--json"])
        .exits(1)
        .json();
    let record = &value["records"][0];
    assert_eq!(record["record"]["reason"], "wrong-code");
    assert!(
        record["advice"]
            .as_str()
            .unwrap()
            .contains("otpctl token verify alice/LABEL")
    );
    let failed = record["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["passed"] == false);
    assert_eq!(failed.count(), 1);
    state
        .run(["why", "42"])
        .exits(3)
        .says("nothing is recorded of request 42");
    state.run(["why", "alice"]).exits(2);
}

#[test]
fn without_a_number_the_last_refusals_are_listed() {
    let state = state_with_history();
    let done = state.run(["why"]).ok();
    assert_eq!(done.stdout.lines().count(), 3, "{done:?}");
    done.says(&format!("otpctl why {}", request(&state, "unknown-user")));
    State::new().run(["why"]).ok().says("nobody was refused");
}

/// Whoever works as another user is named beside that one.
#[test]
fn who_did_what_is_recorded() {
    let state = State::new();
    let status = Command::new(env!("CARGO_BIN_EXE_otpctl"))
        .args(["user", "add", "alice"])
        .env_clear()
        .env("OTP_RADIUSD_STATE_DIR", state.path())
        .env("SUDO_USER", "carol\u{1b}[2J")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let added = list(&state, &["--user", "alice"]);
    assert_eq!(added[0]["for"], "carol\u{1b}[2J");
    state.run(["audit"]).ok().prints(" for carol\\u{1b}[2J\n");
}

/// A name that a peer has chosen is shown, not obeyed.
#[test]
fn names_do_not_reach_the_terminal_as_they_are() {
    let state = State::with_alice();
    let name = "\u{202e}ecila\u{9b}2J\u{2028}";
    state.run_with(["auth", name], "123456").exits(1);
    for arguments in [vec!["audit".to_owned()], vec!["why".into()], {
        let id = list(&state, &["--limit", "1"])[0]["request"].to_string();
        vec!["why".into(), id]
    }] {
        let done = state.run(&arguments);
        let is_plain = |character: char| character == '\n' || !character.is_control();
        assert!(done.stdout.chars().all(is_plain), "{done:?}");
        assert!(!done.stdout.contains(['\u{202e}', '\u{2028}']), "{done:?}");
        assert!(done.stdout.contains("ecila"), "{done:?}");
    }
}
