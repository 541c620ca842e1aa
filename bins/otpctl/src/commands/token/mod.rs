//! `otpctl token`.

mod add;
mod change;
mod import;
mod list;
mod verify;

use otp_store::{Store, TokenRecord};

use super::user;
use crate::{Exit, context::Context, failure::Failure, text::shell_word, token_name::TokenName};

/// Add, prove, list and change tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Add),
    Verify(verify::Verify),
    List(list::List),
    Show(list::Show),
    Disable(change::Disable),
    Enable(change::Enable),
    Rm(change::Rm),
    Import(import::Import),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(command) => command.run(context),
            Self::Verify(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Disable(command) => command.run(context),
            Self::Enable(command) => command.run(context),
            Self::Rm(command) => command.run(context),
            Self::Import(command) => command.run(context),
        }
    }
}

/// The token of exactly this user and label; the error lists what the user has.
fn find(store: &Store, name: &TokenName) -> Result<TokenRecord, Failure> {
    if let Some(token) = store.token(&name.user, name.label.as_str())? {
        return Ok(token);
    }
    user::find(store, &name.user)?;
    let labels: Vec<_> = store
        .tokens(Some(&name.user))?
        .into_iter()
        .map(|token| token.label)
        .collect();
    let remedy = if labels.is_empty() {
        format!(
            "{} has no tokens; `otpctl token add {}` adds one",
            name.user,
            shell_word(name.user.as_str())
        )
    } else {
        format!("{} has: {}", name.user, labels.join(", "))
    };
    Err(Failure::object(format!("there is no token {name}")).with_remedy(remedy))
}
