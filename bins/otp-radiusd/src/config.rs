//! `otp-radiusd.toml`: every key optional, unknown keys refused, errors with file, line and key.

use std::{
    fmt, fs, io,
    marker::PhantomData,
    net::SocketAddr,
    num::NonZeroU16,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use krad_tokio::TlsTerms;
use otp_store::Location;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    database::{DatabaseError, PostgresqlConfig},
    endpoints::MetricsConfig,
    tls::{TlsConfig, TlsConfigError},
    transport::Transport,
    upstream::{Prepared, RealmConfig, Realms, UpstreamConfigError, UpstreamConfigs},
};

/// Where the configuration is looked for if nobody says otherwise.
pub(crate) const DEFAULT_FILE: &str = "/etc/otp-radiusd/otp-radiusd.toml";

/// Where the daemon is administered if nobody says otherwise.
pub(crate) const DEFAULT_ADMIN_SOCKET: &str = "/run/otp-radiusd/admin.socket";

/// Configuration of the daemon.
///
/// ```
/// let config = otp_radiusd::Config::parse(
///     r#"
///     state_dir = "/srv/otp"
///     listen = ["unix:/run/otp-radiusd/kdc.socket", "udp://127.0.0.1:1812"]
///     deadline_ms = 3000
///
///     [log]
///     format = "json"
///     "#,
///     "otp-radiusd.toml".as_ref(),
/// )?;
/// assert_eq!(config.listen.len(), 2);
/// # Ok::<(), otp_radiusd::ConfigError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of the state; `otpctl init` makes it.
    pub state_dir: PathBuf,
    /// File with the key that seals secrets; `seal.key` in the state directory unless set.
    pub key_file: Option<PathBuf>,
    /// A database that several machines share, in place of the one in the state directory.
    #[serde(deserialize_with = "table")]
    pub postgresql: PostgresqlConfig,
    /// Where to listen.
    pub listen: Vec<Transport>,
    /// Permissions of UNIX sockets, as in `chmod`.
    pub socket_mode: SocketMode,
    /// How many sockets each address on UDP has; as many as there are processors unless set.
    pub udp_sockets: Option<UdpSockets>,
    /// How long a request may take, in milliseconds. An MIT KDC waits for 5,000.
    pub deadline_ms: DeadlineMillis,
    /// For how many seconds a password that was right need not be hashed again; 0, the default, for never.
    pub password_cache_s: CacheSeconds,
    /// Where `otpctl reload` finds the daemon; `/run/otp-radiusd/admin.socket` unless set.
    pub admin_socket: Option<SocketPath>,
    /// Where metrics can be had.
    #[serde(deserialize_with = "table")]
    pub metrics: MetricsConfig,
    /// Certificates and versions of the listeners that speak TLS.
    #[serde(deserialize_with = "table")]
    pub tls: TlsConfig,
    /// Other RADIUS servers that decide in place of this one, by name.
    pub(crate) upstream: UpstreamConfigs,
    /// Realms whose users they decide on.
    pub(crate) realm: Vec<RealmConfig>,
    /// The same, checked.
    #[serde(skip)]
    pub(crate) realms: Realms,
    /// How much one listener takes.
    #[serde(deserialize_with = "table")]
    pub limits: LimitsConfig,
    /// What is logged, and how.
    #[serde(deserialize_with = "table")]
    pub log: LogConfig,
    /// The file that this was read from.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/otp-radiusd"),
            key_file: None,
            postgresql: PostgresqlConfig::default(),
            listen: vec![
                Transport::Unix(PathBuf::from("/run/otp-radiusd/kdc.socket")),
                Transport::Udp(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 1812))),
            ],
            socket_mode: SocketMode(0o600),
            udp_sockets: None,
            deadline_ms: DeadlineMillis(4_000),
            password_cache_s: CacheSeconds(0),
            admin_socket: None,
            metrics: MetricsConfig::default(),
            tls: TlsConfig::default(),
            upstream: UpstreamConfigs::default(),
            realm: Vec::new(),
            realms: Realms::default(),
            limits: LimitsConfig::default(),
            log: LogConfig::default(),
            file: None,
        }
    }
}

/// Limits of each listener for connections (UNIX, TCP, TLS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// How many connections it has at a time.
    pub connections: NonZeroU16,
    /// How many of them one address may have.
    pub connections_per_address: NonZeroU16,
    /// After how many seconds without traffic a TCP or TLS connection is closed.
    pub idle_s: IdleSeconds,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: NonZeroU16::MIN.saturating_add(1023),
            connections_per_address: NonZeroU16::MIN.saturating_add(127),
            idle_s: IdleSeconds(900),
        }
    }
}

/// Logging.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Text for people and journals, JSON for collectors.
    pub format: LogFormat,
    /// The least severe level that is logged.
    pub level: LogLevel,
}

/// Reads a table and nothing else: derived code also takes an array for one, its values in the order of the keys.
pub(crate) fn table<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Table<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table such as [log]")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Table(PhantomData))
}

/// The shape of log lines on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// Level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures of the daemon itself.
    Error,
    /// What an administrator should look at.
    Warn,
    /// One line per decision.
    #[default]
    Info,
    /// Discarded packets, connections, commits.
    Debug,
    /// Everything.
    Trace,
}

/// Permissions of a socket file, written as an octal string such as `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SocketMode(pub u32);

impl TryFrom<String> for SocketMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Digits alone: the parser would also take a sign.
        let digits = text.bytes().all(|octet| octet.is_ascii_digit());
        let mode = u32::from_str_radix(&text, 8).ok().filter(|_| digits);
        match mode {
            Some(mode) if mode & 0o600 != 0o600 => Err(format!(
                "socket_mode {text:?} locks out the owner of the socket; write \"0600\" or \"0660\""
            )),
            Some(mode) if mode & 0o007 != 0 => Err(format!(
                "socket_mode {text:?} lets everybody in, and the socket has no shared secret; write \"0600\" or \"0660\""
            )),
            Some(mode) if mode <= 0o770 => Ok(Self(mode)),
            _ => Err(format!(
                "socket_mode {text:?} is not an octal mode; write \"0600\" or \"0660\""
            )),
        }
    }
}

/// Path of a socket of this machine, from the root on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SocketPath(PathBuf);

impl FromStr for SocketPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.starts_with('/') {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "{text:?} is no absolute path; write e.g. {DEFAULT_ADMIN_SOCKET:?}"
            )),
        }
    }
}

impl TryFrom<String> for SocketPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// How long an MIT KDC waits for an answer unless its `timeout` says otherwise.
pub(crate) const KDC_PATIENCE: Duration = Duration::from_secs(5);

/// A deadline in milliseconds, between 100 and 30,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct DeadlineMillis(u64);

impl DeadlineMillis {
    /// The deadline as a duration from receipt.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl TryFrom<u64> for DeadlineMillis {
    type Error = String;

    fn try_from(millis: u64) -> Result<Self, Self::Error> {
        if (100..=30_000).contains(&millis) {
            return Ok(Self(millis));
        }
        Err(format!(
            "deadline_ms {millis} is outside 100..=30000; an MIT KDC gives up after 5000, so 4000 is a good value"
        ))
    }
}

/// A number of sockets, between 1 and 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub struct UdpSockets(usize);

impl UdpSockets {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for UdpSockets {
    type Error = String;

    fn try_from(sockets: usize) -> Result<Self, Self::Error> {
        if (1..=64).contains(&sockets) {
            return Ok(Self(sockets));
        }
        Err(format!(
            "udp_sockets {sockets} is outside 1..=64; leave it out for one socket per processor"
        ))
    }
}

/// A time in seconds, between ten seconds and a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct IdleSeconds(u64);

impl IdleSeconds {
    /// The time as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for IdleSeconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        if (10..=86_400).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(format!(
            "idle_s {seconds} is outside 10..=86400; a proxy that asks with Status-Server twice a minute is never idle"
        ))
    }
}

/// A time in seconds, at most an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct CacheSeconds(u64);

impl CacheSeconds {
    /// The time as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for CacheSeconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        if seconds <= 3_600 {
            return Ok(Self(seconds));
        }
        Err(format!(
            "password_cache_s {seconds} is outside 0..=3600; 300 spares devices that come back every few minutes their hash, 0 remembers nothing"
        ))
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not valid; the source names line, column and key.
    #[error("{} is not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// Nothing to listen on.
    #[error("{}: `listen` is empty; leave it out for the defaults, or name a listener such as \"unix:/run/otp-radiusd/kdc.socket\"", path.display())]
    NoListener {
        /// The file.
        path: PathBuf,
    },
    /// The table `[tls]` leads to no TLS.
    #[error("{}", path.as_ref().map_or_else(|| "the listeners cannot speak TLS".to_owned(), |path| path.display().to_string()))]
    Tls {
        /// The configuration file, if there is one.
        path: Option<PathBuf>,
        /// Why.
        source: Box<TlsConfigError>,
    },
    /// The tables `[upstream.NAME]` and `[[realm]]` lead nowhere.
    #[error("{}", path.as_ref().map_or_else(|| "the upstreams cannot be used".to_owned(), |path| path.display().to_string()))]
    Upstream {
        /// The configuration file, if there is one.
        path: Option<PathBuf>,
        /// Why.
        source: Box<UpstreamConfigError>,
    },
    /// The table `[postgresql]`, or the options in its place, lead to no database.
    #[error("the database of `[postgresql]` cannot be used")]
    Database(#[from] DatabaseError),
}

impl Config {
    /// Reads a configuration from TOML; `path` is for messages only.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with line, column and key; [`ConfigError::NoListener`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|source| ConfigError::Invalid {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if config.listen.is_empty() {
            return Err(ConfigError::NoListener {
                path: path.to_owned(),
            });
        }
        config.file = Some(path.to_owned());
        config.realms = Realms::new(&config.realm, &config.upstream, text)
            .map_err(|source| config.upstream_error(source))?;
        Ok(config)
    }

    /// Reads the file that was asked for.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads the file at its usual place; without one, the defaults hold.
    pub(crate) fn read_default() -> Result<Self, ConfigError> {
        match Self::read(DEFAULT_FILE.as_ref()) {
            Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            read => read,
        }
    }

    /// Where the daemon is administered.
    pub(crate) fn admin_socket(&self) -> &Path {
        match &self.admin_socket {
            Some(SocketPath(path)) => path,
            None => DEFAULT_ADMIN_SOCKET.as_ref(),
        }
    }

    /// On what terms TLS is spoken, if a listener speaks it. Reads the files that `[tls]` names.
    pub(crate) fn tls_terms(&self) -> Result<Option<TlsTerms>, ConfigError> {
        let Some(listener) = self.listen.iter().find(|transport| transport.is_tls()) else {
            return Ok(None);
        };
        let terms = self.tls.terms(listener).map_err(|source| ConfigError::Tls {
            path: self.file.clone(),
            source: Box::new(source),
        })?;
        Ok(Some(terms))
    }

    /// The upstreams, with their secrets and certificates. Reads the files that `[upstream.NAME]` names.
    pub(crate) fn upstreams(&self) -> Result<Prepared, ConfigError> {
        Prepared::read(&self.upstream, &self.realms).map_err(|source| self.upstream_error(source))
    }

    pub(crate) fn upstream_error(&self, source: UpstreamConfigError) -> ConfigError {
        ConfigError::Upstream {
            path: self.file.clone(),
            source: Box::new(source),
        }
    }

    /// Where the store is.
    pub(crate) fn location(&self) -> Result<Location, ConfigError> {
        Ok(Location {
            paths: self.paths(),
            database: self.postgresql.database()?,
        })
    }

    /// The files of the store.
    fn paths(&self) -> otp_store::Paths {
        let paths = otp_store::Paths::new(&self.state_dir);
        match &self.key_file {
            Some(key_file) => paths.with_key_file(key_file),
            None => paths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = Config::parse(text, "/etc/x.toml".as_ref()).unwrap_err();
        format!("{:#}", anyhow::Error::from(error))
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = Config::parse("", "x".as_ref()).unwrap();
        assert_eq!(config.listen, Config::default().listen);
        assert_eq!(config.deadline_ms.duration(), Duration::from_secs(4));
        assert_eq!(config.password_cache_s.duration(), Duration::ZERO, "off");
    }

    #[test]
    fn passwords_are_remembered_for_an_hour_at_most() {
        for seconds in [0, 1, 300, 3600] {
            let text = format!("password_cache_s = {seconds}");
            let config = Config::parse(&text, "x".as_ref()).unwrap();
            assert_eq!(config.password_cache_s.duration(), Duration::from_secs(seconds));
        }
    }

    /// Text, and what the message must name.
    const REFUSED: &[(&str, &[&str])] = &[
        (
            "\nstate_dirr = \"/x\"",
            &["/etc/x.toml", "line 2", "state_dirr", "state_dir"],
        ),
        (
            "listen = [\"dtls://1.2.3.4:5\"]",
            &["line 1", "dtls://1.2.3.4:5", "udp://", "systemd:NAME"],
        ),
        ("listen = [\"unix:relative\"]", &["unix:relative", "absolute"]),
        ("listen = [\"udp://localhost:1812\"]", &["udp://localhost:1812"]),
        ("listen = []", &["/etc/x.toml", "`listen` is empty"]),
        ("socket_mode = \"0666\"", &["line 1", "lets everybody in", "0660"]),
        ("socket_mode = \"999\"", &["octal"]),
        ("socket_mode = \"+600\"", &["octal"]),
        ("log = [\"json\"]", &["line 1", "a table such as [log]"]),
        ("postgresql = [\"otp\"]", &["line 1", "a table such as"]),
        ("[postgresql]\nurls = \"x\"", &["line 2", "urls", "url_file"]),
        ("socket_mode = \"0\"", &["locks out the owner", "0600"]),
        ("udp_sockets = 0", &["line 1", "1..=64"]),
        ("udp_sockets = -1", &["line 1"]),
        ("[limits]\nconnections = 0", &["line 2"]),
        ("[limits]\nidle_s = 9", &["line 2", "10..=86400"]),
        ("limits = []", &["line 1", "a table such as"]),
        ("[tls]\nradius_1_1 = \"maybe\"", &["line 2", "maybe", "require"]),
        ("[tls]\nmin_version = \"1.1\"", &["line 2", "1.1", "1.3"]),
        (
            "[tls]\ncertficate = \"x\"",
            &["line 2", "certficate", "certificate"],
        ),
        (
            "[tls.clients]\nvpn = [\"sha256:AA\"]",
            &["line 2", "sha256:AA", "openssl x509"],
        ),
        ("[tls.clients]\nvpn = [\"\"]", &["line 2", "by a name in it"]),
        ("[tls.clients]\nvpn = \"vpn.example.com\"", &["line 2"]),
        ("deadline_ms = 5", &["100..=30000"]),
        ("deadline_ms = \"4s\"", &["line 1"]),
        ("password_cache_s = 3601", &["line 1", "0..=3600"]),
        ("password_cache_s = -1", &["line 1"]),
        (
            "admin_socket = \"admin.socket\"",
            &["line 1", "no absolute path", "/run/otp-radiusd/admin.socket"],
        ),
        (
            "[metrics]\nlisten = \"0.0.0.0:9812\"",
            &["line 2", "loopback", "127.0.0.1:9812"],
        ),
        ("metrics = \"127.0.0.1:9812\"", &["line 1", "a table such as"]),
        ("[log]\nformat = \"xml\"", &["line 2", "xml", "text"]),
        ("[log]\nlevle = \"info\"", &["levle"]),
        ("state_dir = ", &["line 1"]),
    ];

    #[test]
    fn what_is_refused_is_named() {
        for (text, parts) in REFUSED {
            let message = refusal(text);
            for part in *parts {
                assert!(
                    message.contains(part),
                    "{text:?}: {message:?} does not name {part:?}"
                );
            }
            assert_eq!(message.matches("/etc/x.toml").count(), 1, "{message}");
            assert!(message.matches("TOML parse error").count() <= 1, "{message}");
        }
    }

    #[test]
    fn tls_needs_its_files_if_somebody_listens() {
        let message = |text: &str| {
            let config = Config::parse(text, "/etc/x.toml".as_ref()).unwrap();
            let terms = config.tls_terms().map(|terms| terms.is_some());
            terms.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        };
        assert_eq!(message("[tls]\ncertificate = \"/absent.pem\""), Ok(false));
        let missing = message("listen = [\"tls://[::]:2083\"]").unwrap_err();
        for part in [
            "/etc/x.toml",
            "tls://[::]:2083",
            "`certificate`",
            "certificate = \"/etc/",
        ] {
            assert!(missing.contains(part), "{missing}");
        }
        let text =
            "listen = [\"systemd-tls:radsec\"]\n[tls]\ncertificate = \"/absent.pem\"\nkey = \"/absent.key\"";
        assert!(message(text).unwrap_err().contains("`client_ca`"));
        let absent = message(&format!("{text}\nclient_ca = \"/absent.ca\"")).unwrap_err();
        for part in [
            "/etc/x.toml",
            "`[tls]`",
            "cannot read /absent.pem",
            "user of the daemon",
        ] {
            assert!(absent.contains(part), "{absent}");
        }
    }
}
