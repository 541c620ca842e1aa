//! Effects become durable: together or not at all, on the version that they were decided on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use otp_validation::{
    Acceptance, AccountVersion, Channel, Decision, Effect, Reason, TokenId, UnixTime, UserId, Verdict,
};
use tokio::sync::oneshot;

use crate::{
    Record, StoreError,
    error::Fault,
    sql::{Sql, values},
    value::exact,
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
    /// The version that the effects were decided on …
    pub(crate) version: AccountVersion,
    /// … and the one that the account gets by them.
    pub(crate) becomes: AccountVersion,
    pub(crate) effects: Vec<Effect>,
}

/// Whether the effects are in the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    Conflict,
}

/// For how many seconds acceptances are kept at least: much longer than anybody may ask for them.
pub(crate) const ACCEPTANCES_LIVE: u64 = 300;
/// Seconds between two clearances of older ones.
pub(crate) const PRUNE_EVERY: u64 = 60;

/// The writer has no clock; acceptances bring the time along.
pub(crate) fn latest_acceptance<'a>(jobs: impl Iterator<Item = &'a Job>) -> Option<UnixTime> {
    let effects = jobs.flat_map(|job| &job.change.effects);
    let times = effects.filter_map(|effect| match effect {
        Effect::Remember(acceptance) => Some(acceptance.at),
        _ => None,
    });
    times.max()
}

/// One change and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) change: Change,
    /// What the audit trail keeps of it.
    pub(crate) record: Record,
    pub(crate) accepts: Option<TokenId>,
    pub(crate) reply: oneshot::Sender<Result<Commit, StoreError>>,
}

/// What the writer has done since this process opened the store.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    pub(crate) changes: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) failed_groups: AtomicU64,
    /// Whether the last attempt to commit, by the writer or as a probe, failed.
    pub(crate) failing: AtomicBool,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The account moves on from wherever it is, for administrators. What it was decided on before is a conflict now, so this
/// comes first: whoever commits meanwhile waits for it.
pub(crate) fn touch(transaction: Sql<'_>, user: UserId) -> Result<(), Fault> {
    let next = transaction.next_version();
    let statement = format!("UPDATE accounts SET version = {next} WHERE user_id = ?1");
    transaction.execute(&statement, values![user.0])?;
    Ok(())
}

/// The smallest counter or step that is spent, and the next that may be accepted, as the database keeps them.
pub(crate) fn spent(matched: u64, next: u64) -> Result<(i64, i64), StoreError> {
    if next <= matched {
        return Err(StoreError::Unproven);
    }
    Ok((
        exact("counter or step", matched)?,
        exact("counter or step", next)?,
    ))
}

/// What `acceptance` has spent: a verdict is kept only with a code that the same change spends.
pub(crate) fn spent_by(effects: &[Effect], acceptance: &Acceptance) -> Result<i64, StoreError> {
    let matched = effects.iter().find_map(|effect| match effect {
        Effect::Consume { token, matched, .. } if *token == acceptance.token => Some(*matched),
        _ => None,
    });
    exact("counter or step", matched.ok_or(StoreError::Unproven)?)
}

/// A channel as the database keeps it: the same bits.
pub(crate) fn channel_number(channel: Option<Channel>) -> Option<i64> {
    channel.map(|channel| channel.0.cast_signed())
}

#[cfg(test)]
mod tests {
    use otp_validation::{ClientId, Lockout, PacketDigest, Twin};

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
                vec![Effect::SetLockout {
                    client: ClientId(1),
                    lockout: Lockout::default(),
                    locked_until: 0,
                }],
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
