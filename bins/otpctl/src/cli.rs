//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    Exit,
    commands::{
        audit, auth, backup, client, db, generate, init, kdc, key, reload, restore, rule, token, upstream,
        user, why,
    },
    context::Context,
    failure::Failure,
};

/// Administers otp-radiusd: users, tokens, RADIUS clients, and the KDC's side of one-time passwords.
///
/// Secrets and codes are read from the terminal or from standard input, never from arguments. Results go to standard
/// output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "otpctl",
    version,
    propagate_version = true,
    after_help = EXIT_STATUS,
)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What clap has to say about a wrong command line, in the shape of every other error.
    ///
    /// `None` for what is no error: help and version.
    pub fn refusal_as_json(error: &clap::Error) -> Option<String> {
        if !error.use_stderr() {
            return None;
        }
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(|paragraph| {
            let words: Vec<_> = paragraph.split_whitespace().collect();
            words.join(" ")
        });
        let message = paragraphs.next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        // A tip, if there is one, comes before the usage.
        let remedy = paragraphs.find(|paragraph| !paragraph.is_empty());
        let error = json!({ "exit": Exit::Usage.name(), "message": message, "causes": [], "remedy": remedy });
        Some(json!({ "error": error }).to_string())
    }
}

const EXIT_STATUS: &str = "\
Exit status:
  0  done
  1  the answer is no: rejected, or a check has findings
  2  the command line is wrong
  3  an object does not exist, or exists already
  4  data that was read cannot be used: a name, a code, a secret, a line of a file
  5  the store cannot be used: not initialised, permissions, locked, full
  6  a file or a stream cannot be read or written";

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Directory of the state; the daemon's configuration is not read for it.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "OTP_RADIUSD_STATE_DIR",
        default_value = "/var/lib/otp-radiusd",
        help_heading = "Global options"
    )]
    pub(crate) state_dir: PathBuf,
    /// File of the sealing key [default: seal.key in the state directory].
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "OTP_RADIUSD_KEY_FILE",
        help_heading = "Global options"
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// PostgreSQL database that several machines share, in place of the one in the state directory, e.g.
    /// postgresql://otp@127.0.0.1/otp. A URL with a password belongs into a file.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "OTP_RADIUSD_DATABASE",
        conflicts_with = "database_file",
        help_heading = "Global options"
    )]
    pub(crate) database: Option<String>,
    /// File whose first line is the URL of the database; only its owner may read it.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "OTP_RADIUSD_DATABASE_FILE",
        help_heading = "Global options"
    )]
    pub(crate) database_file: Option<PathBuf>,
    /// Work on a database that may lose acknowledged commits when it fails over.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) accept_lost_commits: bool,
    /// Print results and diagnostics as JSON, one object a line.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// When to use colour: auto (on a terminal, unless NO_COLOR is set), always or never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t = Color::Auto,
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub(crate) color: Color,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    Client(client::Command),
    #[command(subcommand)]
    Rule(rule::Command),
    Auth(auth::Auth),
    Audit(audit::Audit),
    Why(why::Why),
    #[command(subcommand)]
    Db(db::Command),
    #[command(subcommand)]
    Key(key::Command),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Reload(reload::Reload),
    #[command(subcommand)]
    Upstream(upstream::Command),
    #[command(subcommand)]
    Kdc(kdc::Command),
    Completions(generate::Completions),
    Man(generate::Man),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Init(command) => command.run(context),
            Self::User(command) => command.run(context),
            Self::Token(command) => command.run(context),
            Self::Client(command) => command.run(context),
            Self::Rule(command) => command.run(context),
            Self::Auth(command) => command.run(context),
            Self::Audit(command) => command.run(context),
            Self::Why(command) => command.run(context),
            Self::Db(command) => command.run(context),
            Self::Key(command) => command.run(context),
            Self::Backup(command) => command.run(context),
            Self::Restore(command) => command.run(context),
            Self::Reload(command) => command.run(context),
            Self::Upstream(command) => command.run(context),
            Self::Kdc(command) => command.run(context),
            Self::Completions(command) => command.run(context),
            Self::Man(command) => command.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_an_error_like_any_other() {
        for (arguments, message, remedy) in [
            (
                &["otpctl", "user", "add"][..],
                "the following required arguments were not provided: <NAME>",
                "Usage: otpctl user add",
            ),
            (
                &["otpctl", "tokn"],
                "unrecognized subcommand 'tokn'",
                "tip: a similar subcommand exists: 'token'",
            ),
        ] {
            let line = Cli::refusal_as_json(&Cli::try_parse_from(arguments).unwrap_err()).unwrap();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["error"]["exit"], "usage");
            assert_eq!(value["error"]["message"], message);
            assert!(
                value["error"]["remedy"].as_str().unwrap().starts_with(remedy),
                "{line}"
            );
        }
        assert_eq!(
            Cli::refusal_as_json(&Cli::try_parse_from(["otpctl", "--help"]).unwrap_err()),
            None
        );
    }

    /// What a shell shows of every process must hold nothing worth stealing.
    #[test]
    fn no_option_takes_a_secret() {
        fn check(command: &clap::Command) {
            for argument in command
                .get_arguments()
                .filter(|argument| argument.get_action().takes_values())
            {
                let name = argument.get_id().as_str();
                let suspicious = ["secret", "password", "code", "credential", "pin"];
                assert!(!suspicious.contains(&name), "{} {name}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn every_command_and_option_is_described() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
