//! What the audit trail keeps of a request: from what came in and what was concluded to a record.

use std::time::Duration;

use otp_store::{DecisionFacts, FailureFacts, Record, Spent, UpstreamFacts};
use otp_validation::{
    Account, ClientId, Decision, Effect, Lockout, Lockouts, PacketDigest, Reason, Token, TokenMode, UnixTime,
    Verdict,
};

use crate::{Forwarded, Origin, Request};

/// A request, as far as the trail tells of it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) client: &'a str,
    pub(crate) user_name: &'a [u8],
    pub(crate) packet: Option<PacketDigest>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(request: &'a Request<'_>, client: &'a str) -> Self {
        Self {
            origin: &request.origin,
            client,
            user_name: &request.user_name,
            packet: Some(request.packet),
        }
    }

    /// A refusal of somebody who was not found, or not looked for.
    pub(crate) fn refused(&self, reason: Reason, user: Option<&str>, at: UnixTime, took: Duration) -> Record {
        Record::of_decision(&DecisionFacts {
            user,
            ..self.facts(Verdict::Reject, reason, at, took)
        })
    }

    /// What others have decided.
    pub(crate) fn forwarded(
        &self,
        forwarded: &Forwarded,
        user: Option<&str>,
        at: UnixTime,
        took: Duration,
    ) -> Record {
        let user_name = forwarded.upstream.user_name.as_ref();
        Record::of_decision(&DecisionFacts {
            user,
            upstream: Some(UpstreamFacts {
                name: forwarded.upstream.name.as_str(),
                user_name: user_name.map(|name| name.as_str().as_bytes()),
                server: forwarded.server.as_deref(),
                answer: forwarded.answer,
            }),
            ..self.facts(Verdict::Forward, forwarded.reason, at, took)
        })
    }

    /// A decision about `account`, in its `round`, through the client of that number.
    pub(crate) fn decided(
        &self,
        account: &Account,
        client: ClientId,
        decision: &Decision,
        at: UnixTime,
        took: Duration,
        round: u32,
    ) -> Record {
        let token = |id| account.tokens.iter().find(|token| token.id == id);
        let spent = decision.effects.iter().find_map(|effect| match effect {
            Effect::Consume {
                token: id, matched, ..
            } => spent(token(*id)?, *matched, at),
            _ => None,
        });
        let twin_of = decision.effects.iter().find_map(|effect| match effect {
            Effect::Twin { of, .. } => Some(*of),
            _ => None,
        });
        let is_reject = decision.verdict == Verdict::Reject;
        Record::of_decision(&DecisionFacts {
            user: Some(account.user.name.as_str()),
            token: decision.token.and_then(token).map(|token| token.label.as_str()),
            spent,
            tokens: if is_reject { &account.tokens } else { &[] },
            failures: is_reject
                .then(|| failures(account, client, decision, at))
                .flatten(),
            twin_of,
            rounds: round.saturating_add(1),
            ..self.facts(decision.verdict, decision.reason, at, took)
        })
    }

    fn facts(&self, verdict: Verdict, reason: Reason, at: UnixTime, took: Duration) -> DecisionFacts<'a> {
        DecisionFacts {
            at,
            request: self.origin.request,
            client: self.client,
            peer: self.origin.peer.as_deref(),
            nas_identifier: self.origin.nas_identifier.as_deref(),
            user_name: self.user_name,
            user: None,
            verdict,
            reason,
            upstream: None,
            token: None,
            spent: None,
            tokens: &[],
            failures: None,
            packet: self.packet,
            twin_of: None,
            rounds: 1,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// How far a code was from the one that was expected.
fn spent(token: &Token, matched: u64, at: UnixTime) -> Option<Spent> {
    match &token.mode {
        TokenMode::Hotp { state, .. } => Some(Spent::Hotp {
            skipped: matched.saturating_sub(state.next),
        }),
        TokenMode::Totp { totp, .. } => {
            let present = totp.time_step(at.0).ok()?.get();
            Some(Spent::Totp {
                offset: matched
                    .saturating_sub(present)
                    .cast_signed()
                    .saturating_sub(present.saturating_sub(matched).cast_signed()),
            })
        }
    }
}

/// Failures in a row at the client, and the lock there or everywhere, as they are after the decision; `None` if there are
/// none.
fn failures(account: &Account, client: ClientId, decision: &Decision, now: UnixTime) -> Option<FailureFacts> {
    let after = decision.effects.iter().find_map(|effect| match effect {
        Effect::SetLockout {
            lockout,
            locked_until,
            ..
        } => Some((*lockout, *locked_until)),
        _ => None,
    });
    let (here, everywhere) =
        after.unwrap_or_else(|| (account.lockouts.at(client), account.lockouts.locked_until));
    let everywhere = Lockouts::locked_until(everywhere).seconds_left(client, now);
    let seconds_left = here.seconds_left(now).max(everywhere);
    (here != Lockout::default() || seconds_left > 0).then(|| FailureFacts {
        codes: here.otp_failures,
        passwords: here.password_failures,
        locked_until: (seconds_left > 0).then(|| UnixTime(now.0.saturating_add(seconds_left))),
    })
}
