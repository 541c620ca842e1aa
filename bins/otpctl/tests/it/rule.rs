//! `otpctl rule`, and what `otpctl auth` makes of it.

use serde_json::{Value, json};

use crate::harness::{CODES, State};

fn with_client() -> State {
    let state = State::with_alice();
    state.run(["client", "add", "ap7", "--address", "192.0.2.1"]).ok();
    state
}

#[test]
fn a_rule_is_added_shown_changed_and_removed() {
    let state = with_client();
    let added = state.json([
        "rule",
        "add",
        "guests",
        "--client",
        "ap*",
        "--realm",
        "CORP.Example",
        "--user",
        "alice",
        "--attribute",
        "called-station-id=*:guest",
        "--attribute",
        "NAS-Port-Type=19",
        "--reply",
        "Filter-Id=guest",
        "--reply",
        "session-timeout=3600",
    ]);
    let rule = &added["rule"];
    assert_eq!(
        (&rule["name"], &rule["order"], &rule["enabled"]),
        (&json!("guests"), &json!(10), &json!(true))
    );
    assert_eq!(
        (&rule["clients"], &rule["realms"], &rule["users"]),
        (&json!(["ap*"]), &json!(["corp.example"]), &json!(["alice"]))
    );
    assert_eq!(
        rule["attributes"],
        json!([
            { "attribute": "Called-Station-Id", "value": "*:guest" },
            { "attribute": "NAS-Port-Type", "value": "Wireless-802.11" },
        ])
    );
    assert_eq!(
        rule["reply"],
        json!([
            { "attribute": "Filter-Id", "value": "guest" },
            { "attribute": "Session-Timeout", "value": "3600" },
        ])
    );
    assert!(rule["created_at"].is_u64());
    assert_eq!(state.json(["rule", "show", "guests"])["rule"], *rule);

    state
        .run([
            "rule",
            "add",
            "first",
            "--order",
            "3",
            "--disabled",
            "--reply",
            "Class=x",
        ])
        .ok()
        .prints("Added rule first (3): every login.");
    let list = state.run(["rule", "list"]).ok();
    let lines: Vec<_> = list.stdout.lines().collect();
    assert!(
        lines[1].starts_with("3      first") && lines[1].ends_with("disabled"),
        "{list:?}"
    );
    assert!(
        lines[2].contains("client=ap*, realm=corp.example, user=alice, Called-Station-Id=*:guest"),
        "{list:?}"
    );

    // What is given takes the place of what there is of its kind, and nothing else changes.
    let set = state.json([
        "rule",
        "set",
        "guests",
        "--order",
        "2",
        "--client",
        "wifi",
        "--no-user",
        "--no-attribute",
        "nas-port-type",
        "--attribute",
        "Called-Station-Id=*:a",
        "--attribute",
        "Called-Station-Id=*:b",
        "--reply",
        "Filter-Id=other",
        "--no-reply",
        "Session-Timeout",
    ]);
    let rule = &set["rule"];
    assert_eq!(
        (&rule["clients"], &rule["realms"], &rule["users"]),
        (&json!(["wifi"]), &json!(["corp.example"]), &json!([]))
    );
    assert_eq!(
        rule["attributes"],
        json!([
            { "attribute": "Called-Station-Id", "value": "*:a" },
            { "attribute": "Called-Station-Id", "value": "*:b" },
        ])
    );
    assert_eq!(
        rule["reply"],
        json!([{ "attribute": "Filter-Id", "value": "other" }])
    );
    let names = |value: &Value| -> Vec<String> {
        let rules = value["rules"].as_array().unwrap().iter();
        rules
            .map(|rule| rule["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&state.json(["rule", "list"])), ["guests", "first"]);
    let enabled = state.json(["rule", "enable", "first"]);
    assert_eq!(enabled["rules"][0]["enabled"], true);
    assert_eq!(
        state.json(["rule", "disable", "first", "guests"])["rules"][1]["enabled"],
        false
    );
    assert_eq!(
        names(&state.json(["rule", "rm", "first", "guests"])),
        ["first", "guests"]
    );
    assert_eq!(names(&state.json(["rule", "list"])), [""; 0]);
    let trail = state.run(["audit"]).ok();
    for (deed, rule) in [
        ("rule-added", "guests"),
        ("rule-changed", "guests"),
        ("rule-enabled", "first"),
        ("rule-disabled", "guests"),
        ("rule-removed", "first"),
    ] {
        let tells = |line: &str| line.contains(deed) && line.contains(rule);
        assert!(trail.stdout.lines().any(tells), "{deed} {rule} in {trail:?}");
    }
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_changed() {
    let state = with_client();
    let add = ["rule", "add", "guests", "--reply", "Class=x"];
    state.run(add).ok();
    state.run(add).exits(3).says("rule guests exists already");
    for (arguments, exit, cause) in [
        (&["add", "x"][..], 2, "--reply"),
        (&["set", "guests"], 2, "required"),
        (
            &["add", "x", "--reply", "NAS-Port=1"],
            4,
            "must not be in an Access-Accept",
        ),
        (
            &["add", "x", "--reply", "State=1"],
            4,
            "written by the server itself",
        ),
        (
            &["add", "x", "--reply", "Class=1", "--user", ""],
            2,
            "1 to 253 octets",
        ),
        (
            &["add", "x", "--reply", "Class=1", "--attribute", "Nonsense=1"],
            4,
            "no attribute is called Nonsense",
        ),
        (
            &["add", "x", "--reply", "Class=1", "--attribute", "User-Password=1"],
            4,
            "is a secret",
        ),
        (
            &["add", "x", "--reply", "Class=1", "--client", "kdc"],
            2,
            "kdc is a KDC's socket",
        ),
        (&["set", "guests", "--client", "kdc"], 2, "kdc is a KDC's socket"),
        (
            &["set", "guests", "--no-attribute", "NAS-Port"],
            3,
            "does not look at",
        ),
        (
            &["set", "guests", "--no-reply", "Filter-Id"],
            3,
            "has no reply attribute",
        ),
        (&["set", "nope", "--order", "1"], 3, "there is no rule nope"),
        (&["show", "nope"], 3, "there is no rule nope"),
        (&["disable", "guests", "nope"], 3, "there is no rule nope"),
        (&["rm", "guests", "nope"], 3, "there is no rule nope"),
    ] {
        let arguments = [&["rule"][..], arguments].concat();
        state.run(arguments).exits(exit).says(cause);
    }
    let rules = state.json(["rule", "list"]);
    assert_eq!(rules["rules"].as_array().unwrap().len(), 1, "{rules}");
    assert_eq!(rules["rules"][0]["enabled"], true);
    // A client that is to come is no mistake.
    state
        .run(["rule", "set", "guests", "--client", "ap8", "--client", "ap7"])
        .ok()
        .says("there is no client ap8 yet");
}

#[test]
fn a_login_shows_which_rules_it_met_and_what_they_bring() {
    let state = with_client();
    state
        .run(["user", "set", "alice", "--reply", "Session-Timeout=60"])
        .ok();
    state
        .run(["client", "set", "ap7", "--reply", "Idle-Timeout=5"])
        .ok();
    for rule in [
        &[
            "guests",
            "--attribute",
            "Called-Station-Id=*:guest",
            "--reply",
            "Filter-Id=guest",
        ][..],
        &["silent", "--client", "ap*", "--reply", "Session-Timeout=1"],
        &["others", "--client", "vpn*", "--reply", "Filter-Id=vpn"],
        &["corp", "--realm", "corp.example", "--reply", "Idle-Timeout=7"],
    ] {
        state.run([&["rule", "add"][..], rule].concat()).ok();
    }
    let auth = [
        "auth",
        "alice@CORP.EXAMPLE",
        "--client",
        "ap7",
        "--attribute",
        "Called-Station-Id=00-11-22-33-44-55:guest",
    ];
    let with_json = [&auth[..], &["--json"]].concat();
    let value = state.run_with(with_json, CODES[0]).ok().json();
    assert_eq!(value["rules"], json!(["guests", "silent", "corp"]));
    assert_eq!(
        value["reply"],
        json!([
            { "attribute": "Session-Timeout", "value": "60", "from": "user", "rule": null },
            { "attribute": "Filter-Id", "value": "guest", "from": "rule", "rule": "guests" },
            { "attribute": "Idle-Timeout", "value": "7", "from": "rule", "rule": "corp" },
        ])
    );
    state
        .run_with(auth, CODES[1])
        .ok()
        .prints("Rules: guests, silent, corp\n")
        .prints("Reply: Session-Timeout = 60 (user)\nReply: Filter-Id = guest (rule guests)\n");
    let other = ["auth", "alice", "--client", "ap7", "--json"];
    let value = state.run_with(other, CODES[2]).ok().json();
    assert_eq!(value["rules"], json!(["silent"]));
    // Neither a rejection nor a KDC is told anything.
    for (client, code, exit) in [("ap7", "000000", 1), ("kdc", CODES[3], 0)] {
        let auth = ["auth", "alice", "--client", client, "--json"];
        let value = state.run_with(auth, code).exits(exit).json();
        assert_eq!((&value["rules"], &value["reply"]), (&json!([]), &json!([])));
    }
    state
        .run_with(["auth", "alice", "--attribute", "Nonsense=1"], CODES[4])
        .exits(4)
        .says("no attribute is called Nonsense");
}

#[test]
fn a_damaged_rule_is_named_and_can_be_removed() {
    let state = with_client();
    for name in ["good", "bad"] {
        state.run(["rule", "add", name, "--reply", "Filter-Id=x"]).ok();
    }
    let sql = rusqlite::Connection::open(state.path().join("otp.db")).unwrap();
    let damaged = "UPDATE rules SET conditions = x'ff' WHERE name = 'bad'";
    assert_eq!(sql.execute(damaged, []).unwrap(), 1);
    state
        .run(["rule", "list"])
        .exits(5)
        .says("the conditions of rule bad (`otpctl rule rm bad` removes it)");
    state.run(["rule", "rm", "bad"]).ok();
    let rules = state.json(["rule", "list"]);
    assert_eq!(rules["rules"][0]["name"], json!("good"));
}
