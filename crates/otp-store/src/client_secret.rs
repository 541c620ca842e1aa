//! The secrets of clients: the present one and, while a client is being moved to it, the one before.

use std::fmt;

use otp_validation::UnixTime;
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    ClientRecord, ClientSource, Kind, MessageAuthenticatorRule, Store, StoreError,
    audit::Deed,
    client::{changed, each, not_found, read_record},
    error::Fault,
    seal::{Place, Sealed},
    sql::{Row, Sql, values},
    store::Secrets,
    value::{Uid, time, unix_time},
};

/// The secret that a RADIUS client and this server share. Its octets are wiped when it is dropped.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<Vec<u8>>);

impl ClientSecret {
    /// Takes the octets of the secret.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, for whoever has to compute with them or was asked to show them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(..)")
    }
}

/// The secret that a client had before its present one.
#[derive(Clone, Debug)]
pub struct OldSecret {
    /// Its octets: there when the record comes from [`Store::client_for`].
    pub secret: Option<ClientSecret>,
    /// Since when the present one holds beside it.
    pub since: UnixTime,
    /// From when on it holds no more.
    pub until: UnixTime,
}

impl OldSecret {
    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: UnixTime) -> bool {
        now < self.until
    }
}

impl Store {
    /// The shared secret of a client, `None` for a UNIX listener.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Unsealable`], or whatever keeps the store from reading.
    pub fn client_secret(&self, name: &str) -> Result<Option<ClientSecret>, StoreError> {
        self.read("reading a client's secret", |transaction| {
            let mut found = None;
            each(transaction, Some(name), |row| {
                found = Some(open_secret(row, self.secrets())?);
                Ok(())
            })?;
            found.ok_or_else(|| not_found(name))
        })
    }

    /// Gives a client another secret; the present one goes on to hold beside it until `until`, or until
    /// [`finish_client_secret`](Self::finish_client_secret).
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`] for an empty secret, for a client without one, while an earlier
    /// rotation is under way, and for a client whose requests need no Message-Authenticator: nothing in them tells the two
    /// secrets apart. Else whatever keeps the store from writing.
    pub fn rotate_client_secret(
        &self,
        name: &str,
        secret: &ClientSecret,
        now: UnixTime,
        until: UnixTime,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.administer("rotating a client's secret", |transaction| {
            let (uid, record, present) = self.secret_to_change(transaction, name, secret)?;
            let under_way = record.old_secret.is_some_and(|old| old.holds(now));
            let why = if under_way {
                Some("is being rotated: finish that first")
            } else if record.message_authenticator.at(now) != MessageAuthenticatorRule::Required {
                Some(
                    "cannot be rotated while its requests need no Message-Authenticator: nothing else tells which secret they were made with",
                )
            } else {
                None
            };
            if let Some(why) = why {
                return Err(refusal(why));
            }
            let old = Place::of(Sealed::OldClientSecret, &uid);
            let old = self.secrets().seal(transaction, present.expose(), old, rng)?;
            let new = Place::of(Sealed::ClientSecret, &uid);
            let new = self.secrets().seal(transaction, secret.expose(), new, rng)?;
            let rows = transaction.execute(
                "UPDATE clients SET secret_sealed = ?2, old_secret_sealed = ?3, old_secret_since = ?4, old_secret_until = ?5
                 WHERE name = ?1",
                values![name, &new, &old, time(now), time(until)],
            )?;
            changed(transaction, name, rows)?;
            let detail = format!("the old one holds until {}", until.0);
            let deed = Deed::on_client("client-secret-rotated", name).with(&detail);
            self.log(transaction, &deed)
        })
    }

    /// Ends the rotation of a client's secret: the old one holds no more, and is wiped.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Invalid`] if there is no old secret, or whatever keeps the store from writing.
    pub fn finish_client_secret(&self, name: &str) -> Result<(), StoreError> {
        self.administer("finishing the rotation of a client's secret", |transaction| {
            let mut found = None;
            each(transaction, Some(name), |row| {
                found = Some(read_record(row)?.old_secret.is_some());
                Ok(())
            })?;
            if !found.ok_or_else(|| not_found(name))? {
                return Err(refusal("is not being rotated"));
            }
            forget_old(transaction, name)?;
            self.log(transaction, &Deed::on_client("client-secret-finished", name))
        })
    }

    /// Gives a client another secret at once: the present one, and one before it, hold no more.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Invalid`] for an empty secret and for a client without one, or whatever keeps
    /// the store from writing.
    pub fn replace_client_secret(
        &self,
        name: &str,
        secret: &ClientSecret,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.administer("replacing a client's secret", |transaction| {
            let (uid, ..) = self.secret_to_change(transaction, name, secret)?;
            let place = Place::of(Sealed::ClientSecret, &uid);
            let sealed = self.secrets().seal(transaction, secret.expose(), place, rng)?;
            transaction.execute(
                "UPDATE clients SET secret_sealed = ?2 WHERE name = ?1",
                values![name, &sealed],
            )?;
            forget_old(transaction, name)?;
            self.log(transaction, &Deed::on_client("client-secret-replaced", name))
        })
    }

    /// The client of this name and its present secret, if `new` can take its place.
    fn secret_to_change(
        &self,
        transaction: Sql<'_>,
        name: &str,
        new: &ClientSecret,
    ) -> Result<(Uid, ClientRecord, ClientSecret), Fault> {
        let mut found = None;
        each(transaction, Some(name), |row| {
            let secret = open_secret(row, self.secrets())?;
            found = Some((row.get("uid")?, read_record(row)?, secret));
            Ok(())
        })?;
        let (uid, record, present) = found.ok_or_else(|| not_found(name))?;
        let present = present.filter(|_| record.source != ClientSource::Unix);
        let Some(present) = present else {
            return Err(refusal("does not exist: a UNIX socket needs none"));
        };
        if new.expose().is_empty() {
            return Err(refusal("must not be empty"));
        }
        Ok((uid, record, present))
    }
}

/// Wipes the old secret of a client; every process is told.
fn forget_old(transaction: Sql<'_>, name: &str) -> Result<(), Fault> {
    let rows = transaction.execute(
        "UPDATE clients SET old_secret_sealed = NULL, old_secret_since = NULL, old_secret_until = NULL WHERE name = ?1",
        values![name],
    )?;
    changed(transaction, name, rows)
}

fn refusal(why: &'static str) -> Fault {
    let what = "the secret of this client";
    StoreError::Invalid { what, why }.into()
}

/// The rotation that is told of in `row`, without the old secret.
pub(crate) fn read_old(row: &Row<'_>) -> Result<Option<OldSecret>, Fault> {
    let (since, until): (Option<i64>, Option<i64>) =
        (row.get("old_secret_since")?, row.get("old_secret_until")?);
    let (Some(since), Some(until)) = (since, until) else {
        return Ok(None);
    };
    Ok(Some(OldSecret {
        secret: None,
        since: unix_time("old_secret_since of a client", since)?,
        until: unix_time("old_secret_until of a client", until)?,
    }))
}

/// `record`, which is that of `row`, with its secrets.
pub(crate) fn open(row: &Row<'_>, secrets: &Secrets, record: ClientRecord) -> Result<ClientRecord, Fault> {
    let secret = open_secret(row, secrets)?;
    let old_secret = match record.old_secret {
        None => None,
        Some(old) => {
            let sealed: Option<Vec<u8>> = row.get("old_secret_sealed")?;
            let uid: Uid = row.get("uid")?;
            let place = Place::of(Sealed::OldClientSecret, &uid);
            let opened = match sealed {
                Some(sealed) => secrets.open(&sealed, place)?,
                None => None,
            };
            let octets = opened.ok_or_else(|| unsealable(&record.name))?;
            Some(OldSecret {
                secret: Some(ClientSecret(octets)),
                ..old
            })
        }
    };
    Ok(ClientRecord {
        secret,
        old_secret,
        ..record
    })
}

/// The secret of the client in `row`: there is one if, and only if, it is a network's.
fn open_secret(row: &Row<'_>, secrets: &Secrets) -> Result<Option<ClientSecret>, Fault> {
    let uid: Uid = row.get("uid")?;
    let network: Option<String> = row.get("network")?;
    let record: Option<Vec<u8>> = row.get("secret_sealed")?;
    let opened = match (network, record) {
        (None, None) => return Ok(None),
        (Some(_), Some(record)) => secrets.open(&record, Place::of(Sealed::ClientSecret, &uid))?,
        _ => None,
    };
    match opened {
        Some(octets) => Ok(Some(ClientSecret(octets))),
        None => Err(unsealable(&row.get::<String>("name")?)),
    }
}

fn unsealable(name: &str) -> Fault {
    StoreError::Unsealable {
        kind: Kind::Client,
        name: name.to_owned(),
    }
    .into()
}
