//! `otp-radiusd.toml`: what is read agrees with a plain reading of the same TOML, key by key; what is refused is what
//! that reading refuses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use otp_radiusd::{Config, LogFormat, Transport};
use toml::{Table, Value};

use crate::structured;

/// Checks any text.
pub fn check(input: &[u8]) {
    structured(input, run);
}

fn run(text: &str) {
    let config = Config::parse(text, Path::new("otp-radiusd.toml"));
    if let Err(error) = &config {
        assert!(error.to_string().starts_with("otp-radiusd.toml"));
    }
    let table = text.parse::<Table>().ok();
    let is_read_elsewhere = |table: &Table| ELSEWHERE.iter().any(|key| table.contains_key(*key));
    if table.as_ref().is_some_and(is_read_elsewhere) {
        return;
    }
    let plain = table.and_then(|table| plainly(&table));
    let config = config.ok().map(|config| Plain {
        state_dir: config.state_dir,
        key_file: config.key_file,
        listen: config.listen,
        socket_mode: config.socket_mode.0,
        deadline: config.deadline_ms.duration(),
        password_cache: config.password_cache_s.duration(),
        format: config.log.format,
        level: format!("{:?}", config.log.level).to_lowercase(),
    });
    assert_eq!(config, plain);
    for listener in config.iter().flat_map(|config| &config.listen) {
        // Paths are shown as they are.
        assert_eq!(listener.to_string().parse().as_ref(), Ok(listener));
    }
}

#[derive(Debug, PartialEq)]
struct Plain {
    state_dir: PathBuf,
    key_file: Option<PathBuf>,
    listen: Vec<Transport>,
    socket_mode: u32,
    deadline: Duration,
    password_cache: Duration,
    format: LogFormat,
    level: String,
}

/// Keys whose values the tests of the daemon look at.
const ELSEWHERE: [&str; 6] = [
    "admin_socket",
    "limits",
    "metrics",
    "postgresql",
    "tls",
    "udp_sockets",
];

fn plainly(table: &Table) -> Option<Plain> {
    let known = [
        "state_dir",
        "key_file",
        "listen",
        "socket_mode",
        "deadline_ms",
        "password_cache_s",
        "log",
    ];
    let no_log = Value::Table(Table::new());
    let log = table.get("log").unwrap_or(&no_log).as_table()?;
    let all_known = table.keys().all(|key| known.contains(&key.as_str()))
        && log.keys().all(|key| ["format", "level"].contains(&key.as_str()));
    if !all_known {
        return None;
    }
    // `None` is what is wrong, `Some` of the default what is missing.
    let text = |table: &Table, key: &str, default: &str| match table.get(key) {
        Some(value) => value.as_str().map(str::to_owned),
        None => Some(default.to_owned()),
    };
    let listen = match table.get("listen") {
        Some(value) => value
            .as_array()?
            .iter()
            .map(|text| listener(text.as_str()?))
            .collect::<Option<_>>()?,
        None => vec![
            listener("unix:/run/otp-radiusd/kdc.socket")?,
            listener("udp://[::]:1812")?,
        ],
    };
    let mode = text(table, "socket_mode", "0600")?;
    let digits = mode.bytes().all(|octet| matches!(octet, b'0'..=b'7'));
    let socket_mode = u32::from_str_radix(&mode, 8).ok().filter(|_| digits)?;
    let deadline = table.get("deadline_ms").map_or(Some(4000), Value::as_integer)?;
    let password_cache = table.get("password_cache_s").map_or(Some(0), Value::as_integer)?;
    let level = text(log, "level", "info")?;
    let is_valid = matches!(
        socket_mode,
        0o600 | 0o610 | 0o620 | 0o630 | 0o640 | 0o650 | 0o660 | 0o670 | 0o700..=0o770
    ) && socket_mode % 8 == 0
        && (100..=30_000).contains(&deadline)
        && (0..=3600).contains(&password_cache)
        && !listen.is_empty()
        && ["error", "warn", "info", "debug", "trace"].contains(&level.as_str());
    is_valid.then_some(Plain {
        state_dir: text(table, "state_dir", "/var/lib/otp-radiusd")?.into(),
        key_file: match table.get("key_file") {
            Some(value) => Some(value.as_str()?.into()),
            None => None,
        },
        listen,
        socket_mode,
        deadline: Duration::from_millis(deadline.unsigned_abs()),
        password_cache: Duration::from_secs(password_cache.unsigned_abs()),
        format: match text(log, "format", "text")?.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return None,
        },
        level,
    })
}

fn listener(text: &str) -> Option<Transport> {
    let (scheme, rest) = text.split_once(':')?;
    let address = || rest.strip_prefix("//")?.parse::<SocketAddr>().ok();
    let is_name = || {
        let named = |octet: u8| matches!(octet, b' '..=b'~') && octet != b':';
        !rest.is_empty() && rest.len() <= 255 && rest.bytes().all(named)
    };
    match scheme {
        "unix" if rest.starts_with('/') => Some(Transport::Unix(rest.into())),
        "udp" => address().map(Transport::Udp),
        "tcp" => address().map(Transport::Tcp),
        "tls" => address().map(Transport::Tls),
        "systemd" | "systemd-tls" if is_name() => Some(Transport::Systemd {
            name: rest.to_owned(),
            tls: scheme == "systemd-tls",
        }),
        _ => None,
    }
}
