//! `otpctl token`, without import.

use std::{fs, os::unix::fs::PermissionsExt};

use otp_core::{Algorithm, Digits, OtpauthUri, Totp};

use crate::harness::{CODES, KEY, State, hotp_of, key, totp_now};

fn with_user() -> State {
    let state = State::new();
    state.run(["user", "add", "alice"]).ok();
    state
}

#[test]
fn a_generated_key_is_shown_once_as_a_uri() {
    let state = with_user();
    let done = state
        .run(["token", "add", "alice", "--show-uri", "--issuer", "Example"])
        .ok();
    let uri = OtpauthUri::parse(done.stdout.trim_end()).unwrap();
    assert_eq!(
        (uri.account(), uri.issuer(), uri.key().as_bytes().len()),
        ("alice", Some("Example"), 20)
    );
    assert_eq!(uri.to_totp(), Some(Totp::default()));
    let done = done
        .says("added alice/totp (totp, SHA1, 6 digits, 30 s), pending")
        .says("otpctl token verify alice/totp");
    let secret = uri.key().to_base32();
    assert!(!done.stderr.contains(secret.as_str()));
    for arguments in [
        ["token", "show", "alice/totp"],
        ["token", "show", "alice/totp"],
        ["token", "list", "alice"],
    ] {
        assert!(!state.run(arguments).ok().stdout.contains(secret.as_str()));
    }
    let other = state.json(["token", "add", "alice", "--show-uri"]);
    let other = OtpauthUri::parse(other["uri"].as_str().unwrap()).unwrap();
    assert_ne!(other.key().as_bytes(), uri.key().as_bytes());
}

#[test]
fn default_labels_count_on() {
    let state = with_user();
    let add = |kind: &str| {
        state.json(["token", "add", "alice", "--show-uri", "--type", kind])["token"]["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        [add("totp"), add("totp"), add("hotp"), add("totp")],
        ["alice/totp", "alice/totp-2", "alice/hotp", "alice/totp-3"]
    );
    let names = state.json(["token", "list"]);
    assert_eq!(names["tokens"].as_array().unwrap().len(), 4);
}

#[test]
fn parameters_are_stored_and_shown() {
    let state = with_user();
    let arguments = [
        "token",
        "add",
        "alice/phone",
        "--algorithm",
        "sha-256",
        "--digits",
        "8",
        "--period",
        "60",
        "--show-uri",
    ];
    let token = state.json(arguments);
    let uri = OtpauthUri::parse(token["uri"].as_str().unwrap()).unwrap();
    let expected = Totp::default()
        .with_algorithm(Algorithm::Sha256)
        .with_digits(Digits::EIGHT);
    assert_eq!(uri.to_totp(), Some(expected.with_step(60.try_into().unwrap())));
    let token = &state.json(["token", "show", "alice/phone"])["token"];
    assert_eq!(token["name"], "alice/phone");
    assert_eq!(
        (&token["user"], &token["label"]),
        (&"alice".into(), &"phone".into())
    );
    assert_eq!(
        (&token["type"], &token["algorithm"]),
        (&"totp".into(), &"SHA256".into())
    );
    assert_eq!((&token["digits"], &token["period"]), (&8.into(), &60.into()));
    assert_eq!(
        (&token["status"], &token["enabled"], &token["next"]),
        (&"pending".into(), &true.into(), &0.into())
    );
    state
        .run(["token", "show", "alice/phone"])
        .ok()
        .prints("period     60 s\n")
        .prints("status     pending\n");
}

#[test]
fn keys_are_read_from_standard_input() {
    let state = with_user();
    let add = |label: &str, secret: &str| {
        state.run_with(
            [
                "token",
                "add",
                label,
                "--type",
                "hotp",
                "--secret",
                "--active",
                "--counter",
                "1",
            ],
            secret,
        )
    };
    let done = add("alice/base32", &format!("{}\n", KEY.to_lowercase())).ok();
    assert_eq!(done.stdout, "alice/base32\n", "nothing secret where nobody asked");
    add("alice/hex", "hex:3132333435363738393031323334353637383930\n").ok();
    add("alice/bad", "GEZDGNBVGY3TQOJ1\n")
        .exits(4)
        .says("not base32")
        .says("character 16");
    add("alice/short", "GEZDGNBVGY3TQOJQ\n")
        .exits(4)
        .says("10 octets")
        .says("--dangerous-allow-short-keys");
    add("alice/none", "").exits(4).says("standard input is empty");
    let short = [
        "token",
        "add",
        "alice/short",
        "--secret",
        "--dangerous-allow-short-keys",
    ];
    state.run_with(short, "GEZDGNBVGY3TQOJQ").ok();
    // Two tokens of one key share what was spent.
    state.run_with(["auth", "alice"], CODES[1]).ok();
    assert_eq!(state.json(["token", "show", "alice/base32"])["token"]["next"], 2);
    assert_eq!(state.json(["token", "show", "alice/hex"])["token"]["next"], 2);
}

#[test]
fn a_proven_code_activates_and_is_spent() {
    let state = with_user();
    state.run_with(["token", "add", "alice", "--secret"], KEY).ok();
    let code = totp_now(Totp::default());
    state
        .run_with(["auth", "alice"], &code)
        .exits(1)
        .prints("no-active-token");
    state
        .run_with(["token", "verify", "alice/totp"], format!("{code}\n"))
        .ok()
        .prints("alice/totp is active.");
    assert_eq!(
        state.json(["token", "show", "alice/totp"])["token"]["status"],
        "active"
    );
    state
        .run_with(["token", "verify", "alice/totp"], &code)
        .exits(4)
        .says("used before");
    state
        .run_with(["auth", "alice"], &code)
        .exits(1)
        .prints("replayed-code");
}

#[test]
fn wrong_codes_name_the_mistake() {
    let state = with_user();
    let add = |label: &str, options: &[&str]| {
        let all = ["token", "add", label, "--secret"]
            .into_iter()
            .chain(options.iter().copied());
        state.run_with(all, KEY).ok();
    };
    add("alice/sha256", &["--type", "hotp", "--algorithm", "SHA256"]);
    state
        .run_with(["token", "verify", "alice/sha256"], CODES[0])
        .exits(4)
        .says("computes with SHA1")
        .says("otpctl token add alice/sha256 --algorithm SHA1");
    add("alice/eight", &["--digits", "8"]);
    state
        .run_with(["token", "verify", "alice/eight"], totp_now(Totp::default()))
        .exits(4)
        .says("shows 6 digits")
        .says("--digits 6");
    add("alice/minute", &["--period", "60"]);
    state
        .run_with(["token", "verify", "alice/minute"], totp_now(Totp::default()))
        .exits(4)
        .says("period of 30 s")
        .says("--period 30");
    let far = hotp_of(Algorithm::Sha1, Digits::SIX, 500);
    add("alice/ahead", &["--type", "hotp"]);
    state
        .run_with(["token", "verify", "alice/ahead"], far)
        .exits(4)
        .says("500 ahead")
        .says("--counter");
    for nonsense in ["12345", "abcdef", " 755224", "755224 ", "755224\r", ""] {
        let done = state.run_with(["token", "verify", "alice/ahead"], format!("{nonsense}\n"));
        done.exits(4).says("exactly 6 digits");
    }
    let tokens = state.json(["token", "list"]);
    assert!(
        tokens["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .all(|token| token["status"] == "pending")
    );
}

#[test]
fn tokens_are_disabled_enabled_and_removed_all_or_none() {
    let state = State::with_alice();
    state
        .run(["token", "disable", "alice/hotp", "alice/nope"])
        .exits(3)
        .says("no token alice/nope")
        .says("alice has: hotp");
    assert_eq!(
        state.json(["token", "show", "alice/hotp"])["token"]["enabled"],
        true
    );
    assert_eq!(
        state.json(["token", "disable", "alice/hotp"])["tokens"][0]["enabled"],
        false
    );
    state.run(["token", "list"]).ok().prints("disabled");
    state
        .run_with(["auth", "alice"], CODES[0])
        .exits(1)
        .prints("no-active-token");
    state
        .run(["token", "enable", "alice/hotp"])
        .ok()
        .prints("Enabled token alice/hotp.");
    state.run_with(["auth", "alice"], CODES[3]).ok();
    state
        .run(["token", "rm", "alice/hotp"])
        .ok()
        .prints("Removed token alice/hotp.");
    state
        .run(["token", "show", "alice/hotp"])
        .exits(3)
        .says("alice has no tokens");
    // The same key again does not bring used codes back.
    state
        .run_with(
            ["token", "add", "alice", "--type", "hotp", "--secret", "--active"],
            KEY,
        )
        .ok();
    state
        .run_with(["auth", "alice"], CODES[3])
        .exits(1)
        .prints("replayed-code");
    state.run_with(["auth", "alice"], CODES[4]).ok();
}

#[test]
fn names_with_slashes_of_their_own_are_found_first() {
    let state = with_user();
    state.run(["user", "add", "alice/admin"]).ok();
    let add = |name: &str| state.json(["token", "add", name, "--show-uri"])["token"]["name"].clone();
    assert_eq!(add("alice/admin"), "alice/admin/totp");
    assert_eq!(add("alice/admin/key"), "alice/admin/key");
    assert_eq!(add("alice/phone"), "alice/phone");
    state.run(["token", "show", "alice/admin/key"]).ok();
    state
        .run(["token", "add", "bob", "--show-uri"])
        .exits(3)
        .says("there is no user bob");
    state
        .run(["token", "add", "bob/totp", "--show-uri"])
        .exits(3)
        .says("there is no user bob");
    state
        .run(["token", "add", "alice/phone", "--show-uri"])
        .exits(3)
        .says("alice/phone exists");
}

#[test]
fn qr_files_are_new_private_and_gone_if_there_is_no_token() {
    let state = with_user();
    let path = state.file("alice.png");
    let option = path.to_str().unwrap();
    let done = state
        .run(["token", "add", "alice", "--qr-file", option, "--json"])
        .ok();
    assert_eq!(done.json()["qr_file"], option);
    assert_eq!(
        done.json()["uri"],
        serde_json::Value::Null,
        "the key goes to the file alone"
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let image = fs::read(&path).unwrap();
    assert!(image.starts_with(b"\x89PNG\r\n\x1a\n"));

    state
        .run(["token", "add", "alice/other", "--qr-file", option])
        .exits(3)
        .says("not overwritten");
    assert_eq!(fs::read(&path).unwrap(), image);
    state.run(["token", "show", "alice/other"]).exits(3);

    let missing = state.file("no/such/directory.png");
    state
        .run([
            "token",
            "add",
            "alice/other",
            "--qr-file",
            missing.to_str().unwrap(),
        ])
        .exits(6)
        .says("cannot create");
    state.run(["token", "show", "alice/other"]).exits(3);

    let label = "x".repeat(65);
    let unused = state.file("unused.png");
    state
        .run([
            "token",
            "add",
            &format!("alice/{label}"),
            "--qr-file",
            unused.to_str().unwrap(),
        ])
        .exits(3);
    assert!(!unused.exists());
}

#[test]
fn given_keys_and_uris_agree() {
    let state = with_user();
    let done = state.run_with(
        [
            "token",
            "add",
            "alice",
            "--type",
            "hotp",
            "--counter",
            "7",
            "--secret",
            "--show-uri",
        ],
        KEY,
    );
    let uri = OtpauthUri::parse(done.ok().stdout.trim_end()).unwrap();
    assert_eq!(uri.key().as_bytes(), key().as_bytes());
    assert_eq!(uri.to_hotp().map(|(_, counter)| counter), Some(7));
}
