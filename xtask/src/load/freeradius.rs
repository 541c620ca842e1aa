//! FreeRADIUS on the same transport and the same work, with nothing in its configuration that costs time.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};

use super::{
    Options,
    options::{Transport, Work},
    server::{FIXED_PASSWORD, Kind, PASSWORD},
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

/// A table with a row for each user. The file stays in its mode, and every commit is a sync (`synchronous` is FULL unless set).
fn spent(users: u32) -> String {
    format!(
        "PRAGMA journal_mode = WAL;
CREATE TABLE spent (user TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO spent
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {users})
SELECT printf('u%07d', n), 0 FROM numbers;
"
    )
}

const SQL: &str = r#"sql {
		dialect = "sqlite"
		driver = "rlm_sql_sqlite"
		sqlite {
			filename = ${raddbdir}/spent.db
			busy_timeout = 2000
			bootstrap = ${raddbdir}/spent.sql
		}
		read_clients = no
		read_profiles = no
		read_groups = no
		pool {
			start = 1
			min = 1
			max = 1
			spare = 0
			uses = 0
			lifetime = 0
			idle_timeout = 0
		}
	}"#;

/// Nobody is let in before a row of theirs has changed on disk.
const ONCE: &str = r#"post-auth {
		update control {
			&Tmp-Integer-0 := "%{sql:UPDATE spent SET next = next + 1 WHERE user = '%{User-Name}'}"
		}
		if (&control:Tmp-Integer-0 != 1) {
			reject
		}
	}"#;

/// How many threads it has: as Debian sets it, or one. SQLite lets one write at a time, and more threads only get into each other's
/// way: with 4 as with 32, some requests wait for more than a second, and some fail.
fn threads(kind: Kind) -> &'static str {
    match kind {
        Kind::FreeRadiusOnDisk => "start_servers = 1\n\tmax_servers = 1",
        _ => "start_servers = 5\n\tmax_servers = 32",
    }
}

/// FreeRADIUS with this directory's configuration.
pub(super) fn command(raddb: &Path) -> Command {
    let mut command = Command::new("freeradius");
    command.arg("-f").arg("-d").arg(raddb);
    command
}

/// Writes a configuration: users, passwords and keys in memory, no log of requests.
pub(super) fn configure(
    kind: Kind,
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
    let (sql, once) = match kind {
        Kind::FreeRadiusOnDisk => (SQL, ONCE),
        _ => ("", ""),
    };
    let configuration = include_str!("freeradius.conf")
        .replace("@SQL@", sql)
        .replace("@ONCE@", once)
        .replace("@THREADS@", threads(kind))
        .replace("@RADDB@", &raddb.display().to_string())
        .replace("@PORT@", port)
        .replace("@SECRET@", SECRET)
        .replace("@PROTO@", proto)
        .replace("@CLIENTS@", clients)
        .replace("@TLS@", &tls)
        .replace("@SPLIT@", split);
    let files = [
        ("users", users),
        ("radiusd.conf", configuration),
        ("spent.sql", spent(state.users)),
    ];
    for (name, text) in files {
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
