//! `otpctl kdc`: the KDC's side, without a store.

mod attempt;
mod check;
mod exchange;
mod getstrs;
mod link;
mod sources;
mod string;
mod token_spec;

use crate::{Exit, context::Context, failure::Failure};

/// Configure the KDC: the string attribute of principals, the [otp] section.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    String(string::WriteOrCheck),
    Check(check::Check),
    Try(attempt::Try),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::String(command) => command.run(context),
            Self::Check(command) => command.run(context),
            Self::Try(command) => command.run(context),
        }
    }
}
