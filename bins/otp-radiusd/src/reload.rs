//! The configuration, read again while the daemon runs: all of it holds, or nothing has changed.

use std::sync::Arc;

use otp_service::PasswordCache;
use rand::rngs::SysRng;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use crate::{
    config::{Config, ConfigError, LimitsConfig},
    daemon,
    endpoints::{self, Endpoints},
    listeners::Serving,
    log::{self, Log},
    metrics::{Metrics, Reloaded},
    radius::Radius,
    supervisor,
    transport::Transport,
};

/// Why a new configuration does not hold. Everything is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReloadError {
    /// The file cannot be read, or is not a configuration.
    #[error("the configuration cannot be used; nothing has changed")]
    Config(#[from] ConfigError),
    /// It is about what the daemon cannot change under way.
    #[error("{} cannot be changed while the daemon runs; nothing has changed", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
    /// Something that it asks for cannot be had.
    #[error("the configuration asks for what cannot be had; nothing has changed")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is nothing left to change.
    #[error("the daemon is stopping")]
    Stopping,
}

impl ReloadError {
    /// What to do next.
    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Config(_) => "correct the file (otp-radiusd --check looks at it), then reload again",
            Self::NeedsRestart(_) => {
                "restart the daemon (systemctl restart otp-radiusd), or take the change back"
            }
            Self::Unavailable(_) => "make it available or change the file, then reload again",
            Self::Stopping => "start the daemon; it reads the configuration then",
        }
    }
}

/// What was changed, a line each: the key, and what became of it.
pub(crate) type Changes = Vec<String>;

/// Asks the daemon to read its configuration again. Its clones ask the same daemon.
#[derive(Clone, Debug)]
pub(crate) struct Reloader(mpsc::Sender<Ask>);

/// Somebody who asks.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Who, for the log.
    by: String,
    reply: oneshot::Sender<Result<Changes, ReloadError>>,
}

/// Those who ask wait here for their turn.
const QUEUE: usize = 16;

impl Reloader {
    /// The way to the daemon, and where it finds what it is asked.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Returns once the new configuration holds, or why it does not.
    pub(crate) async fn reload(&self, by: impl Into<String>) -> Result<Changes, ReloadError> {
        let (reply, outcome) = oneshot::channel();
        let ask = Ask { by: by.into(), reply };
        self.0.send(ask).await.map_err(|_| ReloadError::Stopping)?;
        outcome.await.unwrap_or(Err(ReloadError::Stopping))
    }
}

/// Reads the configuration.
pub(crate) type Read = Box<dyn Fn() -> Result<Config, ConfigError>>;

/// Everything that a configuration has a say in while the daemon runs.
pub(crate) struct Live<'a> {
    /// Reads the configuration as the start of the program did.
    pub(crate) read: Read,
    /// The configuration that holds.
    pub(crate) config: Config,
    pub(crate) log: &'a Log,
    pub(crate) endpoints: Endpoints,
    /// Where `[metrics]` shows them.
    pub(crate) metrics: Option<AbortOnDropHandle<()>>,
    pub(crate) serving: Serving<Radius<Arc<Metrics>>>,
}

impl Live<'_> {
    /// Reads the configuration again, and answers who asked for it.
    pub(crate) fn answer(&mut self, ask: Ask) {
        supervisor::reloading();
        let outcome = self.reload();
        let (reloaded, status) = match &outcome {
            Ok(changes) if changes.is_empty() => (Reloaded::Unchanged, "Reloaded: nothing has changed"),
            Ok(_) => (Reloaded::Changed, "Reloaded"),
            Err(_) => (
                Reloaded::Refused,
                "Not reloaded: the log says why. Serving as before",
            ),
        };
        self.endpoints.metrics.reloaded(reloaded);
        supervisor::reloaded(status);
        match &outcome {
            Ok(changes) if changes.is_empty() => info!(by = ask.by, "reloaded: nothing has changed"),
            Ok(changes) => info!(by = ask.by, changes = changes.join("; "), "reloaded"),
            Err(cause) => error!(
                by = ask.by,
                cause = one_line(cause),
                remedy = cause.remedy(),
                "not reloaded"
            ),
        }
        // Whoever has gone away finds the outcome in the log.
        let _ = ask.reply.send(outcome);
    }

    fn reload(&mut self) -> Result<Changes, ReloadError> {
        let config = (self.read)()?;
        // First whatever can fail …
        let fixed = fixed(&self.config, &config);
        if !fixed.is_empty() {
            return Err(ReloadError::NeedsRestart(fixed));
        }
        let unavailable = |error: anyhow::Error| ReloadError::Unavailable(error.into());
        log::filter(&config.log).map_err(unavailable)?;
        let mut changes = changes(&self.config, &config);
        let life = config.password_cache_s.duration();
        let has_other_life = life != self.config.password_cache_s.duration();
        let cache = match life.is_zero() {
            true => None,
            false => Some(
                PasswordCache::new(life, &mut SysRng)
                    .map_err(|error| unavailable(anyhow::Error::new(error).context(daemon::NO_RANDOMNESS)))?,
            ),
        };
        let listeners = self.serving.bind_new(&config).map_err(unavailable)?;
        let upstreams = daemon::upstreams(&config, &self.endpoints.radius.upstreams())?;
        let metrics = match &config.metrics.listen {
            Some(address) if config.metrics != self.config.metrics => {
                Some(endpoints::bind(address).map_err(unavailable)?)
            }
            _ => None,
        };
        if config.listen.iter().any(Transport::is_tls) {
            changes.push("[tls]: certificates and keys were read again".to_owned());
        }
        self.log.set(&config.log).map_err(unavailable)?;
        // … then what cannot.
        self.serving.change(listeners, &config);
        self.endpoints
            .radius
            .set_certificate_rules(config.tls.clients.clone());
        self.endpoints.radius.set_upstreams(upstreams);
        if has_other_life {
            self.endpoints.service().set_password_cache(cache);
        }
        if config.metrics != self.config.metrics {
            self.metrics = metrics.map(|socket| endpoints::spawn(socket, &self.endpoints));
        }
        self.config = config;
        Ok(changes)
    }
}

/// An error and what is beneath it, in one line of a log: where TOML points at a place with a drawing, the place is named as well.
fn one_line(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = chain.map(ToString::to_string).collect();
    let lines = texts.iter().flat_map(|text| text.lines().map(str::trim));
    let telling: Vec<_> = lines
        .filter(|line| !line.trim_matches(['|', '^', ' ']).is_empty())
        .collect();
    telling.join(": ")
}

/// The keys that hold until the daemon is started again, and were changed.
fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    let keys = [
        ("state_dir", old.state_dir != new.state_dir),
        ("key_file", old.key_file != new.key_file),
        ("admin_socket", old.admin_socket != new.admin_socket),
        ("udp_sockets", old.udp_sockets != new.udp_sockets),
        ("[postgresql]", !old.postgresql.is_same(&new.postgresql)),
    ];
    let changed = keys.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(key, _)| key).collect()
}

fn changes(old: &Config, new: &Config) -> Changes {
    let mut changes = Vec::new();
    for added in new
        .listen
        .iter()
        .filter(|transport| !old.listen.contains(transport))
    {
        changes.push(format!("listen: {added} added"));
    }
    for removed in old
        .listen
        .iter()
        .filter(|transport| !new.listen.contains(transport))
    {
        changes.push(format!("listen: {removed} removed"));
    }
    let mut compare = |key: &str, old: String, new: String| {
        if old != new {
            changes.push(format!("{key}: {old} is {new} now"));
        }
    };
    let octal = |config: &Config| format!("{:04o}", config.socket_mode.0);
    compare("socket_mode", octal(old), octal(new));
    let millis = |config: &Config| config.deadline_ms.duration().as_millis().to_string();
    compare("deadline_ms", millis(old), millis(new));
    let seconds = |config: &Config| config.password_cache_s.duration().as_secs().to_string();
    compare("password_cache_s", seconds(old), seconds(new));
    let number = |number: std::num::NonZeroU16| number.to_string();
    let (limits, new_limits) = (old.limits, new.limits);
    compare(
        "limits.connections",
        number(limits.connections),
        number(new_limits.connections),
    );
    compare(
        "limits.connections_per_address",
        number(limits.connections_per_address),
        number(new_limits.connections_per_address),
    );
    let seconds = |limits: LimitsConfig| limits.idle_s.duration().as_secs().to_string();
    compare("limits.idle_s", seconds(limits), seconds(new_limits));
    let lower = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let place = |config: &Config| match &config.metrics.listen {
        Some(address) => address.to_string(),
        None => "off".to_owned(),
    };
    compare("metrics.listen", place(old), place(new));
    compare("log.level", lower(&old.log.level), lower(&new.log.level));
    compare("log.format", lower(&old.log.format), lower(&new.log.format));
    for name in new
        .upstream
        .keys()
        .filter(|name| !old.upstream.contains_key(name))
    {
        changes.push(format!("[upstream.{}] added", name.0));
    }
    for (name, upstream) in &old.upstream {
        match new.upstream.get(name) {
            None => changes.push(format!("[upstream.{}] removed", name.0)),
            Some(other) if other != upstream => {
                changes.push(format!("[upstream.{}]: other keys and values hold", name.0));
            }
            Some(_) => {}
        }
    }
    if old.realms != new.realms {
        changes.push("[[realm]]: other realms hold".to_owned());
    }
    if old.tls != new.tls {
        changes.push("[tls]: other keys and values hold".to_owned());
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, "x.toml".as_ref()).unwrap()
    }

    #[test]
    fn changes_are_told_by_key() {
        let old = config("listen = [\"udp://127.0.0.1:1\", \"unix:/run/a\"]");
        assert_eq!(changes(&old, &old.clone()), Vec::<String>::new());
        let new = config(
            "listen = [\"unix:/run/a\", \"unix:/run/b\"]\nsocket_mode = \"0660\"\ndeadline_ms = 3000\n\
             password_cache_s = 60\n[metrics]\nlisten = \"[::1]:9812\"\n[log]\nformat = \"json\"\nlevel = \"debug\"",
        );
        assert_eq!(
            changes(&old, &new),
            [
                "listen: unix:/run/b added",
                "listen: udp://127.0.0.1:1 removed",
                "socket_mode: 0600 is 0660 now",
                "deadline_ms: 4000 is 3000 now",
                "password_cache_s: 0 is 60 now",
                "metrics.listen: off is [::1]:9812 now",
                "log.level: info is debug now",
                "log.format: text is json now",
            ]
        );
    }

    #[test]
    fn a_log_has_lines() {
        let wrong = Config::parse("\ndeadline_ms = 5", "x.toml".as_ref()).unwrap_err();
        let line = one_line(&ReloadError::from(wrong));
        assert!(!line.contains('\n') && !line.contains('^'), "{line}");
        for part in [
            "nothing has changed: x.toml",
            "line 2",
            "deadline_ms = 5",
            "100..=30000",
        ] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let old = config("");
        for (text, key) in [
            ("state_dir = \"/srv/otp\"", "state_dir"),
            ("key_file = \"/etc/key\"", "key_file"),
            ("admin_socket = \"/run/other\"", "admin_socket"),
            ("udp_sockets = 3", "udp_sockets"),
            (
                "[postgresql]\nurl = \"postgresql://otp@127.0.0.1/otp\"",
                "[postgresql]",
            ),
        ] {
            assert_eq!(fixed(&old, &config(text)), [key]);
        }
        assert!(fixed(&old, &config("deadline_ms = 3000")).is_empty());
    }
}
