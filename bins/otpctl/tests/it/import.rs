//! `otpctl token import`.

use pskc::{Container, Credential, Key, KeyPackage, Passphrase, PreSharedKey, Protection};
use rand::{SeedableRng, rngs::StdRng};

use crate::harness::{CODES, KEY, State};

#[test]
fn a_file_is_imported_whole() {
    let state = State::new();
    state.run(["user", "add", "alice"]).ok();
    let file = state.write(
        "tokens.csv",
        format!(
            "secret,user,type,counter,digits,label\n\
             {KEY},alice,hotp,4,,\n\
             {KEY},bob@EXAMPLE.COM,totp,,8,phone\n\
             hex:{},alice,,,,\n",
            "ab".repeat(32)
        ),
    );
    let file = file.to_str().unwrap();

    let refused = state.run(["token", "import", file]).exits(4);
    let refused = refused
        .says("line 3, column \"user\": there is no user \"bob@EXAMPLE.COM\"")
        .says("--create-users");
    assert!(refused.stdout.is_empty());
    assert_eq!(state.json(["token", "list"])["tokens"], serde_json::json!([]));

    let dry = state.json(["token", "import", file, "--create-users", "--dry-run"]);
    assert_eq!(
        dry,
        serde_json::json!({"imported": 3, "created_users": ["bob@EXAMPLE.COM"], "dry_run": true})
    );
    assert_eq!(state.json(["token", "list"])["tokens"], serde_json::json!([]));
    assert_eq!(state.json(["user", "list"])["users"].as_array().unwrap().len(), 1);

    state
        .run(["token", "import", file, "--create-users"])
        .ok()
        .prints("Imported 3 tokens and 1 new user.");
    let tokens = state.json(["token", "list"]);
    let names: Vec<_> = tokens["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["alice/hotp", "alice/totp", "bob@EXAMPLE.COM/phone"]);
    assert!(
        tokens["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .all(|token| token["status"] == "active")
    );
    assert_eq!(tokens["tokens"][2]["digits"], 8);
    state.run_with(["auth", "alice"], CODES[3]).exits(1);
    state.run_with(["auth", "alice"], CODES[4]).ok();
}

#[test]
fn every_bad_line_is_reported_and_nothing_is_stored() {
    let state = State::with_alice();
    let text = format!(
        "user,label,type,secret,algorithm,digits,period,counter\n\
         alice,good,totp,{KEY},,,,\n\
         alice,a/b,totp,{KEY},,,,\n\
         ,x,totp,{KEY},MD5,5,,\n\
         alice,y,motp,0000000000000000,,,,\n\
         alice,z,totp,JBSWY3DPEHPK3PXP,,,,\n\
         alice\n"
    );
    let done = state.run_with(["token", "import", "-"], &text).exits(4);
    for line in [
        "line 3, column \"label\": a label must not contain \"/\"; write another name",
        "line 4, column \"user\": the value is missing; every line needs a user and a secret",
        "line 4, column \"algorithm\": the value \"MD5\" is not an algorithm; write SHA1, SHA256 or SHA512",
        "line 4, column \"digits\": the value \"5\" is not a number of digits; write 6, 7 or 8",
        "line 5, column \"type\": the value \"motp\" is not a type of tokens; write totp or hotp",
        "line 5, column \"secret\": the secret is not base32",
        "line 6, column \"secret\": the secret has 10 octets",
        "line 7: the number of values is 1, that of the columns 8",
        "5 lines of standard input are wrong; nothing was imported",
    ] {
        assert!(done.stderr.contains(line), "{line:?} is not in {}", done.stderr);
    }
    assert!(!done.stderr.contains("JBSWY3DPEHPK3PXP"), "{}", done.stderr);
    assert_eq!(
        state.json(["token", "list"])["tokens"].as_array().unwrap().len(),
        1
    );

    let json = state.run_with(["token", "import", "-", "--json"], &text).exits(4);
    let lines: Vec<serde_json::Value> = json
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[0]["line_error"]["line"], 3);
    assert_eq!(lines[0]["line_error"]["column"], "label");
    assert_eq!(lines[7]["line_error"]["column"], serde_json::Value::Null);
    assert_eq!(lines[8]["error"]["exit"], "data");
}

#[test]
fn what_the_store_holds_already_is_reported_by_line() {
    let state = State::with_alice();
    let text = format!("user,label,secret\nalice,new,{KEY}\nalice,hotp,{KEY}\nbob,x,{KEY}\ncarol,x,{KEY}\n");
    state
        .run_with(["token", "import", "-"], &text)
        .exits(4)
        .says("line 3, column \"label\": the token alice/hotp exists")
        .says("line 4, column \"user\"")
        .says("line 5, column \"user\"");
    assert_eq!(
        state.json(["token", "list"])["tokens"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn default_labels_make_way_for_given_ones() {
    let state = State::new();
    let text = format!("user,label,secret\nalice,,{KEY}\nalice,totp,{KEY}\nalice,,{KEY}\n");
    state
        .run_with(["token", "import", "-", "--create-users"], &text)
        .ok();
    let tokens = state.json(["token", "list", "alice"]);
    let labels: Vec<_> = tokens["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["totp-2", "totp", "totp-3"]);
}

/// Two tokens of one secret are safe, but hardly ever meant.
#[test]
fn secrets_that_occur_twice_are_warned_of() {
    let state = State::new();
    let other = "hex:".to_owned() + &"ab".repeat(20);
    let text = format!("user,secret\nalice,{KEY}\nbob,{other}\n");
    let import = ["token", "import", "-", "--create-users"];
    let first = state.run_with(import, &text).ok();
    assert_eq!(first.stderr, "");

    // The same file again, with a line more.
    let again = format!("{text}carol,{KEY}\n");
    let told = "warning: 2 of 3 tokens have a secret that the same user has a token of already (line 2: alice/totp). \
                Was the file imported before?";
    let dry = state
        .run_with([&import[..], &["--dry-run"]].concat(), &again)
        .ok();
    let dry = dry.says(told);
    assert!(!dry.stderr.contains(KEY), "{}", dry.stderr);
    state
        .run_with(import, &again)
        .ok()
        .says(told)
        .says("1 of 3 tokens has a secret that an earlier line has (line 4 that of line 2)")
        .prints("Imported 3 tokens and 1 new user.");
    let json = state
        .run_with([&import[..], &["--dry-run", "--json"]].concat(), &text)
        .ok();
    let warning: serde_json::Value = serde_json::from_str(json.stderr.trim()).unwrap();
    assert!(
        warning["warning"]
            .as_str()
            .unwrap()
            .starts_with("2 of 2 tokens have")
    );
}

/// Where all users are read at once, the outcome is the same.
#[test]
fn files_of_many_users_are_checked_like_small_ones() {
    let state = State::with_alice();
    let line = |user: usize| format!("u{user},phone,hex:{user:040x}\n");
    let all: String = (0..300).map(line).collect();
    let text = format!("user,label,secret\n{all}");
    let import = ["token", "import", "-"];
    state
        .run_with(import, &text)
        .exits(4)
        .says("300 lines of standard input are wrong");
    let create = ["token", "import", "-", "--create-users"];
    state
        .run_with(create, &text)
        .ok()
        .prints("Imported 300 tokens and 300 new users.");
    state
        .run_with(create, &text)
        .exits(4)
        .says("line 2, column \"label\": the token u0/phone exists")
        .says("300 lines of standard input are wrong");
    // Default labels make way for those that are there.
    let more: String = (0..300)
        .map(|user| format!("u{user},,hex:{:040x}\n", user + 1000))
        .collect();
    let more = format!("user,label,secret\nalice,hotp,hex:{}\n{more}", "cd".repeat(20));
    state
        .run_with(import, &more)
        .exits(4)
        .says("the token alice/hotp exists")
        .says("1 line of standard input is wrong");
    let more = more.replace("alice,hotp", "alice,desk");
    state.run_with(import, &more).ok().prints("Imported 301 tokens.");
    assert_eq!(state.json(["token", "list", "u7"])["tokens"][1]["label"], "totp");
}

#[test]
fn short_keys_and_missing_files() {
    let state = State::new();
    let text = "user,secret\nalice,JBSWY3DPEHPK3PXP\n";
    let arguments = [
        "token",
        "import",
        "-",
        "--create-users",
        "--dangerous-allow-short-keys",
    ];
    state.run_with(arguments, text).ok();
    state
        .run(["token", "import", "no-such-file.csv"])
        .exits(6)
        .says("cannot read")
        .says("no-such-file.csv");
    state
        .run(["token", "import", "-"])
        .exits(4)
        .says("the file is empty");
}

#[test]
fn thousands_of_tokens_are_one_transaction() {
    let state = State::new();
    let mut text = "user,secret\n".to_owned();
    for number in 0..2_000 {
        text.push_str(&format!("user{number},hex:{number:040x}\n"));
    }
    let value = state
        .run_with(["token", "import", "-", "--create-users", "--json"], text)
        .ok()
        .json();
    assert_eq!(value["imported"], 2_000);
    assert_eq!(
        state.json(["token", "list"])["tokens"].as_array().unwrap().len(),
        2_000
    );
}

/// The key of [`KEY`] as an HOTP key of alice's and of bob's, from counter 4 on.
fn container(protection: &Protection<'_>) -> String {
    let keys = ["alice", "bob"].map(|user| {
        let mut key = Key::new(
            user,
            Credential::Hotp {
                key: crate::harness::key(),
                hotp: otp_core::Hotp::default(),
                state: otp_core::HotpState { next: 4 },
            },
        );
        key.user_id = Some(format!("UID={user},DC=example,DC=com"));
        key.friendly_name = Some("keyring".to_owned());
        KeyPackage::new(key)
    });
    let container = Container::new(keys.into());
    container
        .encode(protection, &mut StdRng::seed_from_u64(1))
        .unwrap()
        .to_string()
}

#[test]
fn a_plain_container_is_imported_whole() {
    let state = State::new();
    state.run(["user", "add", "alice"]).ok();
    let file = state.write("tokens.xml", container(&Protection::Plain));
    let file = file.to_str().unwrap();

    state
        .run(["token", "import", file])
        .exits(4)
        .says("tokens.xml: line 21: there is no user \"bob\"; add the user first, or say --create-users")
        .says("1 line of");
    assert_eq!(state.json(["token", "list"])["tokens"], serde_json::json!([]));
    state
        .run(["token", "import", file, "--format", "csv"])
        .exits(4)
        .says("line 1");

    state
        .run(["token", "import", file, "--create-users"])
        .ok()
        .prints("Imported 2 tokens and 1 new user.");
    let names: Vec<_> = state.json(["token", "list"])["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["alice/keyring", "bob/keyring"]);
    state.run_with(["auth", "alice"], CODES[3]).exits(1);
    state.run_with(["auth", "alice"], CODES[4]).ok();
    state
        .run(["token", "import", file])
        .exits(4)
        .says("the token alice/keyring exists");
}

#[test]
fn an_encrypted_container_needs_its_passphrase() {
    let state = State::with_alice();
    let passphrase = Passphrase::new(b"correct horse").unwrap();
    let xml = container(&Protection::Passphrase {
        name: Some("Delivery 7"),
        passphrase: &passphrase,
        iterations: 1000,
    });
    let file = state.write("tokens.xml", &xml);
    let file = file.to_str().unwrap();
    let import = ["token", "import", file, "--create-users"];

    state
        .run_with(import, "wrong horse\n")
        .exits(4)
        .says("the key is wrong, or the container was altered");
    state
        .run_with(import, "")
        .exits(4)
        .says("standard input is empty");
    state
        .run_with(["token", "import", "-"], &xml)
        .exits(2)
        .says("the container on standard input needs the passphrase \"Delivery 7\"")
        .says("--container-key-file");
    let key_file = state.write("passphrase", "correct horse\n");
    state
        .run_with(
            [
                "token",
                "import",
                "-",
                "--create-users",
                "--dry-run",
                "--container-key-file",
                key_file.to_str().unwrap(),
            ],
            &xml,
        )
        .ok()
        .prints("Would import 2 tokens and 1 new user.");
    state
        .run_with(import, "correct horse\n")
        .ok()
        .prints("Imported 2 tokens and 1 new user.");
}

#[test]
fn an_encrypted_container_needs_its_pre_shared_key() {
    let state = State::with_alice();
    let key = PreSharedKey::new(&[0xab; 16]).unwrap();
    let xml = container(&Protection::PreSharedKey {
        name: "k1",
        key: &key,
    });
    let file = state.write("tokens.xml", &xml);
    let import = ["token", "import", file.to_str().unwrap(), "--user", "alice"];
    state
        .run_with(import, "no digits")
        .exits(4)
        .says("the pre-shared key is not hexadecimal");
    state
        .run_with(import, "abab")
        .exits(4)
        .says("a pre-shared key has 16, 24 or 32 octets, not 2");
    state
        .run_with(import, "ab".repeat(24))
        .exits(4)
        .says("the key has 24 octets, the cipher takes 16");
    state
        .run_with(import, "ac".repeat(16))
        .exits(4)
        .says("the key is wrong");
    state
        .run_with(import, "AB".repeat(16))
        .ok()
        .prints("Imported 2 tokens.");
}

#[test]
fn every_key_of_a_container_that_is_wrong_is_reported() {
    let state = State::with_alice();
    let xml = container(&Protection::Plain).replace("Length=\"6\"", "Length=\"9\"");
    let done = state.run_with(["token", "import", "-", "--json"], &xml).exits(4);
    let lines: Vec<serde_json::Value> = done
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["line_error"]["line"], 7);
    assert_eq!(
        lines[0]["line_error"]["message"],
        "9 is not a whole number from 6 to 8"
    );
    assert_eq!(lines[2]["error"]["exit"], "data");
    state
        .run_with(["token", "import", "-", "--user", "alice"], "user,secret\n")
        .exits(2)
        .says("are for PSKC");
}
