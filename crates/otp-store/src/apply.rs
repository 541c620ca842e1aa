//! Effects inside of a transaction, one statement each.

use otp_validation::{Acceptance, Effect, PacketDigest, TokenId, Twin, UserId};

use crate::{
    StoreError,
    commit::{Applied, Change, channel_number, spent, spent_by},
    digest::ReplayId,
    error::Fault,
    lockout,
    sql::{Sql, values},
    value::time,
};

/// Applies `change` as a whole or not at all.
///
/// The inner error is about this change alone; the outer one about the transaction, which must not be committed.
pub(crate) fn apply(transaction: Sql<'_>, change: &Change) -> Result<Result<Applied, StoreError>, Fault> {
    match Plain::of(&change.effects) {
        Ok(Some(plain)) => plain.apply(transaction, change).map(Ok),
        Ok(None) => apply_or_take_back(transaction, change),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// Effects of nearly all decisions: one code is spent and its verdict kept, or failures are counted.
///
/// Whatever can be wrong with them is known before anything is written, so that there is nothing to be taken back.
struct Plain<'a> {
    spent: Option<Spent>,
    remember: Option<(&'a Acceptance, i64)>,
    others: Vec<&'a Effect>,
}

struct Spent {
    token: TokenId,
    matched: i64,
    next: i64,
}

impl<'a> Plain<'a> {
    /// `None` if they are not plain.
    fn of(effects: &'a [Effect]) -> Result<Option<Self>, StoreError> {
        let mut plain = Self {
            spent: None,
            remember: None,
            others: Vec::new(),
        };
        for effect in effects {
            match effect {
                Effect::Consume { token, matched, next } if plain.spent.is_none() => {
                    let (matched, next) = spent(*matched, *next)?;
                    plain.spent = Some(Spent {
                        token: *token,
                        matched,
                        next,
                    });
                }
                Effect::Remember(acceptance) if plain.remember.is_none() => {
                    plain.remember = Some((acceptance, spent_by(effects, acceptance)?));
                }
                Effect::SetLockout { .. } => plain.others.push(effect),
                _ => return Ok(None),
            }
        }
        Ok(Some(plain))
    }

    /// Looks, and then writes: nobody else writes meanwhile.
    fn apply(&self, transaction: Sql<'_>, change: &Change) -> Result<Applied, Fault> {
        let user = change.user;
        let mut replay = None;
        if let Some(spent) = &self.spent {
            replay = transaction.optional(
                "SELECT t.replay_id, r.next FROM tokens t JOIN replay r ON r.id = t.replay_id
                 WHERE t.id = ?1 AND t.user_id = ?2",
                values![spent.token.0, user.0],
                |row| Ok((row.get::<ReplayId>("replay_id")?, row.get::<i64>("next")?)),
            )?;
            if replay.is_none_or(|(_, next)| next > spent.matched) {
                return Ok(Applied::Conflict);
            }
        }
        if !move_version(transaction, change)? {
            return Ok(Applied::Conflict);
        }
        if let (Some(spent), Some((id, _))) = (&self.spent, replay) {
            // By comparison and change in one statement all the same: of all that race for the code, one changes a row.
            let rows = transaction.execute(
                "UPDATE replay SET next = ?1 WHERE id = ?2 AND next <= ?3",
                values![spent.next, &id, spent.matched],
            )?;
            is_done(rows)?;
        }
        for effect in &self.others {
            if apply_effect(transaction, change, effect)? == Applied::Conflict {
                is_done(0)?;
            }
        }
        if let Some((acceptance, matched)) = self.remember {
            is_done(remember(transaction, user, acceptance, matched)?)?;
        }
        Ok(Applied::Done)
    }
}

/// What was looked at must still be so.
fn is_done(rows: u64) -> Result<(), Fault> {
    if rows == 1 {
        return Ok(());
    }
    Err(StoreError::corrupt("a row changed in the middle of a transaction").into())
}

/// Applies effects one by one; if one of them cannot be, the others are taken back.
fn apply_or_take_back(transaction: Sql<'_>, change: &Change) -> Result<Result<Applied, StoreError>, Fault> {
    transaction.execute("SAVEPOINT one_change", values![])?;
    let applied = apply_effects(transaction, change);
    if matches!(applied, Ok(Applied::Done)) {
        transaction.execute("RELEASE SAVEPOINT one_change", values![])?;
        return Ok(Ok(Applied::Done));
    }
    match applied {
        Err(fault) if !fault.is_refusal() => return Err(fault),
        _ => {}
    }
    transaction.execute("ROLLBACK TO SAVEPOINT one_change", values![])?;
    transaction.execute("RELEASE SAVEPOINT one_change", values![])?;
    Ok(applied.map_err(|fault| fault.during("applying effects")))
}

fn apply_effects(transaction: Sql<'_>, change: &Change) -> Result<Applied, Fault> {
    if !move_version(transaction, change)? {
        return Ok(Applied::Conflict);
    }
    for effect in &change.effects {
        if apply_effect(transaction, change, effect)? == Applied::Conflict {
            return Ok(Applied::Conflict);
        }
    }
    Ok(Applied::Done)
}

/// The account moves on from `version`; `false` if it is not there (any more).
fn move_version(transaction: Sql<'_>, change: &Change) -> Result<bool, Fault> {
    let moved = transaction.execute(
        "UPDATE accounts SET version = ?3 WHERE user_id = ?1 AND version = ?2",
        values![change.user.0, change.version.0, change.becomes.0],
    )?;
    Ok(moved == 1)
}

fn apply_effect(transaction: Sql<'_>, change: &Change, effect: &Effect) -> Result<Applied, Fault> {
    let rows = match effect {
        Effect::Consume { token, matched, next } => {
            consume(transaction, change.user, *token, *matched, *next)?
        }
        Effect::Activate { token } => activate(transaction, change.user, *token)?,
        Effect::SetLockout {
            client,
            lockout,
            locked_until,
        } => lockout::set(transaction, change.user, *client, *lockout, *locked_until)?,
        Effect::Remember(acceptance) => {
            let matched = spent_by(&change.effects, acceptance)?;
            remember(transaction, change.user, acceptance, matched)?
        }
        Effect::Twin { of, twin } => self::twin(transaction, change.user, *of, twin)?,
        other => return Err(StoreError::UnknownEffect(format!("{other:?}")).into()),
    };
    Ok(if rows == 1 {
        Applied::Done
    } else {
        Applied::Conflict
    })
}

/// Spends a code, by comparison and change in one statement: of all that race for the code, one changes a row.
fn consume(
    transaction: Sql<'_>,
    user: UserId,
    token: TokenId,
    matched: u64,
    next: u64,
) -> Result<u64, Fault> {
    let (matched, next) = spent(matched, next)?;
    transaction.execute(
        "UPDATE replay SET next = ?1
         WHERE id = (SELECT replay_id FROM tokens WHERE id = ?2 AND user_id = ?3) AND next <= ?4",
        values![next, token.0, user.0, matched],
    )
}

fn activate(transaction: Sql<'_>, user: UserId, token: TokenId) -> Result<u64, Fault> {
    transaction.execute(
        "UPDATE tokens SET status = 'active' WHERE id = ?1 AND user_id = ?2",
        values![token.0, user.0],
    )
}

/// Keeps the verdict.
fn remember(transaction: Sql<'_>, user: UserId, acceptance: &Acceptance, matched: i64) -> Result<u64, Fault> {
    if let Sql::Sqlite(_) = transaction {
        match insert(transaction, user, acceptance, matched) {
            // The same packet is there: only this statement was without effect.
            Err(fault) if fault.is_constraint() => {}
            other => return other,
        }
    }
    // The same packet, long ago, with a code that came round again: its verdict is this one now.
    transaction.execute(
        "DELETE FROM acceptances WHERE user_id = ?1 AND (packet = ?2 OR twin_of = ?2)",
        values![user.0, &acceptance.packet.0],
    )?;
    insert(transaction, user, acceptance, matched)
}

fn insert(transaction: Sql<'_>, user: UserId, acceptance: &Acceptance, matched: i64) -> Result<u64, Fault> {
    transaction.execute(
        "INSERT INTO acceptances
             (packet, user_id, client_id, credential, token_id, matched, accepted_at, channel, twin_of)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)",
        values![
            &acceptance.packet.0,
            user.0,
            acceptance.client.0,
            &acceptance.credential.0,
            acceptance.token.0,
            matched,
            time(acceptance.at),
            channel_number(acceptance.channel),
        ],
    )
}

/// Counts a twin. It is no acceptance of its own: what it repeats must still be there.
fn twin(transaction: Sql<'_>, user: UserId, of: PacketDigest, twin: &Twin) -> Result<u64, Fault> {
    // The same packet, long ago: what it had is not its verdict any more.
    transaction.execute(
        "DELETE FROM acceptances
         WHERE user_id = ?1 AND (packet = ?2 OR twin_of = ?2) AND packet <> ?3 AND (twin_of IS NULL OR twin_of <> ?3)",
        values![user.0, &twin.packet.0, &of.0],
    )?;
    transaction.execute(
        "INSERT INTO acceptances
             (packet, user_id, client_id, credential, token_id, matched, accepted_at, channel, twin_of)
         SELECT ?1, user_id, client_id, credential, token_id, matched, accepted_at, ?2, packet
         FROM acceptances WHERE packet = ?3 AND user_id = ?4 AND twin_of IS NULL
           AND NOT EXISTS (SELECT 1 FROM acceptances WHERE user_id = ?4 AND packet = ?1)",
        values![&twin.packet.0, channel_number(twin.channel), &of.0, user.0],
    )
}
