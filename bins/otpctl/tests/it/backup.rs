//! Backup and restoration.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use crate::harness::{CODES, State};

/// A machine without a store, but with the sealing key of `from`.
fn other(from: &State) -> State {
    let other = State::none();
    fs::DirBuilder::new().mode(0o700).create(other.path()).unwrap();
    fs::copy(from.path().join("seal.key"), other.path().join("seal.key")).unwrap();
    other
}

fn arguments<'a>(words: &'a [&'a str], file: &'a Path) -> Vec<&'a std::ffi::OsStr> {
    words
        .iter()
        .map(AsRef::as_ref)
        .chain([file.as_os_str()])
        .collect()
}

#[test]
fn a_backup_comes_back_and_spent_codes_stay_spent() {
    let state = State::with_alice();
    let file = state.file("otp.backup");
    let done = state.run(arguments(&["backup"], &file)).ok();
    let done = done
        .prints("1 user, 1 token and 1 client")
        .says("is NOT in the backup");
    assert!(done.stderr.contains("seal.key"), "{done:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    state
        .run(arguments(&["backup"], &file))
        .exits(3)
        .says("not overwritten");
    for code in &CODES[..4] {
        state.run_with(["auth", "alice"], code).ok();
    }

    let other = other(&state);
    other
        .run(arguments(&["restore", "--check"], &file))
        .ok()
        .prints("is sound: 1 user, 1 token and 1 client");
    other.run(["user", "list"]).exits(5).says("otpctl init");
    other
        .run(arguments(&["restore"], &file))
        .ok()
        .prints("Restored 1 user, 1 token and 1 client")
        .prints("HOTP");
    for code in CODES {
        other.run_with(["auth", "alice"], code).exits(1);
    }
    let shown = other.json(["token", "show", "alice/hotp"]);
    assert_eq!(shown["token"]["next"], 11);
    other
        .run(arguments(&["restore"], &file))
        .exits(3)
        .says("exists already");
}

#[test]
fn a_stream_holds_the_backup_and_nothing_else() {
    let state = State::with_alice();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_otpctl"))
        .args(["backup", "-", "--state-dir"])
        .arg(state.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let file = state.write("streamed", &output.stdout);
    let checked = state.json(["restore", "--check", file.to_str().unwrap()]);
    assert_eq!(checked["backup"]["tokens"], 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is NOT in the backup"));
}

#[test]
fn what_cannot_be_restored_says_why() {
    let state = State::with_alice();
    let file = state.file("otp.backup");
    state.run(arguments(&["backup"], &file)).ok();
    let octets = fs::read(&file).unwrap();
    let target = other(&state);
    let torn = state.write("torn", &octets[..octets.len() - 1]);
    let mut changed = octets.clone();
    changed[100] ^= 1;
    let changed = state.write("changed", changed);
    let newer = state.write("newer", [b"otp-backup-9\n", &octets[13..]].concat());
    let text = state.write("text", "user,secret\n");
    for (file, code, words) in [
        (&torn, 4, "torn"),
        (&changed, 4, "take another one"),
        (&newer, 4, "format 9"),
        (&text, 4, "no backup of this program"),
        (&state.file("none"), 6, "cannot open"),
    ] {
        for command in [&["restore", "--check"][..], &["restore"]] {
            target.run(arguments(command, file)).exits(code).says(words);
        }
    }
    assert!(!target.path().join("otp.db").exists());

    let stranger = State::new();
    stranger
        .run(arguments(&["restore", "--check"], &file))
        .exits(5)
        .says("--key-file");
    let keyless = State::none();
    keyless.run(arguments(&["restore"], &file)).exits(5);
}
