//! What has come from clients, for administrators: counted by daemons, added up here. Nothing is decided by it, but whether a client is asked
//! questions whose grammar is [`Auto`](otp_validation::Grammar::Auto).

use std::collections::BTreeMap;

use otp_validation::{ClientId, UnixTime};

use crate::{
    Store, StoreError,
    error::Fault,
    sql::{Row, Sql, values},
    value::{exact, time, unix_time, unsigned},
};

/// How often something has come, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// When last.
    pub last: Option<UnixTime>,
}

/// What has come from one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientUsage {
    /// Authentic Access-Requests, with those that came again.
    pub requests: Seen,
    /// When the present secret last proved a Message-Authenticator.
    pub new_secret_at: Option<UnixTime>,
    /// Packets that the old secret proved.
    pub old_secret: Seen,
    /// Requests that were decided and that anybody on the way could have forged: without Message-Authenticator, not over TLS.
    pub unprotected: Seen,
    /// Packets of an exempted client that were discarded because they had a Proxy-State and no Message-Authenticator, as the
    /// forgery of answers needs it (CVE-2024-3596).
    pub proxy_state: Seen,
    /// Packets that were discarded because a Message-Authenticator is required of them.
    pub discarded: Seen,
    /// Questions that rested on a right password.
    pub asked: u64,
    /// Requests that answered a question, whatever that rested on and whatever the answer was.
    pub answered: Seen,
}

/// What a daemon adds to the figures of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// Whose.
    pub client: ClientId,
    /// From when on it has counted, which is told where nobody has before.
    pub since: UnixTime,
    /// The [`learning`](crate::ClientRecord::learning) of the client that its questions and answers were counted in; those of an earlier
    /// one are dropped.
    pub learning: u64,
    /// What it has counted since it reported last; times as they are.
    pub usage: ClientUsage,
}

impl Store {
    /// Adds up what daemons have counted. Reports about clients that are gone are dropped.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from writing; nothing is added then.
    pub fn report_client_usage(&self, reports: &[UsageReport]) -> Result<(), StoreError> {
        if reports.is_empty() {
            return Ok(());
        }
        self.administer("counting what came from clients", |transaction| {
            reports.iter().try_for_each(|report| add(transaction, report))
        })
    }

    /// What has come from each client, and since when that is counted; of a client from which nothing came there is nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn client_usage(&self) -> Result<BTreeMap<ClientId, UsageReport>, StoreError> {
        self.read("reading what came from clients", |transaction| {
            let mut found = BTreeMap::new();
            transaction.each(SELECT, values![], |row| {
                let report = read(row)?;
                found.insert(report.client, report);
                Ok(())
            })?;
            Ok(found)
        })
    }
}

/// `max()` has two names.
const ADD: &str = "INSERT INTO client_usage (client_id, since, requests, last_at, new_secret_at, old_secret, old_secret_at,
        unprotected, unprotected_at, proxy_state, proxy_state_at, discarded, discarded_at, asked, answered,
        answered_at)
    SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, CASE WHEN learning = ?14 THEN CAST(?15 AS BIGINT) ELSE 0 END,
        CASE WHEN learning = ?14 THEN CAST(?16 AS BIGINT) ELSE 0 END, CASE WHEN learning = ?14 THEN CAST(?17 AS BIGINT) ELSE 0 END
    FROM clients WHERE id = ?1
    ON CONFLICT (client_id) DO UPDATE SET
        since = CASE WHEN excluded.since < client_usage.since THEN excluded.since ELSE client_usage.since END,
        requests = client_usage.requests + excluded.requests,
        last_at = CASE WHEN excluded.last_at > client_usage.last_at THEN excluded.last_at ELSE client_usage.last_at END,
        new_secret_at = CASE WHEN excluded.new_secret_at > client_usage.new_secret_at
            THEN excluded.new_secret_at ELSE client_usage.new_secret_at END,
        old_secret = client_usage.old_secret + excluded.old_secret,
        old_secret_at = CASE WHEN excluded.old_secret_at > client_usage.old_secret_at
            THEN excluded.old_secret_at ELSE client_usage.old_secret_at END,
        unprotected = client_usage.unprotected + excluded.unprotected,
        unprotected_at = CASE WHEN excluded.unprotected_at > client_usage.unprotected_at
            THEN excluded.unprotected_at ELSE client_usage.unprotected_at END,
        proxy_state = client_usage.proxy_state + excluded.proxy_state,
        proxy_state_at = CASE WHEN excluded.proxy_state_at > client_usage.proxy_state_at
            THEN excluded.proxy_state_at ELSE client_usage.proxy_state_at END,
        discarded = client_usage.discarded + excluded.discarded,
        discarded_at = CASE WHEN excluded.discarded_at > client_usage.discarded_at
            THEN excluded.discarded_at ELSE client_usage.discarded_at END,
        asked = client_usage.asked + excluded.asked,
        answered = client_usage.answered + excluded.answered,
        answered_at = CASE WHEN excluded.answered_at > client_usage.answered_at
            THEN excluded.answered_at ELSE client_usage.answered_at END";

const SELECT: &str =
    "SELECT client_id, since, requests, last_at, new_secret_at, old_secret, old_secret_at, unprotected,
        unprotected_at, proxy_state, proxy_state_at, discarded, discarded_at, asked, answered, answered_at, learning
    FROM client_usage JOIN clients ON id = client_id";

fn add(transaction: Sql<'_>, report: &UsageReport) -> Result<(), Fault> {
    let usage = &report.usage;
    let count = |seen: Seen| exact("what came from a client", seen.count);
    let last = |at: Option<UnixTime>| at.map_or(0, time);
    transaction.execute(
        ADD,
        values![
            report.client.0,
            time(report.since),
            count(usage.requests)?,
            last(usage.requests.last),
            last(usage.new_secret_at),
            count(usage.old_secret)?,
            last(usage.old_secret.last),
            count(usage.unprotected)?,
            last(usage.unprotected.last),
            count(usage.proxy_state)?,
            last(usage.proxy_state.last),
            count(usage.discarded)?,
            last(usage.discarded.last),
            exact("which time a client is learned about", report.learning)?,
            exact("what a client was asked", usage.asked)?,
            count(usage.answered)?,
            last(usage.answered.last),
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<UsageReport, Fault> {
    let time = |column: &str| -> Result<UnixTime, Fault> {
        Ok(unix_time("a time of what came from a client", row.get(column)?)?)
    };
    let moment =
        |column: &str| -> Result<Option<UnixTime>, Fault> { Ok(Some(time(column)?).filter(|at| at.0 > 0)) };
    let seen = |count: &str, last: &str| -> Result<Seen, Fault> {
        Ok(Seen {
            count: unsigned("a number of what came from a client", row.get(count)?)?,
            last: moment(last)?,
        })
    };
    Ok(UsageReport {
        client: ClientId(row.get("client_id")?),
        since: time("since")?,
        learning: unsigned("learning of a client", row.get("learning")?)?,
        usage: ClientUsage {
            requests: seen("requests", "last_at")?,
            new_secret_at: moment("new_secret_at")?,
            old_secret: seen("old_secret", "old_secret_at")?,
            unprotected: seen("unprotected", "unprotected_at")?,
            proxy_state: seen("proxy_state", "proxy_state_at")?,
            discarded: seen("discarded", "discarded_at")?,
            asked: unsigned("what a client was asked", row.get("asked")?)?,
            answered: seen("answered", "answered_at")?,
        },
    })
}
