//! `otpctl client`.

use crate::harness::State;

#[test]
fn a_generated_secret_is_printed_once_and_alone() {
    let state = State::new();
    let done = state.run(["client", "add", "vpn", "--address", "192.0.2.1"]).ok();
    let secret = done.stdout.trim_end();
    assert_eq!(done.stdout, format!("{secret}\n"));
    assert!(
        secret.len() == 52 && secret.bytes().all(|octet| octet.is_ascii_alphanumeric()),
        "{secret}"
    );
    assert!(done.stderr.contains("added client vpn for 192.0.2.1/32") && !done.stderr.contains(secret));

    let shown = state.run(["client", "show", "vpn"]).ok();
    assert!(!shown.stdout.contains(secret));
    state
        .run(["client", "show", "vpn", "--reveal-secret"])
        .ok()
        .prints(secret);
    let value = state.json(["client", "show", "vpn"]);
    assert_eq!(value.get("secret"), None);
    assert_eq!(
        state.json(["client", "show", "vpn", "--reveal-secret"])["secret"],
        secret
    );
    assert_eq!(
        state.json(["client", "show", "kdc", "--reveal-secret"])["secret"],
        serde_json::Value::Null
    );
    let other = state.json(["client", "add", "vpn2", "--address", "192.0.2.2"]);
    assert_ne!(other["secret"], secret);
}

#[test]
fn clients_have_safe_defaults_and_keep_what_is_set() {
    let state = State::new();
    let client = &state.json(["client", "add", "a", "--address", "2001:db8::/32"])["client"];
    assert_eq!(client["source"], "2001:db8::/32");
    assert_eq!(client["message_authenticator"], "required");
    assert_eq!(
        (&client["repeat_grace"], &client["reject_delay"]),
        (&0.into(), &1000.into())
    );
    assert_eq!(
        (&client["grammar"], &client["enabled"]),
        (&serde_json::Value::Null, &true.into())
    );

    let arguments = [
        "client",
        "add",
        "b",
        "--address",
        "198.51.100.0/24",
        "--grammar",
        "otp",
        "--repeat-grace",
        "3",
        "--reject-delay",
        "0",
        "--dangerous-allow-missing-message-authenticator",
        "--json",
    ];
    let done = state.run(arguments).ok().says("Message-Authenticator");
    let warning: serde_json::Value = serde_json::from_str(done.stderr.lines().next().unwrap()).unwrap();
    assert!(
        warning["warning"]
            .as_str()
            .unwrap()
            .contains("turn a rejection into an acceptance")
    );
    let client = &done.json()["client"];
    assert_eq!(client["message_authenticator"], "if-present");
    assert_eq!(
        (&client["repeat_grace"], &client["reject_delay"]),
        (&3.into(), &0.into())
    );
    assert_eq!(client["grammar"], "otp");
    state
        .run(["client", "list"])
        .ok()
        .prints("if-present")
        .prints("kdc")
        .prints("2001:db8::/32");
}

#[test]
fn secrets_are_read_from_standard_input() {
    let state = State::new();
    let add = |name: &str, address: &str, secret: &str| {
        state.run_with(["client", "add", name, "--address", address, "--secret"], secret)
    };
    let done = add("long", "192.0.2.1", "correct horse battery\n").ok();
    assert!(!done.stdout.contains("horse") && !done.stderr.contains("warning"));
    assert_eq!(
        state.json(["client", "show", "long", "--reveal-secret"])["secret"],
        "correct horse battery"
    );
    add("short", "192.0.2.2", "testing123")
        .ok()
        .says("warning: the shared secret has 10 octets");
    add("tiny", "192.0.2.3", "1234567")
        .exits(4)
        .says("has 7 octets, 8 is the least");
    add("none", "192.0.2.4", "").exits(4);
    add("blank", "192.0.2.5", "correct horse battery \n")
        .ok()
        .says("ends with a blank");
}

#[test]
fn names_and_networks_are_unique() {
    let state = State::new();
    state
        .run(["client", "add", "vpn", "--address", "192.0.2.0/24"])
        .ok();
    state
        .run(["client", "add", "vpn", "--address", "192.0.3.0/24"])
        .exits(3)
        .says("vpn exists");
    state
        .run(["client", "add", "other", "--address", "192.0.2.0/24"])
        .exits(3)
        .says("192.0.2.0/24");
    state
        .run(["client", "add", "inner", "--address", "192.0.2.1"])
        .ok();
    state
        .run(["client", "add", "a/b", "--address", "192.0.2.9"])
        .exits(4)
        .says("must not contain");
    state
        .run(["client", "rm", "vpn"])
        .ok()
        .prints("Removed client vpn.");
    state
        .run(["client", "rm", "vpn"])
        .exits(3)
        .says("there is no client vpn")
        .says("otpctl client list");
    state.run(["client", "show", "vpn"]).exits(3);
}

#[test]
fn clients_are_disabled_all_or_none() {
    let state = State::with_alice();
    state
        .run(["client", "disable", "kdc", "nope"])
        .exits(3)
        .says("nope");
    assert_eq!(state.json(["client", "show", "kdc"])["client"]["enabled"], true);
    assert_eq!(
        state.json(["client", "disable", "kdc"])["clients"][0]["enabled"],
        false
    );
    state.run(["client", "list"]).ok().prints("disabled");
    state
        .run_with(["auth", "alice"], "755224")
        .exits(1)
        .prints("client-disabled");
    state
        .run(["client", "enable", "kdc"])
        .ok()
        .prints("Enabled client kdc.");
    state.run_with(["auth", "alice"], "755224").ok();
}

/// Only `otpctl init` makes it, and what protects it is the socket's file.
#[test]
fn the_kdcs_own_client_stays_as_it_is() {
    let state = State::new();
    state
        .run(["client", "rm", "kdc"])
        .exits(2)
        .says("not removed")
        .says("otpctl client disable kdc");
    let before = state.json(["client", "show", "kdc"]);
    for option in [
        "--require-message-authenticator",
        "--dangerous-allow-missing-message-authenticator",
    ] {
        state
            .run(["client", "set", "kdc", "--repeat-grace", "3", option])
            .exits(2)
            .says("UNIX socket");
    }
    assert_eq!(state.json(["client", "show", "kdc"]), before);
}

#[test]
fn every_address_is_worth_a_warning() {
    let state = State::new();
    state
        .run(["client", "add", "all", "--address", "0.0.0.0/0"])
        .ok()
        .says("warning: 0.0.0.0/0 is every address");
}

#[test]
fn settings_change_and_the_secret_stays() {
    let state = State::new();
    let secret = state.json(["client", "add", "vpn", "--address", "192.0.2.1"])["secret"].clone();
    let arguments = ["--grammar", "otp", "--repeat-grace", "2", "--reject-delay", "500"];
    let done = state
        .run(["client", "set", "vpn", "--json"].iter().chain(&arguments))
        .ok();
    let client = &done.json()["client"];
    assert_eq!(client["grammar"], "otp");
    assert_eq!(
        (&client["repeat_grace"], &client["reject_delay"]),
        (&2.into(), &500.into())
    );
    assert_eq!(client["message_authenticator"], "required");

    let exempt = "--dangerous-allow-missing-message-authenticator";
    let done = state.run(["client", "set", "vpn", exempt]).ok();
    done.prints("Changed client vpn.")
        .says("warning: requests of this client need no Message-Authenticator")
        .says("otpctl client set vpn --require-message-authenticator");
    let client = &state.json(["client", "show", "vpn"])["client"];
    assert_eq!(client["message_authenticator"], "if-present");
    assert_eq!(
        (&client["grammar"], &client["repeat_grace"]),
        (&"otp".into(), &2.into()),
        "the rest stays"
    );
    state
        .run([
            "client",
            "set",
            "vpn",
            "--require-message-authenticator",
            "--grammar",
            "user",
        ])
        .ok();
    let client = &state.json(["client", "show", "vpn"])["client"];
    assert_eq!(client["message_authenticator"], "required");
    assert_eq!(client["grammar"], serde_json::Value::Null);
    assert_eq!(
        state.json(["client", "show", "vpn", "--reveal-secret"])["secret"],
        secret
    );

    state
        .run(["client", "set", "vpn"])
        .exits(2)
        .says("--repeat-grace");
    state
        .run(["client", "set", "vpn", exempt, "--require-message-authenticator"])
        .exits(2);
    state
        .run(["client", "set", "nope", "--grammar", "otp"])
        .exits(3)
        .says("there is no client nope");
}

#[test]
fn reply_attributes_are_set_beside_settings_and_kept_from_a_kdc() {
    let state = State::new();
    state.run(["client", "add", "vpn", "--address", "192.0.2.1"]).ok();
    let client = &state.json([
        "client",
        "set",
        "vpn",
        "--grammar",
        "otp",
        "--reply",
        "Idle-Timeout=300",
    ])["client"];
    assert_eq!(client["grammar"], "otp");
    let expected = serde_json::json!([{ "attribute": "Idle-Timeout", "value": "300" }]);
    assert_eq!(client["reply"], expected);
    assert_eq!(state.json(["client", "show", "vpn"])["client"]["reply"], expected);
    state
        .run(["client", "show", "vpn"])
        .ok()
        .prints("Idle-Timeout = 300");
    // Each is a change by itself.
    state
        .run(["client", "set", "vpn", "--no-reply", "Idle-Timeout"])
        .ok();
    state.run(["client", "set", "vpn"]).exits(2);
    state
        .run(["client", "set", "kdc", "--reply", "Idle-Timeout=300"])
        .exits(2)
        .says("a KDC discards a reply with attributes");
}

#[test]
fn an_exemption_has_an_end_if_it_is_given_one() {
    let state = State::new();
    let option = "--dangerous-allow-missing-message-authenticator";
    let added = state.json([
        "client",
        "add",
        "old",
        "--address",
        "192.0.2.1",
        option,
        "--until",
        "2099-12-31",
    ]);
    assert_eq!(added["client"]["message_authenticator"], "off-until");
    assert_eq!(added["client"]["message_authenticator_until"], 4_102_358_400_u64);
    for command in [vec!["client", "show", "old"], vec!["client", "list"]] {
        state.run(command).ok().prints("off-until 2099-12-31T00:00:00Z");
    }
    for (until, code) in [("2001-01-01", 2), ("0s", 2), ("soon", 2)] {
        state
            .run(["client", "set", "old", option, "--until", until])
            .exits(code);
    }
    state.run(["client", "set", "old", "--until", "30d"]).exits(2);
    let set = state.json(["client", "set", "old", option, "--until", "30d"]);
    assert!(set["client"]["message_authenticator_until"].as_u64().unwrap() < 4_102_358_400);
    let required = state.json(["client", "set", "old", "--require-message-authenticator"]);
    assert_eq!(required["client"]["message_authenticator"], "required");
    assert_eq!(
        required["client"]["message_authenticator_until"],
        serde_json::Value::Null
    );
}

#[test]
fn a_secret_is_rotated_in_two_steps() {
    let state = State::new();
    let first = state.json(["client", "add", "vpn", "--address", "192.0.2.1"]);
    let rotated = state.run(["client", "secret", "vpn", "--rotate"]).ok();
    let second = rotated.stdout.trim_end();
    assert_eq!(rotated.stdout, format!("{second}\n"), "alone");
    assert!(second.len() == 52 && first["secret"] != second, "{second}");
    assert!(rotated.stderr.contains("otpctl client secret vpn --finish") && !rotated.stderr.contains(second));

    let shown = state.run(["client", "show", "vpn", "--reveal-secret"]).ok();
    for line in ["old secret last used", "holds until", "never", second] {
        assert!(shown.stdout.contains(line), "{line}: {}", shown.stdout);
    }
    state
        .run(["client", "secret", "vpn", "--rotate"])
        .exits(3)
        .says("is being rotated already")
        .says("otpctl client secret vpn --finish");
    state
        .run([
            "client",
            "set",
            "vpn",
            "--dangerous-allow-missing-message-authenticator",
        ])
        .exits(4)
        .says("while its secret is being rotated");
    let finished = state.json(["client", "secret", "vpn", "--finish"]);
    assert_eq!(finished["client"]["old_secret_until"], serde_json::Value::Null);
    state
        .run(["client", "secret", "vpn", "--finish"])
        .exits(3)
        .says("is not being rotated");
    assert_eq!(
        state.json(["client", "show", "vpn", "--reveal-secret"])["secret"],
        second
    );
    let deeds = state.run(["audit"]).ok().stdout;
    for deed in ["client-secret-rotated", "client-secret-finished"] {
        assert!(deeds.contains(deed), "{deed}: {deeds}");
    }
    assert!(!deeds.contains(second));
}

#[test]
fn a_rotation_needs_what_tells_two_secrets_apart() {
    let state = State::new();
    let exempt = "--dangerous-allow-missing-message-authenticator";
    state
        .run(["client", "add", "old-nas", "--address", "192.0.2.1", exempt])
        .ok();
    state
        .run(["client", "secret", "old-nas", "--rotate"])
        .exits(3)
        .says("nothing else in them tells two secrets apart")
        .says("--require-message-authenticator")
        .says("--replace");
    let chosen = "chosen by somebody\n";
    state
        .run_with(["client", "secret", "old-nas", "--replace", "--secret"], chosen)
        .ok()
        .prints("Changed the secret of client old-nas");
    let shown = state.json(["client", "show", "old-nas", "--reveal-secret"]);
    assert_eq!(shown["secret"], "chosen by somebody");
    state
        .run(["client", "secret", "kdc", "--rotate"])
        .exits(2)
        .says("needs no secret");
    state
        .run(["client", "secret", "old-nas", "--rotate", "--for", "2001-01-01"])
        .exits(2)
        .says("not in the future");
    state.run(["client", "secret", "old-nas"]).exits(2);
    state
        .run(["client", "secret", "old-nas", "--rotate", "--finish"])
        .exits(2);
    state
        .run(["client", "secret", "old-nas", "--finish", "--secret"])
        .exits(2);
}

#[test]
fn a_report_says_what_to_do_next() {
    let state = State::new();
    state.run(["client", "add", "vpn", "--address", "192.0.2.1"]).ok();
    let report = state.run(["client", "report"]).ok();
    assert!(
        report.stdout.contains("vpn: nothing has come from it yet"),
        "{}",
        report.stdout
    );
    let value = state.json(["client", "report", "vpn"]);
    assert_eq!(value["clients"][0]["requests"], 0);
    assert_eq!(value["clients"][0]["last_request"], serde_json::Value::Null);
    state
        .run(["client", "report", "nobody"])
        .exits(3)
        .says("there is no client nobody");
}
