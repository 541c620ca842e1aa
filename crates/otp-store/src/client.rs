//! Clients: who may ask, how they are stored, and their administration.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use ipnet::{IpNet, Ipv4Net};
use otp_validation::{Client, ClientId, Grammar, ReplyAttributes, UnixTime};
use rand::CryptoRng;

use crate::{
    ClientSecret, Kind, Store, StoreError,
    audit::Deed,
    client_secret::{self, OldSecret},
    error::Fault,
    reply,
    seal::{Place, Sealed},
    sql::{Row, Sql, values},
    store::Secrets,
    user::stored_grammar,
    value::{check_name, random_uid, time, unix_time, unsigned},
};

/// Where a client's requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSource {
    /// The UNIX listener that has the client's name.
    Unix,
    /// Addresses of this network; where several networks hold an address, the longest prefix counts.
    Network(IpNet),
}

/// Whether a client's requests must carry a Message-Authenticator (RFC 2869 §5.14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageAuthenticatorRule {
    /// A request without it is discarded.
    #[default]
    Required,
    /// It is verified where it is present; a forger on the path can then change answers to requests that lack it.
    IfPresent,
    /// As [`IfPresent`](Self::IfPresent) before this moment, as [`Required`](Self::Required) from then on.
    OffUntil(UnixTime),
}

impl MessageAuthenticatorRule {
    /// The name used in the store and in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::IfPresent => "if-present",
            Self::OffUntil(_) => "off-until",
        }
    }

    /// What holds at `now`: required, or if present.
    #[must_use]
    pub fn at(self, now: UnixTime) -> Self {
        match self {
            Self::OffUntil(end) if now < end => Self::IfPresent,
            Self::OffUntil(_) => Self::Required,
            always => always,
        }
    }

    /// What [`Display`](fmt::Display) shows.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            None if text == Self::Required.name() => Some(Self::Required),
            None if text == Self::IfPresent.name() => Some(Self::IfPresent),
            Some(("off-until", end)) => {
                let end: i64 = end.parse().ok()?;
                Some(Self::OffUntil(UnixTime(end.try_into().ok()?)))
            }
            _ => None,
        }
    }
}

/// As it is stored: `required`, `if-present`, or `off-until` and the seconds since the Unix epoch.
impl fmt::Display for MessageAuthenticatorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffUntil(end) => write!(f, "{} {}", self.name(), time(*end)),
            _ => f.write_str(self.name()),
        }
    }
}

/// A client to be added.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its name: 1 to 64 octets without `/` and control characters.
    pub name: String,
    /// Where its requests come from.
    pub source: ClientSource,
    /// The NAS-Identifier (RFC 2865 §5.32) that its requests must have; `None` for whatever they have. 1 to 253 octets without control
    /// characters; meaningless on a UNIX listener.
    pub nas_identifier: Option<String>,
    /// The shared secret: needed for a network, meaningless on a UNIX listener.
    pub secret: Option<ClientSecret>,
    /// Whether its requests must carry a Message-Authenticator.
    pub message_authenticator: MessageAuthenticatorRule,
    /// How credentials through this client are composed, whatever the user's own setting is.
    pub grammar: Option<Grammar>,
    /// For how many seconds a twin gets the first one's Accept; 0 = never.
    pub repeat_grace: u32,
    /// How long a rejection waits, from receipt, in whole milliseconds.
    pub reject_delay: Duration,
    /// When it was added.
    pub created_at: UnixTime,
}

impl NewClient {
    /// A KDC (or another program of this machine) behind the UNIX listener `name`.
    ///
    /// Its packets carry no Message-Authenticator that is worth anything: the socket's permissions say who it is. A KDC
    /// repeats itself, hence 5 seconds of grace.
    pub fn unix(name: impl Into<String>, created_at: UnixTime) -> Self {
        Self {
            name: name.into(),
            source: ClientSource::Unix,
            nas_identifier: None,
            secret: None,
            message_authenticator: MessageAuthenticatorRule::IfPresent,
            grammar: None,
            repeat_grace: 5,
            reject_delay: Duration::from_millis(250),
            created_at,
        }
    }

    /// A NAS: Message-Authenticator required, no grace, rejections after one second.
    pub fn network(
        name: impl Into<String>,
        network: IpNet,
        secret: ClientSecret,
        created_at: UnixTime,
    ) -> Self {
        Self {
            name: name.into(),
            source: ClientSource::Network(network),
            nas_identifier: None,
            secret: Some(secret),
            message_authenticator: MessageAuthenticatorRule::Required,
            grammar: None,
            repeat_grace: 0,
            reject_delay: Duration::from_secs(1),
            created_at,
        }
    }
}

/// A client.
#[derive(Clone, Debug)]
pub struct ClientRecord {
    /// The store's number.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// A disabled client gets Reject for everything.
    pub enabled: bool,
    /// Where its requests come from.
    pub source: ClientSource,
    /// The NAS-Identifier that its requests must have; `None` for whatever they have.
    pub nas_identifier: Option<String>,
    /// The shared secret: there for a network when the record comes from [`Store::client_for`]; administrators ask for it by
    /// [`Store::client_secret`].
    pub secret: Option<ClientSecret>,
    /// The secret before this one, while both hold.
    pub old_secret: Option<OldSecret>,
    /// Whether its requests must carry a Message-Authenticator.
    pub message_authenticator: MessageAuthenticatorRule,
    /// How credentials through this client are composed, whatever the user's own setting is.
    pub grammar: Option<Grammar>,
    /// For how many seconds a twin gets the first one's Accept; 0 = never.
    pub repeat_grace: u32,
    /// How long a rejection waits, from receipt.
    pub reject_delay: Duration,
    /// What every acceptance through this client tells it, besides what the user's attributes say.
    pub reply: ReplyAttributes,
    /// How often it was begun anew to learn whether it answers questions ([`Store::learn_client_anew`]).
    pub learning: u64,
    /// When it was added.
    pub created_at: UnixTime,
}

impl ClientRecord {
    /// The rules that a decision looks at, of a client that can be asked if it is no KDC.
    pub fn policy(&self) -> Client {
        Client {
            id: self.id,
            name: self.name.clone(),
            enabled: self.enabled,
            grammar: self.grammar,
            repeat_grace: self.repeat_grace,
            can_challenge: matches!(self.source, ClientSource::Network(_)),
        }
    }
}

impl Store {
    /// Adds a client. The bits of a network beyond its prefix are cleared.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if the name or the network is taken, [`StoreError::Invalid`] for a malformed name or a
    /// network without a secret; else whatever keeps the store from writing.
    pub fn add_client(&self, client: &NewClient, rng: &mut impl CryptoRng) -> Result<ClientId, StoreError> {
        self.administer("adding a client", |transaction| {
            let id = add(transaction, self.secrets(), client, rng)?;
            let source = match client.source {
                ClientSource::Unix => "UNIX listener".to_owned(),
                ClientSource::Network(network) => canonical(network).to_string(),
            };
            self.log(
                transaction,
                &Deed::on_client("client-added", &client.name).with(&source),
            )?;
            Ok(id)
        })
    }

    /// All clients, by name, without their secrets.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.client_records(None)
    }

    /// The client of this name, if there is one, without its secret.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn client(&self, name: &str) -> Result<Option<ClientRecord>, StoreError> {
        Ok(self.client_records(Some(name))?.pop())
    }

    fn client_records(&self, name: Option<&str>) -> Result<Vec<ClientRecord>, StoreError> {
        self.read("reading clients", |transaction| {
            let mut records = Vec::new();
            each(transaction, name, |row| {
                records.push(read_record(row)?);
                Ok(())
            })?;
            Ok(records)
        })
    }

    /// Removes a client and its secret.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn remove_client(&self, name: &str) -> Result<(), StoreError> {
        self.administer("removing a client", |transaction| {
            transaction.execute(
                "DELETE FROM client_usage WHERE client_id IN (SELECT id FROM clients WHERE name = ?1)",
                values![name],
            )?;
            let rows = transaction.execute("DELETE FROM clients WHERE name = ?1", values![name])?;
            changed(transaction, name, rows)?;
            self.log(transaction, &Deed::on_client("client-removed", name))
        })
    }
}

pub(crate) fn not_found(name: &str) -> Fault {
    StoreError::NotFound {
        kind: Kind::Client,
        name: name.to_owned(),
    }
    .into()
}

pub(crate) fn changed(transaction: Sql<'_>, name: &str, rows: u64) -> Result<(), Fault> {
    if rows == 0 {
        return Err(not_found(name));
    }
    move_epoch(transaction)
}

/// Tells every process that what it knows about clients and rules is out of date.
pub(crate) fn move_epoch(transaction: Sql<'_>) -> Result<(), Fault> {
    transaction.execute("UPDATE meta SET client_epoch = client_epoch + 1", values![])?;
    Ok(())
}

/// A delay as the database keeps it.
pub(crate) fn delay_millis(delay: Duration) -> Result<i64, StoreError> {
    i64::try_from(delay.as_millis()).map_err(|_| StoreError::Invalid {
        what: "a reject delay",
        why: "is too long",
    })
}

pub(crate) fn add(
    transaction: Sql<'_>,
    secrets: &Secrets,
    client: &NewClient,
    rng: &mut impl CryptoRng,
) -> Result<ClientId, Fault> {
    check_name("the name of a client", &client.name)?;
    let network = match client.source {
        ClientSource::Unix => None,
        ClientSource::Network(network) => Some(canonical(network)),
    };
    let secret = match (network, &client.secret) {
        (None, None) => None,
        (None, Some(_)) => {
            return Err(StoreError::Invalid {
                what: "a UNIX listener's client",
                why: "has no use for a secret",
            }
            .into());
        }
        (Some(_), Some(secret)) if !secret.expose().is_empty() => Some(secret),
        (Some(_), _) => {
            return Err(StoreError::Invalid {
                what: "a client of a network",
                why: "needs a shared secret",
            }
            .into());
        }
    };
    let delay = delay_millis(client.reject_delay)?;
    let nas_identifier = client.nas_identifier.as_deref();
    check_nas_identifier(client.source, nas_identifier)?;
    if let Some(network) = network {
        refuse_taken_network(transaction, network, nas_identifier)?;
    }
    let uid = random_uid(rng);
    let place = Place::of(Sealed::ClientSecret, &uid);
    let secret_sealed = secret
        .map(|secret| secrets.seal(transaction, secret.expose(), place, rng))
        .transpose()?;
    let network = network.map(|network| network.to_string());
    let inserted = transaction.one(
        "INSERT INTO clients (uid, name, enabled, network, secret_sealed, message_authenticator, grammar, repeat_grace,
                              reject_delay_ms, created_at, nas_identifier)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id",
        values![
            &uid,
            &client.name,
            network.as_deref(),
            secret_sealed.as_ref(),
            &client.message_authenticator.to_string(),
            client.grammar.map(Grammar::name),
            client.repeat_grace,
            delay,
            time(client.created_at),
            nas_identifier,
        ],
        |row| row.get("id").map(ClientId),
    );
    let id = inserted.map_err(|fault| fault.or_exists(Kind::Client, client.name.as_str()))?;
    move_epoch(transaction)?;
    Ok(id)
}

/// Refuses a network that another client stands on with the same NAS-Identifier, or both with none.
pub(crate) fn refuse_taken_network(
    transaction: Sql<'_>,
    network: IpNet,
    nas_identifier: Option<&str>,
) -> Result<(), Fault> {
    let network = network.to_string();
    let holder: Option<String> = transaction.optional(
        "SELECT name FROM clients WHERE network = ?1 AND coalesce(nas_identifier, '') = ?2",
        values![&network, nas_identifier.unwrap_or_default()],
        |row| row.get("name"),
    )?;
    match holder {
        Some(holder) => {
            let name = match nas_identifier {
                Some(identifier) => format!("{network} with NAS-Identifier {identifier:?} ({holder})"),
                None => format!("{network} ({holder})"),
            };
            let kind = Kind::Network;
            Err(StoreError::Exists { kind, name }.into())
        }
        None => Ok(()),
    }
}

/// Refuses what no request of this source can have.
pub(crate) fn check_nas_identifier(source: ClientSource, identifier: Option<&str>) -> Result<(), StoreError> {
    let Some(identifier) = identifier else {
        return Ok(());
    };
    let why = if source == ClientSource::Unix {
        "means nothing on a UNIX socket"
    } else if !(1..=253).contains(&identifier.len()) {
        "must have 1 to 253 octets"
    } else if identifier.chars().any(char::is_control) {
        "must not contain control characters"
    } else {
        return Ok(());
    };
    let what = "the NAS-Identifier of a client";
    Err(StoreError::Invalid { what, why })
}

/// One spelling per network: host bits cleared, IPv4 networks inside of IPv6 as IPv4, as addresses are.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(six) => six.addr().to_ipv4_mapped().and_then(|four| {
            let prefix = six.prefix_len().checked_sub(96)?;
            Ipv4Net::new(four, prefix).ok()
        }),
        IpNet::V4(_) => None,
    };
    mapped.map_or(network, IpNet::V4).trunc()
}

/// An address as networks are compared with it.
pub(crate) fn canonical_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Visits the clients, or the one of that name.
pub(crate) fn each(
    transaction: Sql<'_>,
    name: Option<&str>,
    visit: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    transaction.each(
        "SELECT id, uid, name, enabled, network, secret_sealed, message_authenticator, grammar, repeat_grace,
                reject_delay_ms, reply_attributes, created_at, old_secret_sealed, old_secret_since, old_secret_until,
                nas_identifier, learning
         FROM clients WHERE CAST(?1 AS TEXT) IS NULL OR name = ?1 ORDER BY name",
        values![name],
        visit,
    )
}

/// The record in `row`, without its secrets.
pub(crate) fn read_record(row: &Row<'_>) -> Result<ClientRecord, Fault> {
    let name: String = row.get("name")?;
    let damaged = |what: &str| StoreError::corrupt(format!("client {name}: {what}"));
    let network: Option<String> = row.get("network")?;
    let source = match network.as_deref().map(IpNet::from_str) {
        None => ClientSource::Unix,
        Some(Ok(network)) => ClientSource::Network(network),
        Some(Err(_)) => return Err(damaged("its network").into()),
    };
    let rule = MessageAuthenticatorRule::parse(&row.get::<String>("message_authenticator")?);
    let message_authenticator = rule.ok_or_else(|| damaged("its rule for Message-Authenticator"))?;
    Ok(ClientRecord {
        id: ClientId(row.get("id")?),
        enabled: row.get("enabled")?,
        source,
        nas_identifier: row.get("nas_identifier")?,
        secret: None,
        old_secret: client_secret::read_old(row)?,
        message_authenticator,
        grammar: stored_grammar(row.get("grammar")?)?,
        repeat_grace: row.get("repeat_grace")?,
        reject_delay: Duration::from_millis(unsigned(
            "reject_delay_ms of a client",
            row.get("reject_delay_ms")?,
        )?),
        reply: reply::read(row)?,
        learning: unsigned("learning of a client", row.get("learning")?)?,
        created_at: unix_time("created_at of a client", row.get("created_at")?)?,
        name,
    })
}
