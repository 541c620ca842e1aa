//! Help, global options, exit codes of the command line itself.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::harness::State;

#[test]
fn help_documents_the_exit_codes() {
    let state = State::none();
    let done = state.run(["--help"]).ok();
    for line in [
        "0  done",
        "1  the answer is no",
        "2  the command line",
        "3  an object",
        "4  data",
        "5  the store",
        "6  a file",
    ] {
        assert!(done.stdout.contains(line), "{line}");
    }
    state.run(["--version"]).ok().prints("otpctl 0.");
}

#[test]
fn every_command_has_help() {
    let state = State::none();
    for path in [
        "init",
        "user add",
        "user list",
        "user show",
        "user set",
        "user disable",
        "user enable",
        "token add",
        "token verify",
        "token list",
        "token show",
        "token disable",
        "token enable",
        "token rm",
        "token import",
        "client add",
        "client list",
        "client show",
        "client rm",
        "client set",
        "client disable",
        "client enable",
        "audit",
        "audit verify",
        "auth",
        "why",
        "db status",
        "db migrate",
        "key status",
        "key rotate",
        "backup",
        "restore",
        "reload",
        "kdc string",
        "kdc check",
        "completions",
        "man",
    ] {
        state
            .run(path.split(' ').chain(["--help"]))
            .ok()
            .prints("Usage: otpctl");
    }
}

#[test]
fn wrong_command_lines_exit_with_2() {
    let state = State::new();
    let rows: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["user", "add"],
        &["user", "add", "a\nb"],
        &["user", "add", "alice", "--grammar", "otp+pin"],
        &["user", "set", "alice"],
        &["user", "set", "alice", "--password", "--no-password"],
        &["token", "verify", "alice"],
        &["token", "add", "alice", "--digits", "9", "--show-uri"],
        &["token", "add", "alice", "--period", "0", "--show-uri"],
        &["token", "add", "alice", "--counter", "5", "--show-uri"],
        &[
            "token",
            "add",
            "alice",
            "--type",
            "hotp",
            "--period",
            "60",
            "--show-uri",
        ],
        &[
            "token",
            "add",
            "alice",
            "--dangerous-allow-short-keys",
            "--show-uri",
        ],
        &["token", "add", "alice"], // nobody would see the key
        &["client", "add", "vpn"],
        &["client", "add", "vpn", "--address", "vpn.example.com"],
        &["client", "add", "vpn", "--address", "192.0.2.1/24"],
        &[
            "user",
            "list",
            "--database",
            "postgresql://otp:geheim@localhost/otp",
        ],
        &["user", "list", "--database", "user=otp", "--database-file", "/x"],
        &["key", "rotate", "--prepare", "--commit"],
        &["backup"],
        &["restore"],
        &["restore", "file", "--check", "--hotp-advance", "5"],
        &["kdc", "string"],
        &["kdc", "string", "alice", "--token", "vpn"],
        &["kdc", "string", "alice", "--token", "type=a", "--type", "b"],
    ];
    for arguments in rows {
        let done = state.run(*arguments).exits(2);
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn with_json_a_wrong_command_line_is_json_too() {
    let state = State::new();
    let done = state.run(["--json", "user", "add"]).exits(2);
    let value: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(value["error"]["exit"], "usage");
    assert!(value["error"]["message"].as_str().unwrap().contains("<NAME>"));
    state.run(["--json", "--help"]).ok().prints("Usage: otpctl");
    state.run(["help", "token", "add"]).ok().prints("--qr-file");
}

/// Commands that are printed to be copied survive the shell.
#[test]
fn names_are_quoted_in_commands() {
    let state = State::new();
    state
        .run(["user", "add", "mary ann"])
        .ok()
        .prints("otpctl token add 'mary ann'");
    state
        .run(["token", "add", "mary ann", "--show-uri"])
        .ok()
        .says("otpctl token verify 'mary ann/totp'");
}

#[test]
fn colour_is_used_on_demand_only() {
    let state = State::none();
    let plain = state.run(["user", "list"]).exits(5);
    assert!(!plain.stderr.contains('\u{1b}'));
    let coloured = state.run(["user", "list", "--color", "always"]).exits(5);
    assert!(coloured.stderr.contains("\u{1b}["));
    let state = State::with_alice();
    state.run(["token", "disable", "alice/hotp"]).ok();
    let plain = state.run(["token", "list"]).ok();
    assert!(!plain.stdout.contains('\u{1b}'));
    state
        .run(["token", "list", "--color", "always"])
        .ok()
        .prints("\u{1b}[33mdisabled");
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let state = State::none();
    state.run(["completions", "bash"]).ok().prints("_otpctl");
    state.run(["completions", "zsh"]).ok().prints("#compdef otpctl");
    let directory = state.file("man");
    state.run(["man".as_ref(), directory.as_os_str()]).ok();
    let page = fs::read_to_string(directory.join("otpctl-token-add.1")).unwrap();
    assert!(page.contains("otpauth URI") && page.contains(".TH"));
    assert!(directory.join("otpctl.1").exists());
}

#[test]
fn a_reader_that_leaves_early_is_no_news() {
    let state = State::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_otpctl"))
        .args(["user", "list", "--state-dir"])
        .arg(state.path())
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(output.stderr.is_empty(), "{output:?}");
}
