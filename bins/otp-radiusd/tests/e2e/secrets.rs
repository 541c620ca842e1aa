//! What the daemon never says, at whichever level; and what its memory never becomes.

use std::{
    fs::{self, Permissions},
    net::UdpSocket,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    process::Command,
    time::Duration,
};

use krad::{AttributeType, Code, Identifier, RequestAuthenticator, RequestBuilder, SharedSecret};

use crate::{
    clients::UdpClient,
    system::{Daemon, System, oathtool, program},
    wire::{Connection, Verdict},
};

/// A key of 20 octets: its base32 and, below, its other shapes.
const KEY: &str = "MFWGC3DBNRQWYYLMMFWGC3DBNRQWYYLM";
const KEY_HEX: &str = "616c616c616c616c616c616c616c616c616c616c";
const PASSWORD: &str = "korrekt-pferd-batterie";
const WRONG_PASSWORD: &str = "falsch-esel-kerze";
const WRONG_CODE: &str = "70707071";

fn code(counter: u64) -> String {
    oathtool(
        &["--hotp", "--digits", "8", "--counter", &counter.to_string()],
        KEY,
    )
}

/// Everything goes wrong that can, and some of it right, while the log has all that the program and its libraries say.
#[test]
fn no_secret_is_in_the_log_at_any_level() {
    let system = System::new();
    system.otpctl(&["user", "add", "alice", "--password"], &format!("{PASSWORD}\n"));
    system.otpctl(&["user", "set", "alice", "--grammar", "password+otp"], "");
    system.token("alice/ring", KEY, &["--type", "hotp", "--digits", "8"]);
    let shared = system.radius_client("vpn", &[]);
    let database = system.dir().join("database");
    fs::write(&database, "postgresql://otp:verborgenes-wort@127.0.0.1:1/otp\n").unwrap();
    fs::set_permissions(&database, Permissions::from_mode(0o600)).unwrap();
    let config = system.dir().join("otp-radiusd.toml");
    let listen = format!(
        "listen = [\"unix:{}\", \"udp://127.0.0.1:0\"]\npassword_cache_s = 60\n",
        system.kdc_socket().display()
    );
    let mut said = String::new();
    for format in ["text", "json"] {
        let log = format!("[log]\nlevel = \"trace\"\nformat = \"{format}\"\n");
        fs::write(&config, format!("{listen}{log}")).unwrap();
        let mut command = system.command("otp-radiusd");
        command
            .arg("--config")
            .arg(&config)
            .env("OTP_RADIUSD_LOG", "trace");
        let daemon = Daemon::spawn(command);
        let round = if format == "text" { 0 } else { 10 };
        talk(&system, &daemon, &shared, round);
        for wrong in [
            "[postgresql]\nurl = \"postgresql://otp:verborgenes-wort@127.0.0.1/otp\"\n".to_owned(),
            format!("[postgresql]\nurl_file = {database:?}\n"),
        ] {
            fs::write(&config, format!("{listen}{wrong}{log}")).unwrap();
            let refused = system.try_otpctl(&["reload"], "");
            assert!(!refused.status.success());
            said += &String::from_utf8_lossy(&refused.stderr);
        }
        let (status, lines) = daemon.signal("TERM");
        assert!(status.success());
        assert!(
            lines.iter().any(|line| line.contains("DEBUG")),
            "everything is said: {lines:?}"
        );
        said += &lines.join("\n");
    }
    let sealing_key = fs::read(system.state_dir().join("seal.key")).unwrap();
    let sealing_key = String::from_utf8_lossy(&sealing_key).trim().to_owned();
    let mut secrets: Vec<String> = [
        KEY,
        KEY_HEX,
        "alalalalalalalal",
        PASSWORD,
        WRONG_PASSWORD,
        WRONG_CODE,
        "verborgenes-wort",
        "$argon2",
        &shared,
        &hex(shared.as_bytes()),
        &hex(PASSWORD.as_bytes()),
        &decimal(PASSWORD.as_bytes()),
        &decimal(shared.as_bytes()),
    ]
    .map(str::to_owned)
    .to_vec();
    secrets.extend(
        sealing_key
            .split_whitespace()
            .filter(|word| word.len() >= 16)
            .map(str::to_owned),
    );
    for counter in 0..20 {
        secrets.push(code(counter));
        secrets.push(hex(code(counter).as_bytes()));
        secrets.push(decimal(code(counter).as_bytes()));
    }
    for secret in secrets {
        let line = said
            .lines()
            .find(|line| line.to_lowercase().contains(&secret.to_lowercase()));
        assert_eq!(line, None, "{secret:?} was said");
    }
    assert!(said.contains("alice") && said.contains("wrong-password") && said.contains("replayed-code"));
}

/// As octets in hexadecimal.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// As `Debug` shows a vector.
fn decimal(octets: &[u8]) -> String {
    format!("{octets:?}").trim_matches(['[', ']']).to_owned()
}

fn talk(system: &System, daemon: &Daemon, shared: &str, first: u64) {
    let mut vpn = UdpClient::to(daemon.udp(), shared);
    let mut kdc = Connection::to(&system.kdc_socket());
    let good = |counter| format!("{PASSWORD}{}", code(first + counter));
    assert_eq!(vpn.ask("alice", &good(0)), Some(Code::ACCESS_ACCEPT));
    assert_eq!(kdc.ask("alice", &good(1)), Verdict::Accept);
    for wrong in [
        good(0),
        format!("{WRONG_PASSWORD}{}", code(first + 2)),
        format!("{PASSWORD}{WRONG_CODE}"),
    ] {
        assert_eq!(vpn.ask("alice", &wrong), Some(Code::ACCESS_REJECT));
    }
    assert_eq!(vpn.ask("nobody", &good(3)), Some(Code::ACCESS_REJECT));
    // Another shared secret, so that everything in the packet is garbled; half a packet; a method that is not spoken.
    let mut stranger = UdpClient::to(daemon.udp(), "another secret, quite long");
    let request = stranger.compose("alice", &good(4));
    stranger.send(&request);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&request.octets()[..30], daemon.udp()).unwrap();
    let secret = SharedSecret::new(shared.as_bytes());
    let authenticator = RequestAuthenticator::random(&mut rand::rng());
    let chap = RequestBuilder::access_request(Identifier(1), authenticator, &secret)
        .user_name(b"alice")
        .and_then(|request| request.with(AttributeType::CHAP_PASSWORD, &[7; 17]))
        .and_then(RequestBuilder::build)
        .unwrap();
    socket.send_to(chap.octets(), daemon.udp()).unwrap();
    daemon.wait_for("chap-with-password");
    // A store that fails.
    let foreign = rusqlite::Connection::open(system.state_dir().join("otp.db")).unwrap();
    foreign.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(kdc.ask("alice", &good(5)), Verdict::Reject);
    foreign.execute_batch("ROLLBACK").unwrap();
    daemon.wait_for("commits again");
}

#[test]
fn memory_becomes_no_file() {
    let system = System::new();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(program("otp-radiusd"))
        .arg("--state-dir")
        .arg(system.state_dir())
        .args(["--listen", "udp://127.0.0.1:0"])
        .env("OTP_RADIUSD_ADMIN_SOCKET", system.admin_socket());
    let daemon = Daemon::spawn(shell);
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let columns: Vec<_> = core.split_whitespace().collect();
    assert_eq!(columns[4..6], ["0", "0"], "{core}");
    let (status, lines) = daemon.signal("ABRT");
    assert!(status.signal() == Some(6) && !status.core_dumped(), "{status}");
    assert!(!lines.iter().any(|line| line.contains("core dump")), "{lines:?}");
}

#[test]
fn a_flood_is_told_in_a_line() {
    let system = System::new();
    system.radius_client("vpn", &[]);
    let mut command = system.command("otp-radiusd");
    command
        .args(["--listen", "udp://127.0.0.1:0"])
        .env("OTP_RADIUSD_LOG", "debug");
    let daemon = Daemon::spawn(command);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in 0..3000 {
        socket.send_to(b"no packet at all", daemon.udp()).unwrap();
        if packet % 100 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let line = daemon.wait_for("more discarded packets from 127.0.0.1 in 10 s");
    assert!(line.contains("malformed") && line.contains("INFO"), "{line}");
    let named = daemon.count("packet discarded");
    assert!((10..=20).contains(&named), "{named} of them by themselves");
}
