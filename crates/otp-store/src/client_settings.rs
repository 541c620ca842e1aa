//! What may be changed about a client while it stays the same client.

use std::{fmt, time::Duration};

use crate::{
    ClientRecord, ClientSource, MessageAuthenticatorRule, Store, StoreError, acceptances,
    audit::Deed,
    client::{
        changed, check_nas_identifier, delay_millis, each, not_found, read_record, refuse_taken_network,
    },
    sql::values,
};
use otp_validation::Grammar;

/// The rules of a client, apart from who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// A disabled client gets Reject for everything.
    pub enabled: bool,
    /// Whether its requests must carry a Message-Authenticator.
    pub message_authenticator: MessageAuthenticatorRule,
    /// How credentials through this client are composed, whatever the user's own setting is.
    pub grammar: Option<Grammar>,
    /// For how many seconds a twin gets the first one's Accept; 0 = never.
    pub repeat_grace: u32,
    /// How long a rejection waits, from receipt, in whole milliseconds.
    pub reject_delay: Duration,
}

impl ClientRecord {
    /// Its present settings.
    pub fn settings(&self) -> ClientSettings {
        ClientSettings {
            enabled: self.enabled,
            message_authenticator: self.message_authenticator,
            grammar: self.grammar,
            repeat_grace: self.repeat_grace,
            reject_delay: self.reject_delay,
        }
    }
}

/// For the audit trail.
impl fmt::Display for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "enabled={} message-authenticator={} grammar={} grace={}s delay={}ms",
            self.enabled,
            self.message_authenticator,
            self.grammar.map_or("user", Grammar::name),
            self.repeat_grace,
            self.reject_delay.as_millis()
        )
    }
}

impl Store {
    /// Lets only requests with this NAS-Identifier be a client's, or, with `None`, whatever they have.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`]; [`StoreError::Exists`] if another client stands on the same network with it;
    /// [`StoreError::Invalid`] for one that no request has; else whatever keeps the store from writing.
    pub fn set_client_nas_identifier(&self, name: &str, identifier: Option<&str>) -> Result<(), StoreError> {
        self.administer("changing the NAS-Identifier of a client", |transaction| {
            let mut found = None;
            each(transaction, Some(name), |row| {
                let record = read_record(row)?;
                found = Some((record.source, record.nas_identifier));
                Ok(())
            })?;
            let (source, before) = found.ok_or_else(|| not_found(name))?;
            check_nas_identifier(source, identifier)?;
            if before.as_deref() == identifier {
                return Ok(());
            }
            if let ClientSource::Network(network) = source {
                refuse_taken_network(transaction, network, identifier)?;
            }
            let rows = transaction.execute(
                "UPDATE clients SET nas_identifier = ?2 WHERE name = ?1",
                values![name, identifier],
            )?;
            changed(transaction, name, rows)?;
            let deed = Deed::on_client("client-nas-identifier-changed", name);
            self.log(transaction, &deed.with(identifier.unwrap_or("whatever it is")))
        })
    }

    /// Forgets how a client has dealt with questions: whether it answers them is learned anew, in every process.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`]; else whatever keeps the store from writing.
    pub fn learn_client_anew(&self, name: &str) -> Result<(), StoreError> {
        self.administer("learning anew about a client", |transaction| {
            let rows = transaction.execute(
                "UPDATE clients SET learning = learning + 1 WHERE name = ?1",
                values![name],
            )?;
            changed(transaction, name, rows)?;
            transaction.execute(
                "UPDATE client_usage SET asked = 0, answered = 0, answered_at = 0
                 WHERE client_id IN (SELECT id FROM clients WHERE name = ?1)",
                values![name],
            )?;
            self.log(transaction, &Deed::on_client("client-learned-anew", name))
        })
    }

    /// Lets `change` edit the settings of a client; they hold from the next packet on, in every process.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Invalid`] for a delay that is too long; else whatever keeps the store from
    /// writing.
    pub fn change_client(
        &self,
        name: &str,
        change: impl FnOnce(&mut ClientSettings),
    ) -> Result<(), StoreError> {
        self.administer("changing a client", |transaction| {
            let mut found = None;
            each(transaction, Some(name), |row| {
                let record = read_record(row)?;
                found = Some((
                    record.id,
                    record.source,
                    record.old_secret.is_some(),
                    record.settings(),
                ));
                Ok(())
            })?;
            let (id, source, has_old_secret, mut settings) = found.ok_or_else(|| not_found(name))?;
            change(&mut settings);
            if source == ClientSource::Unix && settings.grammar.is_some_and(Grammar::asks) {
                return Err(StoreError::Invalid {
                    what: "the grammar of a client on a UNIX socket",
                    why: "cannot be \"challenge\" or \"auto\": a KDC cannot ask its user",
                }
                .into());
            }
            if has_old_secret && settings.message_authenticator != MessageAuthenticatorRule::Required {
                return Err(StoreError::Invalid {
                    what: "the rule for Message-Authenticator of this client",
                    why: "stays \"required\" while its secret is being rotated: finish that first",
                }
                .into());
            }
            let rows = transaction.execute(
                "UPDATE clients SET enabled = ?2, message_authenticator = ?3, grammar = ?4, repeat_grace = ?5,
                                    reject_delay_ms = ?6
                 WHERE name = ?1",
                values![
                    name,
                    settings.enabled,
                    &settings.message_authenticator.to_string(),
                    settings.grammar.map(Grammar::name),
                    settings.repeat_grace,
                    delay_millis(settings.reject_delay)?,
                ],
            )?;
            // What was accepted by other rules is not said again.
            acceptances::forget_client(transaction, id)?;
            changed(transaction, name, rows)?;
            let detail = settings.to_string();
            self.log(
                transaction,
                &Deed::on_client("client-changed", name).with(&detail),
            )
        })
    }
}
