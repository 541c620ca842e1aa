//! What the records of clients mean for their packets.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use krad::{MessageAuthenticatorRule, ReplyStyle, SharedSecret};
use krad_tokio::ClientTerms;
use otp_store::{ClientRecord, ClientSource, MessageAuthenticatorRule as StoredRule};
use otp_validation::{Client, ClientId, Reason, ReplyAttributes, UnixTime};

use crate::{
    learning::Learning,
    usage::{Usage, Usages},
};

/// The client whose requests arrive on the UNIX sockets; `otpctl init` makes it.
pub const KDC_CLIENT: &str = "kdc";

/// A client as this program looks at it.
pub enum RadiusClient {
    /// One that the store knows.
    Known {
        /// Its rules.
        policy: Client,
        /// How long after receipt a rejection leaves.
        reject_delay: Duration,
        /// What it is told with every acceptance; `None` at the KDC's socket, where that is nothing at all.
        reply: Option<ReplyAttributes>,
        /// What has come from it.
        figures: ClientFigures,
    },
    /// Whoever is at the UNIX socket while the store cannot say. A KDC that hears nothing waits for seconds, so it is
    /// told no.
    Refused(Reason),
}

/// What has come from a client, for administrators, and what was learned by it.
#[derive(Debug, Default)]
pub struct ClientFigures {
    pub(crate) usage: Arc<Usage>,
    pub(crate) learning: Arc<Learning>,
}

impl RadiusClient {
    pub(crate) fn usage(&self) -> Option<&Usage> {
        match self {
            Self::Known { figures, .. } => Some(&figures.usage),
            Self::Refused(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Known { policy, .. } => &policy.name,
            Self::Refused(_) => KDC_CLIENT,
        }
    }

    pub(crate) fn reject_delay(&self) -> Duration {
        match self {
            Self::Known { reject_delay, .. } => *reject_delay,
            Self::Refused(_) => Duration::ZERO,
        }
    }

    pub(crate) fn reply(&self) -> Option<&ReplyAttributes> {
        match self {
            Self::Known { reply, .. } => reply.as_ref(),
            Self::Refused(_) => None,
        }
    }
}

/// How the packets of a stored client are to be treated while this holds of its rules.
fn terms(
    record: &ClientRecord,
    holding: Holding,
    figures: ClientFigures,
) -> (ClientTerms, Arc<RadiusClient>) {
    let mut terms = match &record.secret {
        None => ClientTerms::kdc_socket(),
        Some(secret) => ClientTerms::network(SharedSecret::new(secret.expose())),
    };
    let old = record.old_secret.as_ref().filter(|_| holding.old_secret);
    terms.old_secret = old
        .and_then(|old| old.secret.as_ref())
        .map(|secret| SharedSecret::new(secret.expose()));
    if record.secret.is_some() && holding.message_authenticator == StoredRule::IfPresent {
        // Proxy-State without Message-Authenticator is what the forgery needs (CVE-2024-3596).
        terms.message_authenticator = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        // The client may be a KDC, which would discard the Message-Authenticator of our reply.
        terms.reply_style = ReplyStyle::NetworkOrLibkrad;
    }
    (
        terms,
        Arc::new(RadiusClient::Known {
            policy: record.policy(),
            reject_delay: record.reject_delay,
            reply: (record.source != ClientSource::Unix).then(|| record.reply.clone()),
            figures,
        }),
    )
}

/// How a client's packets are to be treated, and by which rules.
pub(crate) type Treatment = (ClientTerms, Arc<RadiusClient>);

/// What was made of the records of clients. It is made once for each, not once for each packet: preparing a secret for
/// its digests is half of the work that a short packet takes.
#[derive(Default)]
pub(crate) struct Clients(RwLock<HashMap<ClientId, Prepared>>);

/// What was made of a record while this held.
struct Prepared {
    record: Arc<ClientRecord>,
    holding: Holding,
    treatment: Treatment,
}

/// What holds of the rules of a client that end by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holding {
    message_authenticator: StoredRule,
    old_secret: bool,
}

impl Holding {
    fn at(record: &ClientRecord, now: UnixTime) -> Self {
        Self {
            message_authenticator: record.message_authenticator.at(now),
            old_secret: record.old_secret.as_ref().is_some_and(|old| old.holds(now)),
        }
    }
}

impl Clients {
    pub(crate) fn treatment(&self, record: Arc<ClientRecord>, now: UnixTime, usages: &Usages) -> Treatment {
        let holding = Holding::at(&record, now);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known
            .get(&record.id)
            .filter(|known| Arc::ptr_eq(&known.record, &record) && known.holding == holding)
        {
            return prepared.treatment.clone();
        }
        drop(known);
        let (usage, learning) = usages.of(&record);
        let treatment = terms(&record, holding, ClientFigures { usage, learning });
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // A record that the store has let go of was changed or removed: its secret must not stay behind.
        known.retain(|_, prepared| Arc::strong_count(&prepared.record) > 1);
        let prepared = Prepared {
            record: Arc::clone(&record),
            holding,
            treatment: treatment.clone(),
        };
        known.insert(record.id, prepared);
        treatment
    }
}

#[cfg(test)]
mod tests {
    use otp_store::{ClientSecret, OldSecret};

    use super::*;

    fn record(id: i64, secret: &[u8]) -> Arc<ClientRecord> {
        Arc::new(ClientRecord {
            id: ClientId(id),
            name: "vpn".to_owned(),
            enabled: true,
            source: ClientSource::Network("192.0.2.1/32".parse().unwrap()),
            nas_identifier: None,
            secret: Some(ClientSecret::new(secret.to_vec())),
            old_secret: None,
            message_authenticator: StoredRule::Required,
            grammar: None,
            repeat_grace: 0,
            reject_delay: Duration::from_secs(1),
            reply: ReplyAttributes::none(),
            learning: 0,
            created_at: UnixTime(0),
        })
    }

    #[test]
    fn a_client_is_prepared_once_until_it_is_changed() {
        let (clients, usages) = (Clients::default(), Usages::new(UnixTime(0)));
        let (vpn, wifi) = (record(1, b"the first secret"), record(2, b"another"));
        let (_, first) = clients.treatment(Arc::clone(&vpn), UnixTime(0), &usages);
        clients.treatment(Arc::clone(&wifi), UnixTime(0), &usages);
        let (_, again) = clients.treatment(Arc::clone(&vpn), UnixTime(0), &usages);
        assert!(Arc::ptr_eq(&first, &again));

        let changed = record(1, b"the second one, longer");
        let (terms, other) = clients.treatment(Arc::clone(&changed), UnixTime(0), &usages);
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(terms.secret.len(), b"the second one, longer".len());
        assert_eq!(
            Arc::strong_count(&vpn),
            1,
            "nothing is left of the record that was changed"
        );
        assert_eq!(Arc::strong_count(&wifi), 2);
    }

    #[test]
    fn an_exemption_ends_by_itself() {
        let (clients, usages) = (Clients::default(), Usages::new(UnixTime(0)));
        let old = Arc::new(ClientRecord {
            message_authenticator: StoredRule::OffUntil(UnixTime(100)),
            ..(*record(1, b"a secret")).clone()
        });
        let rule = |now| {
            let (terms, _) = clients.treatment(Arc::clone(&old), UnixTime(now), &usages);
            (terms.message_authenticator, terms.reply_style)
        };
        let exempt = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        assert_eq!(rule(99), (exempt, ReplyStyle::NetworkOrLibkrad));
        assert_eq!(
            rule(100),
            (MessageAuthenticatorRule::Required, ReplyStyle::Network)
        );
        assert_eq!(rule(99).0, exempt, "a clock that was set back");
    }

    #[test]
    fn an_old_secret_ends_by_itself() {
        let (clients, usages) = (Clients::default(), Usages::new(UnixTime(0)));
        let rotated = Arc::new(ClientRecord {
            old_secret: Some(OldSecret {
                secret: Some(ClientSecret::new(b"the old one".to_vec())),
                since: UnixTime(50),
                until: UnixTime(100),
            }),
            ..(*record(1, b"the new secret")).clone()
        });
        let old_secret = |now| {
            let (terms, _) = clients.treatment(Arc::clone(&rotated), UnixTime(now), &usages);
            terms.old_secret.map(|old| old.len())
        };
        assert_eq!(old_secret(99), Some(b"the old one".len()));
        assert_eq!(old_secret(100), None);
    }

    #[test]
    fn secrets_of_removed_clients_are_let_go() {
        let (clients, usages) = (Clients::default(), Usages::new(UnixTime(0)));
        let weak = {
            let removed = record(1, b"a secret");
            clients.treatment(Arc::clone(&removed), UnixTime(0), &usages);
            Arc::downgrade(&removed)
        };
        assert!(weak.upgrade().is_some());
        clients.treatment(record(2, b"another"), UnixTime(0), &usages);
        assert!(weak.upgrade().is_none());
    }
}
