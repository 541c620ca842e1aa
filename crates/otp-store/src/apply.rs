//! Effects inside of a transaction, one statement each.

use otp_validation::{Acceptance, Effect, PacketDigest, TokenId, Twin, UserId};

use crate::{
    StoreError,
    commit::{Applied, Change, channel_number, spent, spent_by},
    error::Fault,
    lockout,
    sql::{Sql, values},
    value::time,
};

/// Applies `change` as a whole or not at all.
///
/// The inner error is about this change alone; the outer one about the transaction, which must not be committed.
pub(crate) fn apply(transaction: Sql<'_>, change: &Change) -> Result<Result<Applied, StoreError>, Fault> {
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
        Effect::Remember(acceptance) => remember(transaction, change, acceptance)?,
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
fn remember(transaction: Sql<'_>, change: &Change, acceptance: &Acceptance) -> Result<u64, Fault> {
    let matched = spent_by(&change.effects, acceptance)?;
    // The same packet, long ago, with a code that came round again: its verdict is this one now.
    transaction.execute(
        "DELETE FROM acceptances WHERE user_id = ?1 AND (packet = ?2 OR twin_of = ?2)",
        values![change.user.0, &acceptance.packet.0],
    )?;
    transaction.execute(
        "INSERT INTO acceptances
             (packet, user_id, client_id, credential, token_id, matched, accepted_at, channel, twin_of)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)",
        values![
            &acceptance.packet.0,
            change.user.0,
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
    transaction.execute(
        "INSERT INTO acceptances
             (packet, user_id, client_id, credential, token_id, matched, accepted_at, channel, twin_of)
         SELECT ?1, user_id, client_id, credential, token_id, matched, accepted_at, ?2, packet
         FROM acceptances WHERE packet = ?3 AND user_id = ?4 AND twin_of IS NULL",
        values![&twin.packet.0, channel_number(twin.channel), &of.0, user.0],
    )
}
