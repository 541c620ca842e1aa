//! A change inside of a transaction.

use otp_validation::UserId;

use crate::{
    StoreError,
    commit::{Applied, Change, Spend},
    digest::ReplayId,
    error::Fault,
    lockout,
    sql::{Sql, values},
    value::time,
};

/// Applies `change` as a whole or not at all.
///
/// Looks, and then writes: nobody else writes meanwhile, so there is nothing to be taken back. An error is about the
/// transaction, which must not be committed.
pub(crate) fn apply(transaction: Sql<'_>, change: &Change) -> Result<Applied, Fault> {
    let mut states = Vec::with_capacity(change.spends.len());
    for spend in &change.spends {
        let Some((id, next)) = replay_state(transaction, change.user, spend)? else {
            return Ok(Applied::Conflict);
        };
        // Another token of this change may show the same codes.
        let spent_before = states.iter().rfind(|(other, _)| *other == id);
        let next = spent_before.map_or(next, |(_, earlier): &(ReplayId, &Spend)| earlier.next);
        if next > spend.matched {
            return Ok(Applied::Conflict);
        }
        states.push((id, spend));
    }
    if !move_account(transaction, change)? {
        return Ok(Applied::Conflict);
    }
    for (id, spend) in states {
        // By comparison and change in one statement all the same: of all that race for the code, one changes a row.
        let rows = transaction.execute(
            "UPDATE replay SET next = ?1 WHERE id = ?2 AND next <= ?3",
            values![spend.next, &id, spend.matched],
        )?;
        is_done(rows)?;
    }
    for token in &change.activates {
        let rows = transaction.execute(
            "UPDATE tokens SET status = 'active' WHERE id = ?1 AND user_id = ?2",
            values![token.0, change.user.0],
        )?;
        is_done(rows)?;
    }
    for (client, lockout) in &change.lockouts {
        lockout::set(transaction, change.user, *client, *lockout)?;
    }
    Ok(Applied::Done)
}

/// The replay state of a token of `user`, and the smallest counter or step that may be accepted.
fn replay_state(transaction: Sql<'_>, user: UserId, spend: &Spend) -> Result<Option<(ReplayId, i64)>, Fault> {
    transaction.optional(
        "SELECT t.replay_id, r.next FROM tokens t JOIN replay r ON r.id = t.replay_id
         WHERE t.id = ?1 AND t.user_id = ?2",
        values![spend.token.0, user.0],
        |row| Ok((row.get("replay_id")?, row.get("next")?)),
    )
}

/// The account moves on from `version`; `false` if it is not there (any more).
fn move_account(transaction: Sql<'_>, change: &Change) -> Result<bool, Fault> {
    let (user, from, to) = (change.user.0, change.version.0, change.becomes.0);
    let moved = match &change.verdicts {
        None => transaction.execute(
            "UPDATE accounts SET version = ?3 WHERE user_id = ?1 AND version = ?2",
            values![user, from, to],
        )?,
        Some(verdicts) => transaction.execute(
            "UPDATE accounts SET version = ?3, acceptances = ?4, accepted_at = coalesce(?5, accepted_at)
             WHERE user_id = ?1 AND version = ?2",
            values![user, from, to, &verdicts.octets, verdicts.accepted_at.map(time)],
        )?,
    };
    if moved == 1
        && let Some(until) = change.locked_until
    {
        lockout::set_everywhere(transaction, change.user, until)?;
    }
    Ok(moved == 1)
}

/// What was looked at must still be so.
fn is_done(rows: u64) -> Result<(), Fault> {
    if rows == 1 {
        return Ok(());
    }
    Err(StoreError::corrupt("a row changed in the middle of a transaction").into())
}
