//! The statements of the lanes: one for each table, whatever the number of changes.

use std::collections::{BTreeSet, HashMap};

use otp_validation::{Effect, Lockout, TokenId, UnixTime, UserId};
use tokio_postgres::{Row, types::ToSql};

use crate::{
    Digests, Record, StoreError,
    audit::Tail,
    commit::{Change, channel_number},
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

const ACCEPTANCES: &str = "SELECT a.user_id, a.packet
     FROM acceptances a JOIN unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BYTEA[])) AS asked (user_id, packet)
       ON a.user_id = asked.user_id AND a.packet = asked.packet
     WHERE a.twin_of IS NULL";

const MOVE_ACCOUNTS: &str = "UPDATE accounts a
     SET version = c.new, locked_until = coalesce(c.until, a.locked_until)
     FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BIGINT[]), CAST(?3 AS BIGINT[]), CAST(?4 AS BIGINT[]))
          AS c (user_id, old, new, until)
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

const FORGET: &str = "DELETE FROM acceptances a
     USING unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BYTEA[])) AS c (user_id, packet)
     WHERE a.user_id = c.user_id AND (a.packet = c.packet OR a.twin_of = c.packet)";

const REMEMBER: &str = "INSERT INTO acceptances
         (user_id, packet, client_id, credential, token_id, matched, accepted_at, channel, change)
     SELECT * FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BYTEA[]), CAST(?3 AS BIGINT[]), CAST(?4 AS BYTEA[]),
                          CAST(?5 AS BIGINT[]), CAST(?6 AS BIGINT[]), CAST(?7 AS BIGINT[]), CAST(?8 AS BIGINT[]),
                          CAST(?9 AS BIGINT[]))";

const FORGET_TWINS: &str = "DELETE FROM acceptances a
     USING unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BYTEA[]), CAST(?3 AS BYTEA[])) AS c (user_id, packet, first)
     WHERE a.user_id = c.user_id AND (a.packet = c.packet OR a.twin_of = c.packet)
       AND a.packet <> c.first AND (a.twin_of IS NULL OR a.twin_of <> c.first)";

const COUNT_TWINS: &str = "INSERT INTO acceptances
         (user_id, packet, client_id, credential, token_id, matched, accepted_at, channel, twin_of, change)
     SELECT a.user_id, c.twin, a.client_id, a.credential, a.token_id, a.matched, a.accepted_at, c.channel, a.packet, c.change
     FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BYTEA[]), CAST(?3 AS BYTEA[]), CAST(?4 AS BIGINT[]),
                 CAST(?5 AS BIGINT[])) AS c (user_id, first, twin, channel, change)
     JOIN acceptances a ON a.user_id = c.user_id AND a.packet = c.first AND a.twin_of IS NULL";

const ANY_ACCEPTANCE: &str =
    "SELECT 1 AS found FROM acceptances WHERE user_id = ANY(?1) AND change = ANY(?2) LIMIT 1";

const PRUNE: &str = "DELETE FROM acceptances WHERE accepted_at < ?1";

const CONFIRM: &str = "UPDATE accounts SET version = version WHERE user_id = ANY(?1)";

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

const MOVE_CHAIN: &str = "UPDATE audit_chains SET number = ?3, link = ?4 WHERE id = ?1 AND number = ?2";

/// Everything that the lanes run.
pub(crate) async fn prepare(session: &Session) -> Result<(), Fault> {
    let statements = [
        LOCK_ACCOUNTS,
        LOCK_REPLAY,
        TOKENS,
        ACCEPTANCES,
        MOVE_ACCOUNTS,
        COUNT_FAILURES,
        FORGIVE,
        SPEND,
        ACTIVATE,
        FORGET,
        REMEMBER,
        FORGET_TWINS,
        COUNT_TWINS,
        ANY_ACCEPTANCE,
        CONFIRM,
        PRUNE,
        CLAIM_CHAIN,
        APPEND,
        MOVE_CHAIN,
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
    let (mut tokens, mut asked_users, mut asked_packets) = (Vec::new(), Vec::new(), Vec::<&[u8]>::new());
    for change in changes {
        for effect in &change.effects {
            match effect {
                Effect::Consume { token, .. } | Effect::Activate { token } => tokens.push(token.0),
                Effect::Twin { of, .. } => {
                    asked_users.push(change.user.0);
                    asked_packets.push(&of.0);
                }
                _ => {}
            }
        }
    }
    // Sent at once, carried out one after the other.
    let of_users: [&(dyn ToSql + Sync); 1] = [&users];
    let of_tokens: [&(dyn ToSql + Sync); 1] = [&tokens];
    let of_twins: [&(dyn ToSql + Sync); 2] = [&asked_users, &asked_packets];
    let ((), accounts, replay, tokens, acceptances, chains) = tokio::try_join!(
        biased;
        session.begin(Purpose::Decide),
        session.query(LOCK_ACCOUNTS, &of_users),
        session.query(LOCK_REPLAY, &of_tokens),
        session.query(TOKENS, &of_tokens),
        session.query(ACCEPTANCES, &of_twins),
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
    for row in &acceptances {
        let packet = digest(row.try_get("packet")?)?;
        seen.acceptances.insert((UserId(row.try_get("user_id")?), packet));
    }
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
        forget(session, writes),
        remember(session, writes),
        count_twins(session, writes),
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
    let values: [&(dyn ToSql + Sync); 4] = [&tail.row, &before, &now, &link];
    all_of("chains", session.execute(MOVE_CHAIN, &values).await?, 1)
}

async fn move_accounts(session: &Session, writes: &Writes) -> Result<(), Fault> {
    let rows = || writes.accounts.iter();
    let users: Vec<i64> = rows().map(|(user, _)| user.0).collect();
    let old: Vec<i64> = rows().map(|(_, row)| row.old).collect();
    let new: Vec<i64> = rows().map(|(_, row)| row.new).collect();
    let until = rows().map(|(_, row)| row.locked_until.map(|until| time(UnixTime(until))));
    let until: Vec<Option<i64>> = until.collect();
    let values: [&(dyn ToSql + Sync); 4] = [&users, &old, &new, &until];
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

/// The same packet, long ago, with a code that came round again: its verdict is the new one now.
async fn forget(session: &Session, writes: &Writes) -> Result<(), Fault> {
    if writes.acceptances.is_empty() {
        return Ok(());
    }
    let rows = || writes.acceptances.iter();
    let users: Vec<i64> = rows().map(|row| row.user.0).collect();
    let packets: Vec<&[u8]> = rows().map(|row| row.acceptance.packet.0.as_slice()).collect();
    session.execute(FORGET, &[&users, &packets]).await.map(drop)
}

async fn remember(session: &Session, writes: &Writes) -> Result<(), Fault> {
    if writes.acceptances.is_empty() {
        return Ok(());
    }
    let rows = || writes.acceptances.iter();
    let users: Vec<i64> = rows().map(|row| row.user.0).collect();
    let packets: Vec<&[u8]> = rows().map(|row| row.acceptance.packet.0.as_slice()).collect();
    let clients: Vec<i64> = rows().map(|row| row.acceptance.client.0).collect();
    let credentials: Vec<&[u8]> = rows().map(|row| row.acceptance.credential.0.as_slice()).collect();
    let tokens: Vec<i64> = rows().map(|row| row.acceptance.token.0).collect();
    let matched: Vec<i64> = rows().map(|row| row.matched).collect();
    let at: Vec<i64> = rows().map(|row| time(row.acceptance.at)).collect();
    let channels: Vec<Option<i64>> = rows().map(|row| channel_number(row.acceptance.channel)).collect();
    let changes: Vec<i64> = rows().map(|row| row.change).collect();
    let values: [&(dyn ToSql + Sync); 9] = [
        &users,
        &packets,
        &clients,
        &credentials,
        &tokens,
        &matched,
        &at,
        &channels,
        &changes,
    ];
    all_of(
        "acceptances",
        session.execute(REMEMBER, &values).await?,
        users.len(),
    )
}

async fn count_twins(session: &Session, writes: &Writes) -> Result<(), Fault> {
    if writes.twins.is_empty() {
        return Ok(());
    }
    let rows = || writes.twins.iter();
    let users: Vec<i64> = rows().map(|row| row.user.0).collect();
    let first: Vec<&[u8]> = rows().map(|row| row.of.as_slice()).collect();
    let twins: Vec<&[u8]> = rows().map(|row| row.twin.packet.0.as_slice()).collect();
    let channels: Vec<Option<i64>> = rows().map(|row| channel_number(row.twin.channel)).collect();
    let changes: Vec<i64> = rows().map(|row| row.change).collect();
    session.execute(FORGET_TWINS, &[&users, &twins, &first]).await?;
    let values: [&(dyn ToSql + Sync); 5] = [&users, &first, &twins, &channels, &changes];
    all_of("twins", session.execute(COUNT_TWINS, &values).await?, users.len())
}

/// Whether one of the changes left an acceptance.
pub(crate) async fn any_acceptance(session: &Session, users: &[i64], changes: &[i64]) -> Result<bool, Fault> {
    Ok(!session
        .query(ANY_ACCEPTANCE, &[&users, &changes])
        .await?
        .is_empty())
}

/// Forgets acceptances of before `end`.
pub(crate) async fn prune(session: &Session, end: UnixTime) -> Result<(), Fault> {
    session.execute(PRUNE, &[&time(end)]).await.map(drop)
}

/// Writes what is there once more, so that a commit comes after whatever brought it about.
pub(crate) async fn confirm(session: &Session, users: &[i64]) -> Result<(), Fault> {
    session.execute(CONFIRM, &[&users]).await.map(drop)
}
