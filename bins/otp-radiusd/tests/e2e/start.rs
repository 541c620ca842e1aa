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
    assert!(stdout.contains("otp-radiusd.toml"), "{stdout}");
}

#[test]
fn check_looks_at_every_listener_and_makes_nothing() {
    let system = System::new();
    let dir = system.dir().display().to_string();
    fs::write(system.dir().join("file"), "").unwrap();
    let config = format!(
        "listen = [\"unix:{dir}/file\", \"unix:{dir}/new/kdc.socket\", \"udp://192.0.2.1:1812\", \
         \"unix:{dir}/file/kdc.socket\", \"unix:{dir}/new/kdc.socket\"]\ndeadline_ms = 6000"
    );
    let output = check(&system, &config);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    for part in [
        "file exists and is not a socket",
        "no interface of this machine has this address",
        "file is not a directory",
        "kdc.socket is listed twice",
        "deadline_ms 6000 is not less",
    ] {
        assert!(stdout.contains(part), "{part:?} is not in\n{stdout}");
    }
    assert!(stderr.contains("4 of 5 listeners"), "{stderr}");
    assert!(!fs::exists(system.dir().join("new")).unwrap());

    // Where the daemon runs already, that is no fault.
    let _daemon = system.start();
    system.otpctl(&["client", "disable", "kdc"], "");
    let output = check(
        &system,
        &format!("listen = [\"unix:{}\"]", system.kdc_socket().display()),
    );
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("is the daemon running?"), "{stdout}");
    assert!(stdout.contains("otpctl client enable kdc"), "{stdout}");
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let dir = TempDir::new().unwrap();
    let mut man = Command::new(program("otp-radiusd"));
    man.arg("man").arg(dir.path());
    assert!(run(man, "").status.success());
    let page = fs::read_to_string(dir.path().join("otp-radiusd.8")).unwrap();
    assert!(page.contains("OTP_RADIUSD_LOG") && page.contains(" 8 "), "{page}");
    assert!(fs::exists(dir.path().join("otp-radiusd-demo.8")).unwrap());
    let mut completions = Command::new(program("otp-radiusd"));
    completions.args(["completions", "bash"]);
    assert!(String::from_utf8_lossy(&run(completions, "").stdout).contains("complete -F"));
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

/// As systemd hands it out: in a directory of its own, named by the environment.
#[test]
fn the_sealing_key_may_be_a_credential_of_systemd() {
    let system = System::new();
    let credentials = system.dir().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let (key, credential) = (system.state_dir().join("seal.key"), credentials.join("seal.key"));
    let check = |options: &[&std::ffi::OsStr]| {
        let mut command = system.command("otp-radiusd");
        command
            .args(["--check", "--listen", "udp://127.0.0.1:0"])
            .args(options);
        command.env("CREDENTIALS_DIRECTORY", &credentials);
        let output = run(command, "");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let shown = |path: &std::path::Path| format!("key        {}", path.display());

    // Other credentials are none of its business.
    let (code, text) = check(&[]);
    assert!(code == Some(0) && text.contains(&shown(&key)), "{text}");
    fs::copy(&key, &credential).unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o400)).unwrap();
    let kept = system.dir().join("kept.key");
    fs::rename(&key, &kept).unwrap();
    let (code, text) = check(&[]);
    assert!(code == Some(0) && text.contains(&shown(&credential)), "{text}");
    // What is configured wins.
    let (code, text) = check(&["--key-file".as_ref(), kept.as_os_str()]);
    assert!(code == Some(0) && text.contains(&shown(&kept)), "{text}");
    // One that others may read is no secret, wherever it comes from.
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o444)).unwrap();
    let (code, text) = check(&[]);
    assert!(code == Some(1) && text.contains("chmod 600"), "{text}");
}
