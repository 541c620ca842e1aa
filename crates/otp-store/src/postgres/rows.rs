//! The statements of the lanes: one for each table, whatever the number of changes.

use std::collections::{BTreeSet, HashMap};

use otp_validation::{Lockout, TokenId, UnixTime, UserId};
use tokio_postgres::{Row, types::ToSql};

use crate::{
    Digests, Link, Record, StoreError,
    audit::Tail,
    commit::Change,
    error::Fault,
    postgres::{
        batch::{Seen, Writes},
        schema::{is_present, newest},
        session::{Purpose, Session},
    },
    value::time,
};

const LOCK_ACCOUNTS: &str =
    "SELECT user_id, version FROM accounts WHERE user_id = ANY(?1) ORDER BY user_id FOR UPDATE";

/// In the order of what is locked: of two groups with the same seeds, one waits for the other.
const LOCK_REPLAY: &str = "SELECT id, next FROM replay
     WHERE id IN (SELECT replay_id FROM tokens WHERE id = ANY(?1)) ORDER BY id FOR UPDATE";

const TOKENS: &str = "SELECT id, user_id, replay_id FROM tokens WHERE id = ANY(?1)";

const MOVE_ACCOUNTS: &str = "UPDATE accounts a
     SET version = c.new, locked_until = coalesce(c.until, a.locked_until),
         acceptances = coalesce(c.acceptances, a.acceptances), accepted_at = coalesce(c.accepted_at, a.accepted_at)
     FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BIGINT[]), CAST(?3 AS BIGINT[]), CAST(?4 AS BIGINT[]), CAST(?5 AS BYTEA[]),
                 CAST(?6 AS BIGINT[])) AS c (user_id, old, new, until, acceptances, accepted_at)
     WHERE a.user_id = c.user_id AND a.version = c.old";

const COUNT_FAILURES: &str = "INSERT INTO lockouts
         (user_id, client_id, otp_failures, password_failures, failed_at, locked_until)
     SELECT * FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BIGINT[]), CAST(?3 AS BIGINT[]), CAST(?4 AS BIGINT[]),
                          CAST(?5 AS BIGINT[]), CAST(?6 AS BIGINT[]))
     ON CONFLICT (user_id, client_id) DO UPDATE
     SET otp_failures = excluded.otp_failures, password_failures = excluded.password_failures,
         failed_at = excluded.failed_at, locked_until = excluded.locked_until";

const FORGIVE: &str = "DELETE FROM lockouts l
     USING unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BIGINT[])) AS c (user_id, client_id)
     WHERE l.user_id = c.user_id AND l.client_id = c.client_id";

/// Spends codes, by comparison and change in one statement.
const SPEND: &str = "UPDATE replay r SET next = c.next
     FROM unnest(CAST(?1 AS BYTEA[]), CAST(?2 AS BIGINT[]), CAST(?3 AS BIGINT[])) AS c (id, seen, next)
     WHERE r.id = c.id AND r.next = c.seen AND r.next < c.next";

const ACTIVATE: &str = "UPDATE tokens SET status = 'active' WHERE id = ANY(?1)";

/// A chain that nobody writes to, locked: nobody else does until the transaction ends. With what every transaction makes
/// sure of: which standbys its commit waits for, and whose tables these are.
pub(crate) const CLAIM_CHAIN: &str =
    "SELECT id, name, number, link, current_setting('synchronous_standby_names') AS waits_for,
            (SELECT s.version FROM schema s) AS schema_version
     FROM audit_chains ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";

/// Others are in all that there are.
pub(crate) const MAKE_CHAIN: &str = "INSERT INTO audit_chains (name, number, link)
     VALUES (decode(replace(gen_random_uuid()::text, '-', ''), 'hex'), 0, decode(repeat('00', 32), 'hex'))
     RETURNING id, name, number, link, current_setting('synchronous_standby_names') AS waits_for,
               (SELECT s.version FROM schema s) AS schema_version";

const APPEND: &str = "INSERT INTO audit (chain, number, at, request, record, link)
     SELECT CAST(?1 AS BIGINT), c.number, c.at, c.request, c.record, c.link
     FROM unnest(CAST(?2 AS BIGINT[]), CAST(?3 AS BIGINT[]), CAST(?4 AS BIGINT[]), CAST(?5 AS TEXT[]),
                 CAST(?6 AS BYTEA[])) AS c (number, at, request, record, link)";

const MOVE_CHAIN: &str =
    "UPDATE audit_chains SET number = ?3, link = ?4, accepted_at = greatest(accepted_at, ?5)
     WHERE id = ?1 AND number = ?2";

/// Whoever appends to the chain, or has not ended yet after appending to it, is waited for.
const AWAIT_CHAIN: &str = "SELECT current_setting('synchronous_standby_names') AS waits_for
     FROM audit_chains WHERE id = ?1 FOR UPDATE";

const LINKED: &str = "SELECT 1 AS found FROM audit WHERE chain = ?1 AND number = ?2 AND link = ?3";

/// Writes what is there once more, so that a commit comes after whatever brought it about.
const CONFIRM: &str = "UPDATE audit_chains SET number = number WHERE id = ?1";

/// Everything that the lanes run.
pub(crate) async fn prepare(session: &Session) -> Result<(), Fault> {
    let statements = [
        LOCK_ACCOUNTS,
        LOCK_REPLAY,
        TOKENS,
        MOVE_ACCOUNTS,
        COUNT_FAILURES,
        FORGIVE,
        SPEND,
        ACTIVATE,
        CLAIM_CHAIN,
        APPEND,
        MOVE_CHAIN,
        AWAIT_CHAIN,
        LINKED,
        CONFIRM,
    ];
    session.prepare(&statements).await
}

/// What a transaction has locked.
pub(crate) struct Locked {
    pub(crate) seen: Seen,
    /// The chain that it appends to.
    pub(crate) tail: Tail,
    /// Which standbys its commit waits for.
    pub(crate) waits_for: String,
}

/// Begins a transaction, and locks the rows that `changes` are about, and a chain of the audit trail.
///
/// Each statement sees what was committed while it waited for its locks, so the accounts come first: when they are
/// locked, everything that belongs to them stands still, but for seeds that other users have too.
pub(crate) async fn lock<'a>(
    session: &Session,
    changes: impl Iterator<Item = &'a Change> + Clone,
) -> Result<Locked, Fault> {
    let users: BTreeSet<i64> = changes.clone().map(|change| change.user.0).collect();
    let users = Vec::from_iter(users);
    let mut tokens = Vec::new();
    for change in changes {
        tokens.extend(change.spends.iter().map(|spend| spend.token.0));
        tokens.extend(change.activates.iter().map(|token| token.0));
    }
    // Sent at once, carried out one after the other.
    let of_users: [&(dyn ToSql + Sync); 1] = [&users];
    let of_tokens: [&(dyn ToSql + Sync); 1] = [&tokens];
    let ((), accounts, replay, tokens, chains) = tokio::try_join!(
        biased;
        session.begin(Purpose::Decide),
        session.query(LOCK_ACCOUNTS, &of_users),
        session.query(LOCK_REPLAY, &of_tokens),
        session.query(TOKENS, &of_tokens),
        session.query(CLAIM_CHAIN, &[]),
    )?;
    let chains = match chains.first() {
        Some(_) => chains,
        None => session.query(MAKE_CHAIN, &[]).await?,
    };
    let chain = chains
        .first()
        .ok_or_else(|| StoreError::corrupt("the audit trail takes no record"))?;
    is_present(chain.try_get("schema_version")?, newest())?;
    let tail = Tail::new(
        chain.try_get("id")?,
        digest(chain.try_get("name")?)?,
        chain.try_get("number")?,
        digest(chain.try_get("link")?)?,
    )?;
    let waits_for = chain.try_get("waits_for")?;
    let mut seen = Seen::default();
    for row in &accounts {
        seen.versions
            .insert(UserId(row.try_get("user_id")?), row.try_get("version")?);
    }
    for row in &replay {
        seen.next.insert(row.try_get("id")?, row.try_get("next")?);
    }
    seen.tokens = tokens
        .iter()
        .map(token)
        .collect::<Result<HashMap<_, _>, Fault>>()?;
    Ok(Locked {
        seen,
        tail,
        waits_for,
    })
}

fn digest<const N: usize>(octets: &[u8]) -> Result<[u8; N], StoreError> {
    octets
        .try_into()
        .map_err(|_| StoreError::corrupt(format!("a digest of {} octets", octets.len())))
}

/// What is appended to a chain of the audit trail, column by column.
#[derive(Debug)]
pub(crate) struct Appended {
    tail: Tail,
    numbers: Vec<i64>,
    at: Vec<i64>,
    requests: Vec<Option<i64>>,
    records: Vec<Box<str>>,
    links: Vec<[u8; 32]>,
}

impl Appended {
    /// Nothing yet.
    pub(crate) fn to(tail: Tail) -> Self {
        Self {
            tail,
            numbers: Vec::new(),
            at: Vec::new(),
            requests: Vec::new(),
            records: Vec::new(),
            links: Vec::new(),
        }
    }

    /// What tells that this was written.
    pub(crate) fn mark(&self) -> Result<Mark, StoreError> {
        let (_, number) = self.tail.numbers()?;
        Ok(Mark {
            chain: self.tail.row,
            number,
            link: self.tail.head.link,
        })
    }

    /// Notes when a code was accepted.
    pub(crate) fn note(&mut self, change: &Change) {
        self.tail.note(change);
    }

    pub(crate) fn add(&mut self, digests: &Digests, record: &Record) -> Result<(), Fault> {
        let place = self.tail.extend(digests, record)?;
        self.numbers.push(place.number);
        self.at.push(time(record.at));
        self.requests.push(record.request.map(u64::cast_signed));
        self.records.push(record.text.clone());
        self.links.push(place.link.0);
        Ok(())
    }
}

fn token(row: &Row) -> Result<(TokenId, (UserId, Vec<u8>)), Fault> {
    let owner = UserId(row.try_get("user_id")?);
    Ok((TokenId(row.try_get("id")?), (owner, row.try_get("replay_id")?)))
}

/// Writes what was planned on the locked rows, all sent at once. That each statement finds what it is about is checked
/// all the same.
pub(crate) async fn write(session: &Session, writes: &Writes, appended: &Appended) -> Result<(), Fault> {
    tokio::try_join!(
        biased;
        append(session, appended),
        move_chain(session, appended),
        move_accounts(session, writes),
        count_failures(session, writes),
        forgive(session, writes),
        spend(session, writes),
        activate(session, writes),
    )?;
    Ok(())
}

fn all_of(what: &str, rows: u64, wanted: usize) -> Result<(), Fault> {
    if usize::try_from(rows) == Ok(wanted) {
        return Ok(());
    }
    Err(StoreError::corrupt(format!("{rows} of {wanted} {what} could be written")).into())
}

async fn append(session: &Session, appended: &Appended) -> Result<(), Fault> {
    let Appended {
        tail,
        numbers,
        at,
        requests,
        records,
        links,
    } = appended;
    let records: Vec<&str> = records.iter().map(|record| &**record).collect();
    let links: Vec<&[u8]> = links.iter().map(|link| link.as_slice()).collect();
    let values: [&(dyn ToSql + Sync); 6] = [&tail.row, numbers, at, requests, &records, &links];
    all_of("records", session.execute(APPEND, &values).await?, numbers.len())
}

async fn move_chain(session: &Session, appended: &Appended) -> Result<(), Fault> {
    let tail = &appended.tail;
    let (before, now) = tail.numbers()?;
    let link = tail.head.link.0.as_slice();
    let accepted_at = tail.accepted_at();
    let values: [&(dyn ToSql + Sync); 5] = [&tail.row, &before, &now, &link, &accepted_at];
    all_of("chains", session.execute(MOVE_CHAIN, &values).await?, 1)
}

async fn move_accounts(session: &Session, writes: &Writes) -> Result<(), Fault> {
    let rows = || writes.accounts.iter();
    let users: Vec<i64> = rows().map(|(user, _)| user.0).collect();
    let old: Vec<i64> = rows().map(|(_, row)| row.old).collect();
    let new: Vec<i64> = rows().map(|(_, row)| row.new).collect();
    let until = rows().map(|(_, row)| row.locked_until.map(|until| time(UnixTime(until))));
    let until: Vec<Option<i64>> = until.collect();
    let acceptances: Vec<Option<&[u8]>> = rows().map(|(_, row)| row.acceptances.as_deref()).collect();
    let accepted_at: Vec<Option<i64>> = rows().map(|(_, row)| row.accepted_at.map(time)).collect();
    let values: [&(dyn ToSql + Sync); 6] = [&users, &old, &new, &until, &acceptances, &accepted_at];
    all_of(
        "accounts",
        session.execute(MOVE_ACCOUNTS, &values).await?,
        users.len(),
    )
}

async fn count_failures(session: &Session, writes: &Writes) -> Result<(), Fault> {
    let none = Lockout::default();
    let rows = || writes.lockouts.iter().filter(|(_, lockout)| **lockout != none);
    let users: Vec<i64> = rows().map(|((user, _), _)| user.0).collect();
    if users.is_empty() {
        return Ok(());
    }
    let clients: Vec<i64> = rows().map(|((_, client), _)| client.0).collect();
    let otp: Vec<i64> = rows().map(|(_, lockout)| lockout.otp_failures.into()).collect();
    let password: Vec<i64> = rows()
        .map(|(_, lockout)| lockout.password_failures.into())
        .collect();
    let failed_at: Vec<i64> = rows()
        .map(|(_, lockout)| time(UnixTime(lockout.failed_at)))
        .collect();
    let until: Vec<i64> = rows()
        .map(|(_, lockout)| time(UnixTime(lockout.locked_until)))
        .collect();
    let values: [&(dyn ToSql + Sync); 6] = [&users, &clients, &otp, &password, &failed_at, &until];
    all_of(
        "lockouts",
        session.execute(COUNT_FAILURES, &values).await?,
        users.len(),
    )
}

async fn forgive(session: &Session, writes: &Writes) -> Result<(), Fault> {
    let none = Lockout::default();
    let rows = || writes.lockouts.iter().filter(|(_, lockout)| **lockout == none);
    let users: Vec<i64> = rows().map(|((user, _), _)| user.0).collect();
    if users.is_empty() {
        return Ok(());
    }
    let clients: Vec<i64> = rows().map(|((_, client), _)| client.0).collect();
    session.execute(FORGIVE, &[&users, &clients]).await.map(drop)
}

async fn spend(session: &Session, writes: &Writes) -> Result<(), Fault> {
    if writes.replay.is_empty() {
        return Ok(());
    }
    let ids: Vec<&[u8]> = writes.replay.keys().map(Vec::as_slice).collect();
    let (seen, next): (Vec<i64>, Vec<i64>) = writes.replay.values().copied().unzip();
    let spent = session.execute(SPEND, &[&ids, &seen, &next]).await?;
    all_of("replay states", spent, ids.len())
}

async fn activate(session: &Session, writes: &Writes) -> Result<(), Fault> {
    if writes.activated.is_empty() {
        return Ok(());
    }
    let tokens: Vec<i64> = writes.activated.iter().map(|token| token.0).collect();
    all_of(
        "tokens",
        session.execute(ACTIVATE, &[&tokens]).await?,
        tokens.len(),
    )
}

/// What a transaction leaves behind that appends to the audit trail: nobody else's has this link in this place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    chain: i64,
    number: i64,
    link: Link,
}

/// What was found of a commit in doubt.
pub(crate) struct Found {
    pub(crate) is_there: bool,
    /// Which standbys a commit waits for.
    pub(crate) waits_for: String,
}

/// Begins a transaction, and looks for what another has left behind, which has ended when this returns.
pub(crate) async fn look_for(session: &Session, mark: &Mark) -> Result<Option<Found>, Fault> {
    let link = mark.link.0.as_slice();
    let of_chain: [&(dyn ToSql + Sync); 1] = [&mark.chain];
    let of_link: [&(dyn ToSql + Sync); 3] = [&mark.chain, &mark.number, &link];
    // The second statement sees what was committed while the first waited.
    let ((), chain, linked) = tokio::try_join!(
        biased;
        session.begin(Purpose::Decide),
        session.query(AWAIT_CHAIN, &of_chain),
        session.query(LINKED, &of_link),
    )?;
    let Some(chain) = chain.first() else {
        return Ok(None);
    };
    Ok(Some(Found {
        is_there: !linked.is_empty(),
        waits_for: chain.try_get("waits_for")?,
    }))
}

/// Writes the end of the chain once more, so that a commit comes after whatever brought it about.
pub(crate) async fn confirm(session: &Session, mark: &Mark) -> Result<(), Fault> {
    all_of("chains", session.execute(CONFIRM, &[&mark.chain]).await?, 1)
}
