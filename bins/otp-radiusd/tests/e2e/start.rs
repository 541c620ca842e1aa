//! Starting, checking, stopping.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{
    system::{System, hotp, program, run},
    wire::{Connection, Verdict},
};

fn check(system: &System, config: &str) -> Output {
    let file = system.dir().join("otp-radiusd.toml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(program("otp-radiusd"));
    command
        .arg("--check")
        .arg("--config")
        .arg(file)
        .arg("--state-dir")
        .arg(system.state_dir());
    run(command, "")
}

#[test]
fn check_names_file_line_key_and_remedy() {
    let system = System::new();
    let rows: &[(&str, &[&str])] = &[
        ("lsten = []", &["otp-radiusd.toml", "line 1", "lsten", "listen"]),
        (
            "\n\nsocket_mode = \"0666\"",
            &["otp-radiusd.toml", "line 3", "socket_mode", "0660"],
        ),
        ("listen = [\"1812\"]", &["line 1", "udp://127.0.0.1:1812"]),
        ("deadline_ms = 9e9", &["line 1"]),
    ];
    for (config, parts) in rows {
        let output = check(&system, config);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{config}: {stderr}");
        for part in *parts {
            assert!(stderr.contains(part), "{config:?}: {part:?} is not in\n{stderr}");
        }
    }
    let output = check(&system, "deadline_ms = 3000");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(stdout.contains("kdc") && stdout.contains("ok"), "{stdout}");
}

#[test]
fn without_init_it_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    for option in ["--check", "--listen=unix:/nonexistent/x"] {
        let mut command = Command::new(program("otp-radiusd"));
        command
            .arg(option)
            .arg("--state-dir")
            .arg(dir.path().join("none"));
        let output = run(command, "");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("otpctl init"), "{stderr}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let system = System::new();
    let key = system.state_dir().join("seal.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = check(&system, "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains("chmod 600") && stderr.contains("seal.key"),
        "{stderr}"
    );
}

#[test]
fn the_socket_is_private_and_goes_with_the_daemon() {
    let system = System::new();
    let daemon = system.start();
    let metadata = fs::symlink_metadata(system.kdc_socket()).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let (status, _) = daemon.signal("TERM");
    assert!(status.success());
    assert!(
        !fs::exists(system.kdc_socket()).unwrap(),
        "a graceful stop removes it"
    );

    let daemon = system.start();
    daemon.kill();
    assert!(fs::exists(system.kdc_socket()).unwrap(), "SIGKILL leaves it");
    system.start();
}

#[test]
fn sigterm_lets_requests_in_flight_finish() {
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let daemon = system.start();
    let mut kdc = Connection::to(&system.kdc_socket());
    // A Reject waits for the reject delay: this one is in flight while the signal comes.
    let request = kdc.request("alice", &hotp(SECRET, 99));
    kdc.send(request.octets());
    daemon.wait_for("wrong-code");
    let (status, log) = daemon.signal("TERM");
    assert_eq!(kdc.answer(&request), Verdict::Reject, "{}", log.join("\n"));
    assert!(
        status.success() && log.iter().any(|line| line.contains("stopped")),
        "{}",
        log.join("\n")
    );
}

#[test]
fn two_daemons_do_not_share_a_socket() {
    let system = System::new();
    let _first = system.start();
    let mut command = Command::new(program("otp-radiusd"));
    command.arg("--state-dir").arg(system.state_dir()).arg("--listen");
    command.arg(format!("unix:{}", system.kdc_socket().display()));
    let output = run(command, "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains("kdc.socket") && stderr.contains("another process listens"),
        "{stderr}"
    );
}
