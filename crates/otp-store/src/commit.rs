//! Effects become durable: together or not at all, on the version that they were decided on.

use otp_validation::{
    Acceptance, Account, AccountVersion, ClientId, Decision, Effect, Lockout, Reason, TokenId, UnixTime,
    UserId, Verdict,
};
use tokio::sync::oneshot;

use crate::{
    Record, StoreError, acceptances,
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
    if decision.verdict != Verdict::Accept {
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

/// What is to be written about one account, all of it or nothing.
///
/// Whatever can be wrong with effects, given the snapshot that they were decided on, is known when this is made. What is
/// left is that the snapshot may be out of date, and that somebody else's token may show the same codes.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) user: UserId,
    /// The version that the effects were decided on …
    pub(crate) version: AccountVersion,
    /// … and the one that the account gets by them; the same if there are none.
    pub(crate) becomes: AccountVersion,
    pub(crate) spends: Vec<Spend>,
    /// Tokens that have proven a code.
    pub(crate) activates: Vec<TokenId>,
    /// Failures and locks at clients; the default forgives.
    pub(crate) lockouts: Vec<(ClientId, Lockout)>,
    /// The end of the lock at all clients, if it changes.
    pub(crate) locked_until: Option<u64>,
    /// The verdicts that may be asked for again, if they change.
    pub(crate) verdicts: Option<Verdicts>,
}

/// A code that is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spend {
    pub(crate) token: TokenId,
    /// Its counter or step: what is there must not be greater.
    pub(crate) matched: i64,
    /// The next that may be accepted.
    pub(crate) next: i64,
}

/// All verdicts of an account that may be asked for again, and its dialogues that have ended.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// As the column holds them.
    pub(crate) octets: Vec<u8>,
    /// When the newest was given, if that changes.
    pub(crate) accepted_at: Option<UnixTime>,
}

impl Change {
    /// What `effects` come to that were decided on `account`, and what the account is afterwards; `None` if they are about
    /// something that it does not have.
    pub(crate) fn of(
        account: &Account,
        effects: &[Effect],
        becomes: AccountVersion,
    ) -> Result<Option<(Self, Account)>, StoreError> {
        let mut change = Self {
            user: account.user.id,
            version: account.version,
            becomes: if effects.is_empty() {
                account.version
            } else {
                becomes
            },
            spends: Vec::new(),
            activates: Vec::new(),
            lockouts: Vec::new(),
            locked_until: None,
            verdicts: None,
        };
        let mut accepted_at = None;
        for effect in effects {
            match effect {
                Effect::Consume { token, matched, next } => {
                    change.spends.push(Spend::new(*token, *matched, *next)?);
                }
                Effect::Activate { token } => change.activates.push(*token),
                Effect::SetLockout {
                    client,
                    lockout,
                    locked_until,
                } => {
                    change.lockouts.push((*client, *lockout));
                    change.locked_until = Some(*locked_until);
                }
                Effect::Remember(acceptance) if !spends(effects, acceptance) => {
                    return Err(StoreError::Unproven);
                }
                Effect::Remember(acceptance) => accepted_at = Some(acceptance.at),
                Effect::Twin { .. } | Effect::EndDialogue { .. } => {}
                other => return Err(StoreError::UnknownEffect(format!("{other:?}"))),
            }
        }
        let Some(after) = account.clone().after(effects, change.becomes) else {
            return Ok(None);
        };
        let tells = |effect: &Effect| {
            matches!(
                effect,
                Effect::Remember(_) | Effect::Twin { .. } | Effect::EndDialogue { .. }
            )
        };
        if effects.iter().any(tells) {
            change.verdicts = Some(Verdicts {
                octets: acceptances::encode(&after.acceptances, &after.ended_dialogues)?,
                accepted_at,
            });
        }
        Ok(Some((change, after)))
    }

    /// When a code was accepted, if one was.
    pub(crate) fn accepted_at(&self) -> Option<UnixTime> {
        self.verdicts.as_ref()?.accepted_at
    }
}

impl Spend {
    fn new(token: TokenId, matched: u64, next: u64) -> Result<Self, StoreError> {
        if next <= matched {
            return Err(StoreError::Unproven);
        }
        Ok(Self {
            token,
            matched: exact("counter or step", matched)?,
            next: exact("counter or step", next)?,
        })
    }
}

/// Whether `effects` spend the code of `acceptance`: a verdict is kept only with its code.
fn spends(effects: &[Effect], acceptance: &Acceptance) -> bool {
    let mut effects = effects.iter();
    effects.any(|effect| matches!(effect, Effect::Consume { token, .. } if *token == acceptance.token))
}

/// Whether the effects are in the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    Conflict,
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

/// The account moves on from wherever it is, for administrators. What it was decided on before is a conflict now, so this
/// comes first: whoever commits meanwhile waits for it.
pub(crate) fn touch(transaction: Sql<'_>, user: UserId) -> Result<(), Fault> {
    let next = transaction.next_version();
    let statement = format!("UPDATE accounts SET version = {next} WHERE user_id = ?1");
    transaction.execute(&statement, values![user.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use otp_validation::{PacketDigest, Twin};

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
