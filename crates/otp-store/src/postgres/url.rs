//! Which servers, and what is asked of them: the connection URL.

use std::{fmt, str::FromStr, time::Duration};

use tokio_postgres::config::{Config, Host, SslMode};

use crate::StoreError;

/// A PostgreSQL database that several machines share.
#[derive(Clone)]
pub struct Postgres {
    config: Config,
    /// Whether to work on a cluster that may lose commits which it has acknowledged, when it fails over.
    ///
    /// A lost commit is a code that can be accepted a second time.
    pub accept_lost_commits: bool,
}

/// How long one server may take to answer a connection, unless the URL says so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long sent octets may stay without acknowledgement before a connection counts as lost.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

impl Postgres {
    /// Whether the URL holds a password: then it belongs into a file that only its owner may read.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Servers in the order in which they are tried, each as a configuration of its own.
    pub(crate) fn servers(&self) -> Vec<Config> {
        let hosts = self.config.get_hosts().iter().enumerate();
        hosts.map(|(index, host)| self.server(index, host)).collect()
    }

    fn server(&self, index: usize, host: &Host) -> Config {
        let from = &self.config;
        let mut server = Config::new();
        match host {
            Host::Tcp(name) => server.host(name),
            Host::Unix(directory) => server.host_path(directory),
        };
        if let Some(address) = from.get_hostaddrs().get(index) {
            server.hostaddr(*address);
        }
        // One port for all, or one for each.
        let ports = from.get_ports();
        if let Some(port) = ports.get(index).or_else(|| ports.first()) {
            server.port(*port);
        }
        if let Some(user) = from.get_user() {
            server.user(user);
        }
        if let Some(password) = from.get_password() {
            server.password(password);
        }
        if let Some(database) = from.get_dbname() {
            server.dbname(database);
        }
        if let Some(options) = from.get_options() {
            server.options(options);
        }
        server
            .application_name(from.get_application_name().unwrap_or("otp-radiusd"))
            .ssl_mode(SslMode::Disable)
            .connect_timeout(from.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT))
            .tcp_user_timeout(from.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(2);
        server
    }
}

/// `postgresql://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?connect_timeout=SECONDS`, or the same as `key=value` pairs, as
/// libpq reads them. Of several hosts, the one that takes writes is used.
impl FromStr for Postgres {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let refused = |why: String| StoreError::DatabaseUrl { why };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            // The parser's own words hold names and positions, never values.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            refused(cause.unwrap_or_else(|| error.to_string()))
        })?;
        if config.get_hosts().is_empty() {
            config.host_path("/var/run/postgresql");
        }
        if config.get_user().is_none() {
            return Err(refused("it names no user".into()));
        }
        let on_this_machine = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost"
                    || name
                        .trim_matches(['[', ']'])
                        .parse()
                        .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        };
        match config.get_ssl_mode() {
            SslMode::Disable => {}
            SslMode::Prefer if config.get_hosts().iter().all(on_this_machine) => {}
            SslMode::Prefer => {
                return Err(refused(
                    "it leads to another machine, and this version does not speak TLS to a database; use a UNIX socket, or a \
                     tunnel that ends on this machine, or say `sslmode=disable` if nobody can listen on the network between"
                        .into(),
                ));
            }
            _ => {
                return Err(refused(
                    "it asks for TLS, which this version does not speak to a database".into(),
                ));
            }
        }
        Ok(Self {
            config,
            accept_lost_commits: false,
        })
    }
}

/// Names the place; a password is never shown.
impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgresql://")?;
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match host {
                Host::Tcp(name) => f.write_str(name)?,
                Host::Unix(directory) => write!(f, "{}", directory.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(index).or_else(|| ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        let database = self.config.get_dbname().or_else(|| self.config.get_user());
        write!(f, "/{}", database.unwrap_or_default())
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("at", &self.to_string())
            .field("accept_lost_commits", &self.accept_lost_commits)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_a_server_with_everything_else() {
        let url = "postgresql://otp:geheim@127.0.1.1:5433,localhost:5434/otp?connect_timeout=7";
        let postgres: Postgres = url.parse().unwrap();
        let servers = postgres.servers();
        assert_eq!(servers.len(), 2);
        for (server, (host, port)) in servers.iter().zip([("127.0.1.1", 5433), ("localhost", 5434)]) {
            assert_eq!(server.get_hosts(), [Host::Tcp(host.into())]);
            assert_eq!(server.get_ports(), [port]);
            assert_eq!(server.get_user(), Some("otp"));
            assert_eq!(server.get_password(), Some(&b"geheim"[..]));
            assert_eq!(server.get_dbname(), Some("otp"));
            assert_eq!(server.get_connect_timeout(), Some(&Duration::from_secs(7)));
        }
        let shown = format!("{postgres} {postgres:?}");
        assert!(
            shown.starts_with("postgresql://127.0.1.1:5433,localhost:5434/otp "),
            "{shown}"
        );
        assert!(!shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (url, part) in [
            ("postgresql://otp@192.0.2.1/otp", "TLS"),
            ("postgresql://otp@localhost,192.0.2.1/otp", "tunnel"),
            ("postgresql://otp@localhost/otp?sslmode=require", "asks for TLS"),
            ("postgresql://localhost/otp", "no user"),
            ("host=/run/postgresql dbname=otp", "no user"),
            ("postgresql://otp@localhost/otp?colour=red", "colour"),
        ] {
            let refused = url.parse::<Postgres>().unwrap_err().to_string();
            assert!(refused.contains(part), "{url}: {refused}");
        }
        for url in [
            "host=/run/postgresql user=otp dbname=otp",
            "postgresql://otp@[::1]:5432/otp",
            "postgresql://otp-radiusd@%2Fvar%2Frun%2Fpostgresql/otp",
            "postgresql://otp@192.0.2.1/otp?sslmode=disable",
            "user=otp",
        ] {
            url.parse::<Postgres>().unwrap();
        }
    }
}
