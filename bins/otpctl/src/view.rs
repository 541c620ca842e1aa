//! What `--json` shows of the store's records. Field names are part of the interface.

use otp_store::{ClientRecord, ClientSource, TokenRecord, UserRecord};
use otp_validation::{Grammar, TokenMode, TokenStatus};
use serde::Serialize;

/// A user.
#[derive(Debug, Serialize)]
pub(crate) struct UserView {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) has_password: bool,
    /// The user's own setting.
    pub(crate) grammar: Option<&'static str>,
    /// What applies unless the client says otherwise.
    pub(crate) effective_grammar: &'static str,
    pub(crate) created_at: u64,
}

impl UserView {
    pub(crate) fn new(user: &UserRecord) -> Self {
        let follows = if user.has_password {
            Grammar::PasswordOtp
        } else {
            Grammar::Otp
        };
        Self {
            name: user.name.to_string(),
            enabled: user.enabled,
            has_password: user.has_password,
            grammar: user.grammar.map(Grammar::name),
            effective_grammar: user.grammar.unwrap_or(follows).name(),
            created_at: user.created_at.0,
        }
    }
}

/// A token, without its key.
#[derive(Debug, Serialize)]
pub(crate) struct TokenView {
    /// `user/label`, as commands take it.
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) label: String,
    pub(crate) r#type: &'static str,
    pub(crate) algorithm: &'static str,
    pub(crate) digits: u8,
    /// Seconds of a time step; TOTP only.
    pub(crate) period: Option<u64>,
    /// The smallest counter (HOTP) or time step (TOTP) that may still be accepted.
    pub(crate) next: u64,
    pub(crate) status: &'static str,
    pub(crate) enabled: bool,
    pub(crate) created_at: u64,
}

impl TokenView {
    pub(crate) fn new(token: &TokenRecord) -> Self {
        let (r#type, algorithm, digits, period, next) = match token.mode {
            TokenMode::Hotp { hotp, state, .. } => ("hotp", hotp.algorithm, hotp.digits, None, state.next),
            TokenMode::Totp { totp, state, .. } => (
                "totp",
                totp.algorithm(),
                totp.digits(),
                Some(totp.step().get()),
                state.next,
            ),
        };
        Self {
            name: format!("{}/{}", token.user, token.label),
            user: token.user.to_string(),
            label: token.label.clone(),
            r#type,
            algorithm: algorithm.as_str(),
            digits: digits.get(),
            period,
            next,
            status: match token.status {
                TokenStatus::Pending => "pending",
                TokenStatus::Active => "active",
            },
            enabled: token.enabled,
            created_at: token.created_at.0,
        }
    }

    /// One word for whether it can be used.
    pub(crate) fn state(&self) -> &'static str {
        if self.enabled { self.status } else { "disabled" }
    }

    /// "totp, SHA1, 6 digits, 30 s".
    pub(crate) fn parameters(&self) -> String {
        let period = self
            .period
            .map(|period| format!(", {period} s"))
            .unwrap_or_default();
        format!(
            "{}, {}, {} digits{period}",
            self.r#type, self.algorithm, self.digits
        )
    }
}

/// A RADIUS client, without its secret.
#[derive(Debug, Serialize)]
pub(crate) struct ClientView {
    pub(crate) name: String,
    /// `unix` for the listener's own socket, or else a network.
    pub(crate) source: String,
    pub(crate) enabled: bool,
    /// What this client's credentials are composed of, whatever the user's own setting is.
    pub(crate) grammar: Option<&'static str>,
    /// Seconds.
    pub(crate) repeat_grace: u32,
    /// Milliseconds.
    pub(crate) reject_delay: u64,
    /// `required` or `if-present`.
    pub(crate) message_authenticator: &'static str,
    pub(crate) created_at: u64,
}

impl ClientView {
    pub(crate) fn new(client: &ClientRecord) -> Self {
        Self {
            name: client.name.clone(),
            source: match &client.source {
                ClientSource::Unix => "unix".to_owned(),
                ClientSource::Network(network) => network.to_string(),
            },
            enabled: client.enabled,
            grammar: client.grammar.map(Grammar::name),
            repeat_grace: client.repeat_grace,
            reject_delay: u64::try_from(client.reject_delay.as_millis()).unwrap_or(u64::MAX),
            message_authenticator: client.message_authenticator.name(),
            created_at: client.created_at.0,
        }
    }

    /// One word for whether it may ask.
    pub(crate) fn state(&self) -> &'static str {
        if self.enabled { "enabled" } else { "disabled" }
    }
}
