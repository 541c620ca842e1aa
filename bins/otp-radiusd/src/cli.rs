//! The command line.

use std::{env, path::PathBuf};

use crate::{
    config::{Config, ConfigError, SocketPath},
    database::DatabaseUrl,
    transport::Transport,
};

const AFTER_HELP: &str = "\
Files (defaults):
  /etc/otp-radiusd/otp-radiusd.toml   configuration; every key is optional, and so is the file
  /var/lib/otp-radiusd                state: `otpctl init` makes it
  /run/otp-radiusd/kdc.socket         where an MIT KDC sends its requests
  /run/otp-radiusd/admin.socket       where `otpctl reload` finds the daemon

Environment:
  OTP_RADIUSD_LOG         level of the log in place of the configured one, e.g. debug
  CREDENTIALS_DIRECTORY   set by systemd: the credential seal.key there is the sealing key unless one is configured
  LISTEN_FDS, LISTEN_FDNAMES   set by systemd: the sockets of listeners systemd:NAME and systemd-tls:NAME

Signals: SIGTERM and SIGINT finish what is in flight and stop; a second one stops at once. SIGHUP reads the configuration
again, as `otpctl reload` does, and says in the log what became of it.

Exit status: 0 done, 1 failed (the reason is on standard error), 2 the command line is wrong.

Try it without installing or changing anything: otp-radiusd demo";

/// Validates one-time passwords for an MIT KDC (RADIUS on a UNIX socket) and for RADIUS clients.
#[derive(Debug, clap::Parser)]
#[command(name = "otp-radiusd", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,

    /// Check configuration and state, say what is wrong, and exit.
    #[arg(long)]
    pub(crate) check: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show it at work: temporary state, a user with a token, listeners on loopback, every decision explained.
    Demo(DemoOptions),
    /// Print the completions for a shell.
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages (section 8).
    #[command(hide = true)]
    Man {
        /// Directory to write to.
        directory: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoOptions {
    /// UDP port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 18120, value_name = "PORT")]
    pub(crate) port: u16,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Configuration file.
    #[arg(long, short = 'c', value_name = "FILE", env = "OTP_RADIUSD_CONFIG")]
    config: Option<PathBuf>,

    /// Directory of the state (made by `otpctl init`); overrides the configuration.
    #[arg(long, value_name = "DIR", env = "OTP_RADIUSD_STATE_DIR")]
    state_dir: Option<PathBuf>,

    /// File with the key that seals secrets; overrides the configuration.
    #[arg(long, value_name = "FILE", env = "OTP_RADIUSD_KEY_FILE")]
    key_file: Option<PathBuf>,

    /// PostgreSQL database that several machines share, e.g. postgresql://otp@127.0.0.1/otp; overrides the configuration. A URL
    /// with a password belongs into a file.
    #[arg(
        long,
        value_name = "URL",
        env = "OTP_RADIUSD_DATABASE",
        conflicts_with = "database_file"
    )]
    database: Option<String>,

    /// File (mode 0600) whose first line is the URL of the database; overrides the configuration.
    #[arg(long, value_name = "FILE", env = "OTP_RADIUSD_DATABASE_FILE")]
    database_file: Option<PathBuf>,

    /// Work on a database that may lose acknowledged commits when it fails over: codes may then be accepted twice.
    #[arg(long)]
    accept_lost_commits: bool,

    /// Be administered here (`otpctl reload --socket`); overrides the configuration.
    #[arg(long, value_name = "FILE", env = "OTP_RADIUSD_ADMIN_SOCKET")]
    admin_socket: Option<SocketPath>,

    /// Listen here, and only here: unix:/path, udp://address:port, tcp://…, tls://…, systemd:NAME. May be repeated.
    #[arg(long, value_name = "LISTENER")]
    listen: Vec<Transport>,
}

impl Options {
    /// The configuration file, if there is one, with the options of the command line on top.
    pub(crate) fn configuration(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(file) => Config::read(file)?,
            None => Config::read_default()?,
        };
        if let Some(state_dir) = &self.state_dir {
            config.state_dir.clone_from(state_dir);
        }
        config.key_file = self.key_file.clone().or(config.key_file).or_else(credential);
        config.admin_socket = self.admin_socket.clone().or(config.admin_socket);
        let database = &mut config.postgresql;
        if self.database.is_some() || self.database_file.is_some() {
            database.url = self.database.clone().map(DatabaseUrl::from);
            database.url_file.clone_from(&self.database_file);
        }
        database.accept_lost_commits |= self.accept_lost_commits;
        if !self.listen.is_empty() {
            config.listen.clone_from(&self.listen);
        }
        Ok(config)
    }
}

/// The sealing key as a credential of systemd (`LoadCredential=seal.key:…`), if the service was given one.
fn credential() -> Option<PathBuf> {
    let directory = env::var_os("CREDENTIALS_DIRECTORY")?;
    let file = PathBuf::from(directory).join("seal.key");
    // One that is there and cannot be used is an error later, not a reason to look elsewhere.
    file.symlink_metadata().is_ok().then_some(file)
}
