//! Effects become durable: together or not at all, on the version that they were decided on.

use otp_validation::{
    Acceptance, AccountVersion, Channel, Decision, Effect, Lockout, PacketDigest, Reason, TokenId, Twin,
    UserId, Verdict,
};
use rusqlite::{Connection, named_params};

use crate::{
    StoreError,
    error::Fault,
    value::{exact, time},
};

/// The right to send an Access-Accept: it exists only after the effects of the acceptance are on disk.
///
/// Nothing but a commit makes one, and there are never two of one commit.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the code is spent; the user waits for the answer"]
pub struct Accept {
    token: TokenId,
}

impl Accept {
    /// The caller has seen the effects committed.
    fn after_commit(token: TokenId) -> Self {
        Self { token }
    }

    /// The token whose code was accepted.
    pub fn token(&self) -> TokenId {
        self.token
    }
}

/// What became of a decision.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a conflict is to be decided again"]
pub enum Commit {
    /// The acceptance is durable.
    Accepted(Accept),
    /// The effects, if there were any, are durable; there is no right to accept.
    Recorded,
    /// The account has changed since the snapshot, nothing was done: decide again on a fresh one.
    Conflict,
}

impl Commit {
    /// What an acceptance by `token`, or a rejection, has become now that its effects are durable.
    pub(crate) fn durable(accepted: Option<TokenId>) -> Self {
        accepted.map_or(Self::Recorded, |token| {
            Self::Accepted(Accept::after_commit(token))
        })
    }
}

/// The token that a decision accepts; an error if the acceptance neither spends a code nor repeats one.
pub(crate) fn accepted_token(decision: &Decision) -> Result<Option<TokenId>, StoreError> {
    if decision.verdict == Verdict::Reject {
        return Ok(None);
    }
    let token = decision.token.ok_or(StoreError::Unproven)?;
    let proves = |effect: &Effect| match effect {
        Effect::Consume { token: spent, .. } => *spent == token,
        Effect::Twin { .. } => true,
        _ => false,
    };
    let repeats = decision.reason == Reason::SamePacket && decision.effects.is_empty();
    if repeats || decision.effects.iter().any(proves) {
        Ok(Some(token))
    } else {
        Err(StoreError::Unproven)
    }
}

/// Effects on one account.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) user: UserId,
    pub(crate) version: AccountVersion,
    pub(crate) effects: Vec<Effect>,
}

/// Whether the effects are in the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    Conflict,
}

/// Applies `change` as a whole or not at all.
///
/// The inner error is about this change alone; the outer one about the transaction, which must not be committed.
pub(crate) fn apply(transaction: &Connection, change: &Change) -> Result<Result<Applied, StoreError>, Fault> {
    run(transaction, "SAVEPOINT one_change")?;
    let applied = apply_effects(transaction, change);
    if matches!(applied, Ok(Applied::Done)) {
        run(transaction, "RELEASE one_change")?;
        return Ok(Ok(Applied::Done));
    }
    match applied {
        Err(fault) if !fault.is_refusal() => return Err(fault),
        _ => {}
    }
    run(transaction, "ROLLBACK TO one_change")?;
    run(transaction, "RELEASE one_change")?;
    Ok(applied.map_err(|fault| fault.during("applying effects")))
}

fn run(transaction: &Connection, statement: &str) -> Result<(), Fault> {
    transaction.prepare_cached(statement)?.execute([])?;
    Ok(())
}

fn apply_effects(transaction: &Connection, change: &Change) -> Result<Applied, Fault> {
    if !move_version(transaction, change.user, change.version)? {
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
fn move_version(transaction: &Connection, user: UserId, version: AccountVersion) -> Result<bool, Fault> {
    let mut statement = transaction.prepare_cached(
        "UPDATE accounts SET version = version + 1 WHERE user_id = :user AND version = :version",
    )?;
    Ok(statement.execute(named_params! { ":user": user.0, ":version": version.0 })? == 1)
}

/// The account moves on from wherever it is, for administrators.
pub(crate) fn touch(transaction: &Connection, user: UserId) -> Result<(), Fault> {
    let mut statement =
        transaction.prepare_cached("UPDATE accounts SET version = version + 1 WHERE user_id = :user")?;
    statement.execute(named_params! { ":user": user.0 })?;
    Ok(())
}

fn apply_effect(transaction: &Connection, change: &Change, effect: &Effect) -> Result<Applied, Fault> {
    let rows = match effect {
        Effect::Consume { token, matched, next } => {
            consume(transaction, change.user, *token, *matched, *next)?
        }
        Effect::Activate { token } => activate(transaction, change.user, *token)?,
        Effect::SetLockout(lockout) => set_lockout(transaction, change.user, *lockout)?,
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
    transaction: &Connection,
    user: UserId,
    token: TokenId,
    matched: u64,
    next: u64,
) -> Result<usize, Fault> {
    if next <= matched {
        return Err(StoreError::Unproven.into());
    }
    let (matched, next) = (
        exact("counter or step", matched)?,
        exact("counter or step", next)?,
    );
    let mut statement = transaction.prepare_cached(
        "UPDATE replay SET next = :next
         WHERE id = (SELECT replay_id FROM tokens WHERE id = :token AND user_id = :user) AND next <= :matched",
    )?;
    let values = named_params! { ":next": next, ":token": token.0, ":user": user.0, ":matched": matched };
    Ok(statement.execute(values)?)
}

fn activate(transaction: &Connection, user: UserId, token: TokenId) -> Result<usize, Fault> {
    let mut statement = transaction
        .prepare_cached("UPDATE tokens SET status = 'active' WHERE id = :token AND user_id = :user")?;
    Ok(statement.execute(named_params! { ":token": token.0, ":user": user.0 })?)
}

fn set_lockout(transaction: &Connection, user: UserId, lockout: Lockout) -> Result<usize, Fault> {
    let mut statement = transaction.prepare_cached(
        "UPDATE accounts SET otp_failures = :otp, password_failures = :password, locked_until = :until
         WHERE user_id = :user",
    )?;
    Ok(statement.execute(named_params! {
        ":otp": lockout.otp_failures,
        ":password": lockout.password_failures,
        ":until": time(otp_validation::UnixTime(lockout.locked_until)),
        ":user": user.0,
    })?)
}

/// Keeps the verdict. It is kept only for a code that is spent by the same change.
fn remember(transaction: &Connection, change: &Change, acceptance: &Acceptance) -> Result<usize, Fault> {
    let matched = change.effects.iter().find_map(|effect| match effect {
        Effect::Consume { token, matched, .. } if *token == acceptance.token => Some(*matched),
        _ => None,
    });
    let matched = exact("counter or step", matched.ok_or(StoreError::Unproven)?)?;
    // The same packet, long ago, with a code that came round again: its verdict is this one now.
    let mut forget = transaction.prepare_cached(
        "DELETE FROM acceptances WHERE user_id = :user AND (packet = :packet OR twin_of = :packet)",
    )?;
    forget.execute(named_params! { ":user": change.user.0, ":packet": acceptance.packet.0 })?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO acceptances
             (packet, user_id, client_id, credential, token_id, matched, accepted_at, channel, twin_of)
         VALUES (:packet, :user, :client, :credential, :token, :matched, :at, :channel, NULL)",
    )?;
    Ok(statement.execute(named_params! {
        ":packet": acceptance.packet.0,
        ":user": change.user.0,
        ":client": acceptance.client.0,
        ":credential": acceptance.credential.0,
        ":token": acceptance.token.0,
        ":matched": matched,
        ":at": time(acceptance.at),
        ":channel": channel_number(acceptance.channel),
    })?)
}

/// Counts a twin. It is no acceptance of its own: what it repeats must still be there.
fn twin(transaction: &Connection, user: UserId, of: PacketDigest, twin: &Twin) -> Result<usize, Fault> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO acceptances
             (packet, user_id, client_id, credential, token_id, matched, accepted_at, channel, twin_of)
         SELECT :packet, user_id, client_id, credential, token_id, matched, accepted_at, :channel, packet
         FROM acceptances WHERE packet = :of AND user_id = :user AND twin_of IS NULL",
    )?;
    Ok(statement.execute(named_params! {
        ":packet": twin.packet.0,
        ":channel": channel_number(twin.channel),
        ":of": of.0,
        ":user": user.0,
    })?)
}

/// A channel as the database keeps it: the same bits.
fn channel_number(channel: Option<Channel>) -> Option<i64> {
    channel.map(|channel| channel.0.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: TokenId = TokenId(7);

    fn decision(verdict: Verdict, reason: Reason, token: Option<TokenId>, effects: Vec<Effect>) -> Decision {
        Decision {
            verdict,
            reason,
            token,
            effects,
        }
    }

    #[test]
    fn an_acceptance_spends_a_code_or_repeats_one() {
        let consume = |token| Effect::Consume {
            token,
            matched: 1,
            next: 2,
        };
        let twin = Effect::Twin {
            of: PacketDigest([1; 32]),
            twin: Twin {
                packet: PacketDigest([2; 32]),
                channel: None,
            },
        };
        let proven = [
            decision(
                Verdict::Accept,
                Reason::Accepted,
                Some(TOKEN),
                vec![consume(TOKEN)],
            ),
            decision(Verdict::Accept, Reason::Twin, Some(TOKEN), vec![twin]),
            decision(Verdict::Accept, Reason::SamePacket, Some(TOKEN), vec![]),
        ];
        for decision in proven {
            assert_eq!(accepted_token(&decision).unwrap(), Some(TOKEN), "{decision:?}");
        }
        let unproven = [
            decision(Verdict::Accept, Reason::Accepted, Some(TOKEN), vec![]),
            decision(Verdict::Accept, Reason::Accepted, None, vec![consume(TOKEN)]),
            decision(
                Verdict::Accept,
                Reason::Accepted,
                Some(TOKEN),
                vec![consume(TokenId(8))],
            ),
            decision(
                Verdict::Accept,
                Reason::Accepted,
                Some(TOKEN),
                vec![Effect::SetLockout(Lockout::default())],
            ),
            decision(Verdict::Accept, Reason::SamePacket, None, vec![]),
        ];
        for decision in unproven {
            assert!(
                matches!(accepted_token(&decision), Err(StoreError::Unproven)),
                "{decision:?}"
            );
        }
        assert_eq!(
            accepted_token(&Decision::reject(Reason::WrongCode)).unwrap(),
            None
        );
    }
}
