//! `otpctl token disable`, `enable` and `rm`.

use otp_store::Store;
use serde_json::json;

use super::find;
use crate::{
    Exit, context::Context, failure::Failure, text::escape, token_name::TokenName, values::each_once,
    view::TokenView,
};

/// Refuse the codes of tokens until they are enabled again.
#[derive(Debug, clap::Args)]
pub(crate) struct Disable {
    /// The tokens, e.g. alice/totp.
    #[arg(required = true, value_name = "USER/LABEL")]
    names: Vec<TokenName>,
}

impl Disable {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        change(&self.names, Change::Disable, context)
    }
}

/// Enable tokens again.
#[derive(Debug, clap::Args)]
pub(crate) struct Enable {
    /// The tokens, e.g. alice/totp.
    #[arg(required = true, value_name = "USER/LABEL")]
    names: Vec<TokenName>,
}

impl Enable {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        change(&self.names, Change::Enable, context)
    }
}

/// Remove tokens.
///
/// Which codes were used stays known: a token that is added again with the same key does not bring them back.
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// The tokens, e.g. alice/totp.
    #[arg(required = true, value_name = "USER/LABEL")]
    names: Vec<TokenName>,
}

impl Rm {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        change(&self.names, Change::Remove, context)
    }
}

#[derive(Clone, Copy)]
enum Change {
    Disable,
    Enable,
    Remove,
}

impl Change {
    fn apply(self, store: &Store, name: &TokenName) -> Result<(), Failure> {
        let (user, label) = (&name.user, name.label.as_str());
        match self {
            Self::Disable => store.set_token_enabled(user, label, false)?,
            Self::Enable => store.set_token_enabled(user, label, true)?,
            Self::Remove => store.remove_token(user, label)?,
        }
        Ok(())
    }

    fn done(self) -> &'static str {
        match self {
            Self::Disable => "Disabled",
            Self::Enable => "Enabled",
            Self::Remove => "Removed",
        }
    }
}

fn change(names: &[TokenName], change: Change, context: &mut Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    let names = &each_once(names);
    // A name that is wrong stops the command before anything is changed.
    let mut tokens = names
        .iter()
        .map(|name| find(&store, name))
        .collect::<Result<Vec<_>, _>>()?;
    for name in names {
        change.apply(&store, name)?;
    }
    if !matches!(change, Change::Remove) {
        tokens = names
            .iter()
            .map(|name| find(&store, name))
            .collect::<Result<_, _>>()?;
    }
    let views: Vec<_> = tokens.iter().map(TokenView::new).collect();
    let text: String = names
        .iter()
        .map(|name| format!("{} token {}.\n", change.done(), escape(&name.to_string())))
        .collect();
    context.result(&json!({ "tokens": views }), &text)?;
    Ok(Exit::Ok)
}
