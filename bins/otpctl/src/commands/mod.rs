//! The commands, one module a noun. Each has its arguments as a clap struct and does its work in `run`.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod backup;
pub(crate) mod client;
mod client_report;
mod client_secret;
pub(crate) mod db;
pub(crate) mod generate;
pub(crate) mod init;
pub(crate) mod kdc;
pub(crate) mod key;
pub(crate) mod reload;
pub(crate) mod restore;
pub(crate) mod rule;
pub(crate) mod token;
pub(crate) mod upstream;
pub(crate) mod user;
pub(crate) mod why;

// No documentation comment: clap would show it for every command that takes names.
#[derive(Debug, clap::Args)]
pub(crate) struct Names {
    /// Names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}
