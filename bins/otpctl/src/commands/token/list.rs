//! `otpctl token list` and `show`.

use otp_validation::UserName;
use serde_json::json;

use super::find;
use crate::{
    Exit,
    commands::user,
    context::Context,
    failure::Failure,
    text::{ago, listing, pairs},
    token_name::TokenName,
    values::parse_user,
    view::TokenView,
};

/// List the tokens of all users, or of one.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Whose tokens.
    #[arg(value_parser = parse_user)]
    user: Option<UserName>,
}

impl List {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        if let Some(name) = &self.user {
            user::find(&store, name)?;
        }
        let tokens: Vec<_> = store
            .tokens(self.user.as_ref())?
            .iter()
            .map(TokenView::new)
            .collect();
        let rows = tokens.iter().map(|token| {
            [
                token.name.clone(),
                token.r#type.to_owned(),
                token.algorithm.to_owned(),
                token.digits.to_string(),
                token
                    .period
                    .map_or_else(|| "-".to_owned(), |period| period.to_string()),
                token.state().to_owned(),
            ]
        });
        let text = listing(
            context.out,
            ["TOKEN", "TYPE", "ALGORITHM", "DIGITS", "PERIOD", "STATE"],
            rows,
        );
        context.result(&json!({ "tokens": tokens }), &text)?;
        Ok(Exit::Ok)
    }
}

/// Show one token; its key is never shown again.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The token, e.g. alice/totp.
    #[arg(value_name = "USER/LABEL")]
    name: TokenName,
}

impl Show {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let record = find(&store, &self.name)?;
        let token = TokenView::new(&record);
        let used = match (token.period, token.next.checked_sub(1)) {
            (None, _) => ("next counter", token.next.to_string()),
            (Some(_), None) => ("used", "no code yet".to_owned()),
            (Some(_), Some(step)) => ("used", format!("up to time step {step}")),
        };
        let mut lines = vec![
            ("token", token.name.clone()),
            ("type", token.r#type.to_owned()),
            ("algorithm", token.algorithm.to_owned()),
            ("digits", token.digits.to_string()),
        ];
        lines.extend(token.period.map(|period| ("period", format!("{period} s"))));
        lines.extend([
            ("status", token.status.to_owned()),
            ("enabled", if token.enabled { "yes" } else { "no" }.to_owned()),
            used,
            ("added", ago(record.created_at, context.now())),
        ]);
        context.result(&json!({ "token": token }), &pairs(lines))?;
        Ok(Exit::Ok)
    }
}
