//! What is shipped beside the programs, as the tools that read it see it.

use std::{fs, path::PathBuf, process::Command};

use crate::system::run;

/// What `systemd-analyze security` may say of the unit at most. docs/operations.md names it, too.
const EXPOSURE: f64 = 1.2;

fn dist(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../dist")
        .join(name)
}

#[test]
fn the_unit_is_as_closed_as_the_documentation_says() {
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["security", "--offline=true", "--no-pager"])
        .arg(dist("otp-radiusd.service"));
    let analyzed = run(analyze, "");
    let said = String::from_utf8_lossy(&analyzed.stdout);
    let overall = said
        .lines()
        .find(|line| line.contains("Overall exposure level"))
        .unwrap();
    let score: f64 = overall
        .rsplit(": ")
        .next()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(score <= EXPOSURE, "{said}");
    let docs = dist("../docs/operations.md");
    assert!(
        fs::read_to_string(docs)
            .unwrap()
            .contains(&format!("**{EXPOSURE}**"))
    );
}

#[test]
fn systemd_knows_every_line_of_the_unit() {
    // The programs that it starts are not installed here: the same unit with others.
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("otp-radiusd.service");
    let text = fs::read_to_string(dist("otp-radiusd.service")).unwrap();
    let text = text
        .replace("/usr/bin/otpctl", "/usr/bin/true")
        .replace("/usr/bin/otp-radiusd", "/usr/bin/true");
    fs::write(&unit, text.replace("Documentation=man:otp-radiusd(8)\n", "")).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&unit);
    let verified = run(verify, "");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("otp-radiusd.service"))
        // systemd before 253 keeps the line above it, as the unit says.
        .filter(|line| !line.contains("notify-reload"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
}

/// The daemon takes the socket by the name that the unit gives it.
#[test]
fn the_socket_unit_names_what_the_daemon_listens_on() {
    let text = fs::read_to_string(dist("otp-radiusd-kdc.socket")).unwrap();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let listen = text
        .lines()
        .find_map(|line| line.strip_prefix("#   listen = "))
        .unwrap();
    let config = otp_radiusd::Config::parse(&format!("listen = {listen}"), "x".as_ref()).unwrap();
    let name = value("FileDescriptorName=");
    assert_eq!(config.listen[0].to_string(), format!("systemd:{name}"));
    assert_eq!(value("Service="), "otp-radiusd.service");
    assert_eq!(
        value("SocketMode="),
        "0660",
        "nobody else: there is no shared secret"
    );

    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("otp-radiusd-kdc.socket");
    fs::write(&unit, &text).unwrap();
    let service = "[Service]\nExecStart=/usr/bin/true\n";
    fs::write(dir.path().join("otp-radiusd.service"), service).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify
        .args(["verify", "--man=no"])
        .arg(&unit)
        .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display()));
    let verified = run(verify, "");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("otp-radiusd")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_shipped_configuration_is_the_default() {
    let text = fs::read_to_string(dist("otp-radiusd.toml")).unwrap();
    assert!(
        text.lines().all(|line| line.is_empty() || line.starts_with('#')),
        "a key is set"
    );
    // Every line that is commented out can be used as it is.
    let keys: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.split(' ').nth(1) == Some("="))
        .collect();
    let config = otp_radiusd::Config::parse(&keys.join("\n"), "otp-radiusd.toml".as_ref()).unwrap();
    let default = otp_radiusd::Config::default();
    assert_eq!(config.listen, default.listen);
    assert_eq!(config.state_dir, default.state_dir);
    assert!(keys.len() > 8, "{keys:?}");
}

#[test]
fn systemd_makes_the_user_and_its_directories() {
    let root = tempfile::tempdir().unwrap();
    for directory in ["etc", "var/lib", "run"] {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    let mut sysusers = Command::new("systemd-sysusers");
    sysusers
        .arg("--root")
        .arg(root.path())
        .arg(dist("otp-radiusd.sysusers").canonicalize().unwrap());
    let made = run(sysusers, "");
    assert!(made.status.success(), "{made:?}");
    let users = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    assert!(
        users.contains("otp-radiusd:") && users.contains("/usr/sbin/nologin"),
        "{users}"
    );
    let mut tmpfiles = Command::new("systemd-tmpfiles");
    tmpfiles
        .args(["--create", "--root"])
        .arg(root.path())
        .arg(dist("otp-radiusd.tmpfiles").canonicalize().unwrap());
    let made = run(tmpfiles, "");
    assert!(made.status.success(), "{made:?}");
    assert!(root.path().join("var/lib/otp-radiusd").is_dir());
}
