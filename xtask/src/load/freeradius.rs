//! FreeRADIUS on the same transport and the same work, with nothing in its configuration that costs time.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};

use super::{
    Options,
    options::{Transport, Work},
    server::{FIXED_PASSWORD, PASSWORD},
    state::{SECRET, State},
};

/// Splits the code from the password; `totp` verifies the one, `pap` the other.
const SPLIT: &str = r#"if (&User-Password =~ /^(.+)([0-9]{6})$/) {
			update request {
				&TOTP-Password := "%{2}"
				&User-Password := "%{1}"
			}
			update control {
				&Auth-Type := "Both"
			}
		}"#;

/// FreeRADIUS with this directory's configuration.
pub(super) fn command(raddb: &Path) -> Command {
    let mut command = Command::new("freeradius");
    command.arg("-f").arg("-d").arg(raddb);
    command
}

/// Writes a configuration: users, passwords and keys in memory, no log of requests.
pub(super) fn configure(
    raddb: &Path,
    target: &str,
    options: &Options,
    state: &State,
    certificates: &Path,
) -> anyhow::Result<()> {
    let (_, port) = target.rsplit_once(':').context("no port")?;
    fs::create_dir_all(raddb).with_context(|| format!("cannot make {}", raddb.display()))?;
    let users = match options.work {
        Work::Otp => (0..state.users)
            .map(|user| format!("u{user:07} Cleartext-Password := \"{FIXED_PASSWORD}\"\n"))
            .collect(),
        Work::PasswordAndOtp => with_keys(&state.tokens()?)?,
    };
    let (proto, clients, tls) = match options.transport {
        Transport::Tcp => ("proto = tcp", "", String::new()),
        Transport::Tls => ("proto = tcp", "clients = radsec", tls(certificates)),
        Transport::Udp | Transport::Unix => ("recv_buff = 4194304", "", String::new()),
    };
    let split = match options.work {
        Work::Otp => "",
        Work::PasswordAndOtp => SPLIT,
    };
    let configuration = include_str!("freeradius.conf")
        .replace("@RADDB@", &raddb.display().to_string())
        .replace("@PORT@", port)
        .replace("@SECRET@", SECRET)
        .replace("@PROTO@", proto)
        .replace("@CLIENTS@", clients)
        .replace("@TLS@", &tls)
        .replace("@SPLIT@", split);
    for (name, text) in [("users", users), ("radiusd.conf", configuration)] {
        fs::write(raddb.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

fn tls(certificates: &Path) -> String {
    let directory = certificates.display();
    format!(
        "tls {{
			private_key_file = {directory}/server.key
			certificate_file = {directory}/server.pem
			ca_file = {directory}/ca.pem
			require_client_cert = yes
			tls_min_version = \"1.2\"
			tls_max_version = \"1.3\"
			fragment_size = 8192
		}}"
    )
}

/// Users with the keys of `tokens` (`user,type,secret` a line) and with [`PASSWORD`], hashed as Debian hashes passwords.
fn with_keys(tokens: &str) -> anyhow::Result<String> {
    let hash = crate::machine::output(
        "perl",
        &["-e", "print crypt($ARGV[0], '$y$j9T$loadloadloadload')", PASSWORD],
    )?;
    ensure!(
        hash.starts_with("$y$j9T$"),
        "this system's crypt knows no yescrypt: {hash}"
    );
    tokens
        .lines()
        .skip(1)
        .map(|line| {
            let (user, secret) = (line.split(',').next(), line.rsplit(',').next());
            let (user, secret) = user.zip(secret).with_context(|| format!("no token: {line}"))?;
            Ok(format!(
                "{user} Crypt-Password := \"{hash}\", TOTP-Secret := \"{secret}\"\n"
            ))
        })
        .collect()
}
