//! What `--json` shows of the store's records. Field names are part of the interface.

use otp_store::{ClientRecord, ClientSource, MessageAuthenticatorRule, RuleRecord, TokenRecord, UserRecord};
use otp_validation::{Conditions, Factor, Grammar, Lockouts, NamePattern, TokenMode, TokenStatus, UnixTime};
use serde::Serialize;

use crate::{reply::ReplyView, utc};

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
    /// Who decides on the user in place of this store.
    pub(crate) upstream: Option<String>,
    /// The name under which they know the user, if it is another than the one that comes in.
    pub(crate) upstream_name: Option<String>,
    /// What every Access-Accept carries.
    pub(crate) reply: Vec<ReplyView>,
    pub(crate) created_at: u64,
}

impl UserView {
    /// What credentials are composed of, or that others know.
    pub(crate) fn credential(&self) -> String {
        match &self.upstream {
            Some(upstream) => format!("upstream {upstream}"),
            None => self.effective_grammar.to_owned(),
        }
    }

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
            upstream: user.upstream.as_ref().map(|upstream| upstream.name.to_string()),
            upstream_name: user
                .upstream
                .as_ref()
                .and_then(|upstream| upstream.user_name.as_ref())
                .map(ToString::to_string),
            reply: ReplyView::all(user.reply.iter()),
            created_at: user.created_at.0,
        }
    }
}

/// Failures and locks of a user.
#[derive(Debug, Serialize)]
pub(crate) struct LockoutsView {
    /// Through all clients.
    otp_failures: u32,
    password_failures: u32,
    /// The end of a lock at all clients.
    locked_until: Option<u64>,
    #[serde(skip)]
    seconds_left: u64,
    /// Those with failures.
    clients: Vec<LockoutView>,
}

/// Failures of a user through one client, and the lock there.
#[derive(Debug, Serialize)]
struct LockoutView {
    client: String,
    otp_failures: u32,
    password_failures: u32,
    locked_until: Option<u64>,
    #[serde(skip)]
    seconds_left: u64,
}

impl LockoutsView {
    pub(crate) fn new(lockouts: &Lockouts, clients: &[ClientRecord], now: UnixTime) -> Self {
        let name = |id| match clients.iter().find(|client| client.id == id) {
            Some(client) => client.name.clone(),
            None => "a client that was removed".to_owned(),
        };
        let at_each = lockouts.clients().map(|(client, lockout)| {
            let seconds_left = lockout.seconds_left(now);
            LockoutView {
                client: name(client),
                otp_failures: lockout.otp_failures,
                password_failures: lockout.password_failures,
                locked_until: (seconds_left > 0).then_some(lockout.locked_until),
                seconds_left,
            }
        });
        let seconds_left = lockouts.seconds_left_everywhere(now);
        Self {
            otp_failures: lockouts.failures(Factor::Otp),
            password_failures: lockouts.failures(Factor::Password),
            locked_until: (seconds_left > 0).then_some(lockouts.locked_until),
            seconds_left,
            clients: at_each.collect(),
        }
    }

    /// "3 wrong codes, 0 wrong passwords through vpn; …".
    pub(crate) fn failures(&self) -> String {
        let each = self.clients.iter().map(|at| {
            format!(
                "{} wrong codes, {} wrong passwords through {}",
                at.otp_failures, at.password_failures, at.client
            )
        });
        let all: Vec<_> = each.collect();
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join("; ")
        }
    }

    /// "for 3 s through every client, for 512 s through vpn"; `None` if there is no lock.
    pub(crate) fn locks(&self) -> Option<String> {
        let everywhere = (self.seconds_left, "every client");
        let each = self
            .clients
            .iter()
            .map(|at| (at.seconds_left, at.client.as_str()));
        let locks: Vec<_> = std::iter::once(everywhere)
            .chain(each)
            .filter(|(seconds, _)| *seconds > 0)
            .map(|(seconds, client)| format!("for {seconds} s through {client}"))
            .collect();
        (!locks.is_empty()).then(|| locks.join(", "))
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
    /// The NAS-Identifier that its requests must have.
    pub(crate) nas_identifier: Option<String>,
    pub(crate) enabled: bool,
    /// What this client's credentials are composed of, whatever the user's own setting is.
    pub(crate) grammar: Option<&'static str>,
    /// Seconds.
    pub(crate) repeat_grace: u32,
    /// Milliseconds.
    pub(crate) reject_delay: u64,
    /// `required`, `if-present` or `off-until`.
    pub(crate) message_authenticator: &'static str,
    /// Until when it may be missing, if that has an end.
    pub(crate) message_authenticator_until: Option<u64>,
    /// Until when the secret of before holds beside the present one, if there is one.
    pub(crate) old_secret_until: Option<u64>,
    /// What every Access-Accept carries, besides the user's own.
    pub(crate) reply: Vec<ReplyView>,
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
            nas_identifier: client.nas_identifier.clone(),
            enabled: client.enabled,
            grammar: client.grammar.map(Grammar::name),
            repeat_grace: client.repeat_grace,
            reject_delay: u64::try_from(client.reject_delay.as_millis()).unwrap_or(u64::MAX),
            message_authenticator: client.message_authenticator.name(),
            message_authenticator_until: match client.message_authenticator {
                MessageAuthenticatorRule::OffUntil(end) => Some(end.0),
                _ => None,
            },
            old_secret_until: client.old_secret.as_ref().map(|old| old.until.0),
            reply: ReplyView::all(client.reply.iter()),
            created_at: client.created_at.0,
        }
    }

    /// `192.0.2.1/32, NAS-Identifier branch7`.
    pub(crate) fn source_shown(&self) -> String {
        match &self.nas_identifier {
            Some(identifier) => format!("{}, NAS-Identifier {identifier}", self.source),
            None => self.source.clone(),
        }
    }

    /// `off-until 2027-03-31T00:00:00Z`.
    pub(crate) fn message_authenticator_shown(&self) -> String {
        match self.message_authenticator_until {
            Some(end) => format!("{} {}", self.message_authenticator, utc::show(UnixTime(end))),
            None => self.message_authenticator.to_owned(),
        }
    }

    /// One word for whether it may ask.
    pub(crate) fn state(&self) -> &'static str {
        if self.enabled { "enabled" } else { "disabled" }
    }
}

/// A rule.
#[derive(Debug, Serialize)]
pub(crate) struct RuleView {
    pub(crate) name: String,
    /// Lower ones come first.
    pub(crate) order: u32,
    pub(crate) enabled: bool,
    /// Patterns of names; empty for whatever it is.
    clients: Vec<String>,
    realms: Vec<String>,
    users: Vec<String>,
    /// Of the request.
    attributes: Vec<ConditionView>,
    /// What the acceptances carry.
    pub(crate) reply: Vec<ReplyView>,
    pub(crate) created_at: u64,
}

/// What an attribute of a request has to be.
#[derive(Debug, Serialize)]
struct ConditionView {
    attribute: String,
    value: String,
}

impl RuleView {
    pub(crate) fn new(rule: &RuleRecord) -> Self {
        let settings = &rule.settings;
        let Conditions {
            clients,
            realms,
            users,
            attributes,
        } = &settings.conditions;
        let texts = |patterns: &[NamePattern]| patterns.iter().map(ToString::to_string).collect();
        let attributes = attributes.iter().map(|condition| ConditionView {
            attribute: condition.name.clone(),
            value: condition.text.clone(),
        });
        Self {
            name: rule.name.clone(),
            order: settings.order,
            enabled: settings.enabled,
            clients: texts(clients),
            realms: texts(realms),
            users: texts(users),
            attributes: attributes.collect(),
            reply: ReplyView::all(settings.reply.iter()),
            created_at: rule.created_at.0,
        }
    }

    /// One word for whether it is looked at.
    pub(crate) fn state(&self) -> &'static str {
        if self.enabled { "enabled" } else { "disabled" }
    }
}
