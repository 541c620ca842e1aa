//! `init`, and states that cannot be used.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    process::Command,
};

use crate::harness::State;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_a_state_for_its_owner_alone() {
    let state = State::none();
    let done = state.run(["init"]).ok().prints("otpctl user add alice");
    assert_eq!(done.stderr, "");
    assert_eq!(mode(&state.path()), 0o700);
    assert_eq!(mode(&state.path().join("seal.key")), 0o600);
    let clients = state.json(["client", "list"]);
    assert_eq!(clients["clients"][0]["name"], "kdc");
    assert_eq!(clients["clients"][0]["source"], "unix");
    assert_eq!(clients["clients"][0]["repeat_grace"], 5);
}

#[test]
fn init_tells_where_things_are_as_json() {
    let state = State::none();
    let value = state.json(["init"]);
    assert_eq!(value["state_dir"], state.path().to_str().unwrap());
    assert_eq!(value["key_file"], state.path().join("seal.key").to_str().unwrap());
}

#[test]
fn a_second_init_refuses_and_changes_nothing() {
    let state = State::with_alice();
    let key = fs::read(state.path().join("seal.key")).unwrap();
    state
        .run(["init"])
        .exits(3)
        .says(state.path().to_str().unwrap())
        .says("exists");
    assert_eq!(fs::read(state.path().join("seal.key")).unwrap(), key);
    assert_eq!(state.json(["user", "list"])["users"][0]["name"], "alice");
}

#[test]
fn the_key_file_may_be_elsewhere() {
    let state = State::none();
    let key_file = state.file("elsewhere.key");
    let option = ["--key-file", key_file.to_str().unwrap()];
    state.run(["init"].iter().chain(&option)).ok();
    assert!(key_file.exists() && !state.path().join("seal.key").exists());
    state.run(["user", "list"].iter().chain(&option)).ok();
    state.run(["user", "list"]).exits(5).says("seal.key");
}

#[test]
fn without_a_state_every_command_says_how_to_make_one() {
    let state = State::none();
    for arguments in [
        &["user", "list"][..],
        &["token", "list"],
        &["client", "list"],
        &["auth", "alice"],
        &["token", "add", "alice", "--show-uri"],
        &["token", "import", "-"],
    ] {
        state.run(arguments).exits(5).says("otpctl init");
    }
    assert!(!state.path().exists(), "only init makes a state");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let state = State::new();
    let key = state.path().join("seal.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    state
        .run(["user", "list"])
        .exits(5)
        .says("chmod 600")
        .says(key.to_str().unwrap());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    state.run(["user", "list"]).ok();
}

#[test]
fn failures_are_json_when_results_are() {
    let state = State::none();
    let done = state.run(["user", "list", "--json"]).exits(5);
    assert_eq!(done.stdout, "");
    let error: serde_json::Value = serde_json::from_str(done.stderr.trim_end()).unwrap();
    assert_eq!(error["error"]["exit"], "store");
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("otpctl init")
    );
    assert!(error["error"]["causes"].is_array());
}

/// Whose state it is may not even look; to anybody else it must not seem missing.
#[test]
fn a_state_of_somebody_else_is_not_called_missing() {
    const NOBODY: u32 = 65_534;
    let state = State::new();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is hidden from root, so the program is run as nobody then, from where nobody can reach it.
    let program = state.file("otpctl");
    // Copied by another process: a descriptor that a test beside this one inherited would keep it from being run.
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_otpctl"))
        .arg(&program)
        .status()
        .unwrap();
    assert!(copied.success());
    fs::set_permissions(state.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command
        .args(["user", "list", "--state-dir"])
        .arg(state.path())
        .output()
        .unwrap();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains("cannot look at") && stderr.contains("sudo -u otp-radiusd"),
        "{stderr}"
    );
}

#[test]
fn the_database_tells_of_itself_and_is_migrated_once() {
    let state = State::none();
    state.run(["db", "status"]).exits(5).says("otpctl init");
    state.run(["db", "migrate"]).exits(5).says("otpctl init");
    let state = State::new();
    let status = state.json(["db", "status"]);
    let database = &status["database"];
    assert_eq!(database["engine"], "SQLite");
    assert_eq!(database["schema"], database["newest_schema"]);
    assert_eq!(database["durability"]["synchronous"], "FULL");
    assert!(database["replication"].is_null());
    state
        .run(["db", "status"])
        .ok()
        .prints("durability  journal_mode = wal");
    let migrated = state.json(["db", "migrate"]);
    assert_eq!(migrated["from"], migrated["to"]);
    state.run(["db", "migrate"]).ok().prints("nothing was changed");
}

#[test]
fn a_database_that_cannot_be_used_is_named_without_its_password() {
    let state = State::new();
    state
        .run([
            "user",
            "list",
            "--database",
            "postgresql://otp:geheim@localhost/otp",
        ])
        .exits(2)
        .says("--database-file");
    state
        .run(["user", "list", "--database", "postgresql://otp@192.0.2.1/otp"])
        .exits(5)
        .says("TLS");
    let file = state.write("database", "host=/nonexistent user=otp password=geheim\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let list = |file: &std::path::Path| {
        state.run([
            "user".as_ref(),
            "list".as_ref(),
            "--database-file".as_ref(),
            file.as_os_str(),
        ])
    };
    list(&file).exits(5).says("chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let done = list(&file).exits(5).says("postgresql:///nonexistent/otp");
    assert!(!done.stderr.contains("geheim"), "{done:?}");
}

#[test]
fn the_sealing_key_is_rotated_in_one_step_or_in_two() {
    let state = State::with_alice();
    let key = || fs::read_to_string(state.path().join("seal.key")).unwrap();
    let first = key();
    let before = state.json(["key", "status"]);
    assert_eq!(before["in_file"], serde_json::json!([before["current"]]));
    let rotated = state.json(["key", "rotate"]);
    assert_eq!(rotated["forgotten"], before["current"]);
    assert_eq!(rotated["resealed"], 1);
    let second = key();
    assert!(second != first && second.lines().count() == 1);
    state
        .run(["key", "rotate", "--commit"])
        .exits(5)
        .says("--prepare");

    let prepared = state.json(["key", "rotate", "--prepare"]);
    assert_eq!(key().lines().count(), 2);
    state.run(["key", "status"]).ok().prints("prepared");
    let rotated = state.json(["key", "rotate", "--commit"]);
    assert_eq!(rotated["current"], prepared["prepared"]);
    state.run_with(["auth", "alice"], crate::harness::CODES[0]).ok();
    assert!(!key().contains(second.trim()));

    // The keys of before open nothing.
    for old in [first, second] {
        let file = state.write("old.key", old);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        state
            .run([
                "user".as_ref(),
                "list".as_ref(),
                "--key-file".as_ref(),
                file.as_os_str(),
            ])
            .exits(5)
            .says("the database needs");
    }
}
