//! `otp-radiusd.toml`: every key optional, unknown keys refused, errors with file, line and key.

use std::{
    fmt, fs, io,
    marker::PhantomData,
    net::SocketAddr,
    num::NonZeroU16,
    path::{Path, PathBuf},
    time::Duration,
};

use krad_tokio::TlsTerms;
use otp_store::Location;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

pub use error::ConfigError;
pub use values::SocketPath;
pub(crate) use values::{CacheSeconds, DeadlineMillis, IdleSeconds, SocketMode, UdpSockets};

use crate::{
    database::PostgresqlConfig,
    endpoints::MetricsConfig,
    tls::TlsConfig,
    transport::Transport,
    upstream::{Prepared, RealmConfig, Realms, UpstreamConfigError, UpstreamConfigs},
};

mod error;
mod values;

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
            deadline_ms: DeadlineMillis::default(),
            password_cache_s: CacheSeconds::default(),
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
            idle_s: IdleSeconds::default(),
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

/// How long an MIT KDC waits for an answer unless its `timeout` says otherwise.
pub(crate) const KDC_PATIENCE: Duration = Duration::from_secs(5);

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
            Some(socket) => socket.path(),
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
mod tests;
