//! The decision: one pure function from a snapshot, a client, a credential and the time to a verdict and its effects.
//!
//! The order is part of the contract. Whatever is cheap and says nothing about the credential comes first; the code is
//! looked at before the password, and it is spent only when everything else holds:
//!
//! 1. client and user exist, are enabled and have not expired; if other servers decide on the user, that is all;
//! 2. the same packet, or a twin, of a recent acceptance: its verdict, nothing spent;
//! 3. lock-out, at this client and over all; the question that it answers, if it answers one;
//! 4. candidate tokens: enabled, proven;
//! 5. the code, over the window of every candidate, without early exit;
//! 6. the password, at most once;
//! 7. the effects.

use std::fmt;

use otp_core::{Otp, Verdict as CodeVerdict};

use crate::{
    Acceptance, Account, Channel, Client, ClientId, CredentialDigest, Dialogue, Effect, EndedDialogue,
    Factor, Grammar, Lockouts, PacketDigest, PasswordHash, Reason, Stage, Token, TokenId, TokenMode,
    TokenStatus, Twin, UnixTime,
    answer::answer,
    forward::{Destination, destination},
};

/// For how many seconds the same packet gets the verdict that it had. libkrad sends again for 5 s, other clients for up
/// to 30 s (RFC 5080 §2.2.1).
pub const SAME_PACKET_LIFE: u64 = 30;

/// How many twins one acceptance may have.
pub const MAX_TWINS: usize = 3;

/// A credential as it came in, with the digests that tell repetitions from new attempts.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// The octets of User-Password.
    pub credential: &'a [u8],
    /// Keyed digest of user and credential.
    pub credential_digest: CredentialDigest,
    /// Keyed digest of client and packet.
    pub packet: PacketDigest,
    /// What the packet came through; `None` where a twin may come the same way as the first (datagrams).
    pub channel: Option<Channel>,
    /// The question that it answers, if it answers one.
    pub dialogue: Option<&'a Dialogue>,
}

/// What the user is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let in, once the effects are durable.
    Accept,
    /// Refuse.
    Reject,
    /// Ask, once the effects are durable.
    Challenge(Question),
    /// Let the user's upstream decide: nothing is known here of what it will say.
    Forward,
}

/// What the user is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The code.
    Code,
    /// The code after the one that came in.
    NextCode,
}

/// A verdict, why, and what it changes.
#[derive(Clone, Debug)]
#[must_use = "a decision means nothing until its effects are committed"]
pub struct Decision {
    /// Accept or reject.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The token whose code was recognised, be it fresh or not.
    pub token: Option<TokenId>,
    /// What must be durable before the answer leaves.
    pub effects: Vec<Effect>,
}

impl Decision {
    /// A question that changes nothing.
    pub(crate) fn ask(question: Question) -> Self {
        let reason = match question {
            Question::Code => Reason::CodeAsked,
            Question::NextCode => Reason::NextCodeAsked,
        };
        Self {
            verdict: Verdict::Challenge(question),
            ..Self::reject(reason)
        }
    }

    /// The same, and the question that the attempt answers is not answered again.
    pub(crate) fn ending(mut self, dialogue: &Dialogue, now: UnixTime) -> Self {
        self.effects.push(Effect::EndDialogue {
            ended: EndedDialogue {
                id: dialogue.id,
                expires_at: dialogue.expires_at,
            },
            at: now,
        });
        self
    }

    /// A rejection in place of an acceptance that cannot be told: nothing is spent, but the question that the attempt answers is
    /// answered.
    pub fn untold(mut self) -> Self {
        self.effects
            .retain(|effect| matches!(effect, Effect::EndDialogue { .. }));
        Self {
            verdict: Verdict::Reject,
            reason: Reason::ReplyTooLong,
            ..self
        }
    }

    /// A decision that is left to others.
    fn forward() -> Self {
        Self {
            verdict: Verdict::Forward,
            ..Self::reject(Reason::Forwarded)
        }
    }

    /// A rejection that changes nothing.
    pub fn reject(reason: Reason) -> Self {
        Self {
            verdict: Verdict::Reject,
            reason,
            token: None,
            effects: Vec::new(),
        }
    }

    fn repeat(reason: Reason, acceptance: &Acceptance, effects: Vec<Effect>) -> Self {
        Self {
            verdict: Verdict::Accept,
            reason,
            token: Some(acceptance.token),
            effects,
        }
    }

    /// A wrong code or password that came through `client`, and is counted.
    pub(crate) fn failure(account: &Account, client: ClientId, factor: Factor, now: UnixTime) -> Self {
        let lockouts = account.lockouts.after_failure(client, factor, now);
        let reason = match factor {
            Factor::Otp => Reason::WrongCode,
            Factor::Password => Reason::WrongPassword,
        };
        Self {
            effects: vec![set_lockout(&lockouts, client)],
            ..Self::reject(reason)
        }
    }
}

/// Makes these the durable failures and locks, which differ from those before at `client` alone.
fn set_lockout(lockouts: &Lockouts, client: ClientId) -> Effect {
    Effect::SetLockout {
        client,
        lockout: lockouts.at(client),
        locked_until: lockouts.locked_until,
    }
}

/// How far a decision has come.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Decided.
    Decided(Decision),
    /// The code is right; whether the password is, only a slow hash (or a directory) can tell.
    NeedsPassword(PasswordCheck<'a>),
}

/// A decision that waits for one password check.
#[must_use = "conclude it with the outcome of the password check"]
pub struct PasswordCheck<'a> {
    account: &'a Account,
    client: ClientId,
    hash: &'a PasswordHash,
    password: &'a [u8],
    accept: Decision,
    now: UnixTime,
}

impl<'a> PasswordCheck<'a> {
    /// The hash to check against.
    pub fn hash(&self) -> &'a PasswordHash {
        self.hash
    }

    /// The password that came in.
    pub fn password(&self) -> &'a [u8] {
        self.password
    }

    /// The decision, now that the password is known to be right or wrong.
    pub fn conclude(self, password_is_right: bool) -> Decision {
        if password_is_right {
            return self.accept;
        }
        Decision {
            token: self.accept.token,
            ..Decision::failure(self.account, self.client, Factor::Password, self.now)
        }
    }
}

/// Shows how long the password is, and nothing else of it.
impl fmt::Debug for PasswordCheck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordCheck")
            .field("account", &self.account)
            .field("client", &self.client)
            .field("hash", &self.hash)
            .field("password", &format_args!("({} octets)", self.password.len()))
            .field("accept", &self.accept)
            .field("now", &self.now)
            .finish()
    }
}

/// Decides one attempt on `account`, which came through `client`, at `now`.
///
/// Where nobody has the name there is no account to decide on: that is [`Reason::UnknownUser`], and looks like any
/// other rejection on the wire.
pub fn decide<'a>(
    account: &'a Account,
    client: &Client,
    attempt: &Attempt<'a>,
    now: UnixTime,
) -> Progress<'a> {
    match settled_without_code(account, client, attempt, now) {
        Some(decision) => Progress::Decided(decision),
        None if attempt.credential.is_empty() => Progress::Decided(Decision::reject(Reason::NoCredential)),
        None => judge(account, client, attempt, now),
    }
}

/// Steps 1 to 3: what is decided without a look at the code.
pub(crate) fn settled_without_code(
    account: &Account,
    client: &Client,
    attempt: &Attempt<'_>,
    now: UnixTime,
) -> Option<Decision> {
    match destination(Some(account), None, client, now) {
        Destination::Refused(reason) => return Some(Decision::reject(reason)),
        Destination::Upstream(_) => return Some(Decision::forward()),
        Destination::Here => {}
    }
    let refusal = if !client.enabled {
        Reason::ClientDisabled
    } else if !account.user.enabled {
        Reason::UserDisabled
    } else if account.user.expires_at.is_some_and(|end| now >= end) {
        Reason::UserExpired
    } else if let Some(decision) = repetition(account, client, attempt, now) {
        return Some(decision);
    } else if account.lockouts.is_locked(client.id, now) {
        Reason::Locked
    } else {
        attempt
            .dialogue
            .and_then(|dialogue| unanswerable(account, client, dialogue, now))?
    };
    Some(Decision::reject(refusal))
}

/// Why a question cannot be answered, if it cannot.
fn unanswerable(account: &Account, client: &Client, dialogue: &Dialogue, now: UnixTime) -> Option<Reason> {
    let mut ended = account.ended_dialogues.iter();
    if !dialogue.is_open(account.user.id, client.id, now) || ended.any(|ended| ended.id == dialogue.id) {
        return Some(Reason::NoSuchDialogue);
    }
    matches!(dialogue.stage, Stage::Refused).then_some(Reason::RefusedBefore)
}

/// The verdict of an earlier acceptance, if this is its packet again or a twin of it.
fn repetition(account: &Account, client: &Client, attempt: &Attempt<'_>, now: UnixTime) -> Option<Decision> {
    let mut recent = account.acceptances.iter().filter(|acceptance| {
        acceptance.client == client.id
            && account
                .tokens
                .iter()
                .any(|token| token.id == acceptance.token && token.enabled)
    });
    let same_packet = recent.clone().find(|acceptance| {
        now.distance(acceptance.at) <= SAME_PACKET_LIFE && acceptance.was_given_to(attempt.packet)
    });
    if let Some(acceptance) = same_packet {
        return Some(Decision::repeat(Reason::SamePacket, acceptance, Vec::new()));
    }
    // An answer to a question is no packet that was sent by itself.
    if client.repeat_grace == 0 || attempt.credential.is_empty() || attempt.dialogue.is_some() {
        return None;
    }
    let first = recent.find(|acceptance| {
        now.distance(acceptance.at) <= u64::from(client.repeat_grace)
            && acceptance.twins.len() < MAX_TWINS
            && acceptance.credential == attempt.credential_digest
            && attempt
                .channel
                .is_none_or(|channel| !acceptance.was_given_through(channel))
    })?;
    let twin = Twin {
        packet: attempt.packet,
        channel: attempt.channel,
    };
    let effect = Effect::Twin {
        of: first.packet,
        twin,
    };
    Some(Decision::repeat(Reason::Twin, first, vec![effect]))
}

/// Steps 4 to 7: candidates, code, password, effects.
fn judge<'a>(account: &'a Account, client: &Client, attempt: &Attempt<'a>, now: UnixTime) -> Progress<'a> {
    if let Some(dialogue) = attempt.dialogue {
        return Progress::Decided(answer(account, client, attempt, dialogue, now).ending(dialogue, now));
    }
    if candidates(account).next().is_none() {
        return Progress::Decided(Decision::reject(Reason::NoActiveToken));
    }
    let password_alone = |hash| {
        Progress::NeedsPassword(PasswordCheck {
            account,
            client: client.id,
            hash,
            password: attempt.credential,
            accept: Decision::ask(Question::Code),
            now,
        })
    };
    match (grammar_for(account, client), &account.user.password) {
        (Grammar::Challenge, Some(hash)) => password_alone(hash),
        (Grammar::Auto, Some(hash)) => match compare(account, client, Grammar::PasswordOtp, attempt, now) {
            // What is at its end is no code, or none that is right: it may as well be the end of the password.
            Progress::Decided(refused)
                if client.can_challenge && matches!(refused.reason, Reason::NotACode | Reason::WrongCode) =>
            {
                password_alone(hash)
            }
            Progress::Decided(refused) if refused.reason == Reason::NotACode => {
                Progress::Decided(Decision::reject(Reason::NeverAnswers))
            }
            other => other,
        },
        // There is no password to be asked for first: a code that is right is enough, and whatever else it was, the code is
        // asked for.
        (Grammar::Challenge | Grammar::Auto, None) if client.can_challenge => {
            match compare(account, client, Grammar::Otp, attempt, now) {
                Progress::Decided(refused) if refused.verdict == Verdict::Reject => {
                    Progress::Decided(Decision {
                        effects: refused.effects,
                        ..Decision::ask(Question::Code)
                    })
                }
                other => other,
            }
        }
        (Grammar::Auto, None) => compare(account, client, Grammar::Otp, attempt, now),
        (grammar, None) if grammar.has_password() => Progress::Decided(Decision::reject(Reason::NoPassword)),
        (grammar, _) => compare(account, client, grammar, attempt, now),
    }
}

/// The tokens whose codes count.
pub(crate) fn candidates(account: &Account) -> impl Iterator<Item = &Token> {
    let tokens = account.tokens.iter();
    tokens.filter(|token| token.enabled && token.status == TokenStatus::Active)
}

/// The code over the window of every candidate, and then the password.
pub(crate) fn compare<'a>(
    account: &'a Account,
    client: &Client,
    grammar: Grammar,
    attempt: &Attempt<'a>,
    now: UnixTime,
) -> Progress<'a> {
    let mut best = Recognised::NotACode;
    for token in candidates(account) {
        // Every candidate is searched, so that time does not tell which of several tokens matched.
        let recognised = recognise(token, grammar, attempt.credential, now);
        best = best.or_better(recognised);
    }
    let (token, matched, next, password) = match best {
        Recognised::Fresh {
            token,
            matched,
            next,
            password,
        } => (token, matched, next, password),
        Recognised::Replayed { token } => {
            let decision = Decision {
                token: Some(token),
                ..Decision::reject(Reason::ReplayedCode)
            };
            return Progress::Decided(decision);
        }
        Recognised::Wrong => {
            return Progress::Decided(Decision::failure(account, client.id, Factor::Otp, now));
        }
        Recognised::NotACode => return Progress::Decided(Decision::reject(Reason::NotACode)),
    };
    let accept = accept(account, client, attempt, now, Consumed { token, matched, next });
    match &account.user.password {
        Some(hash) if grammar.has_password() => Progress::NeedsPassword(PasswordCheck {
            account,
            client: client.id,
            hash,
            password,
            accept,
            now,
        }),
        _ => Progress::Decided(accept),
    }
}

/// The client's grammar, else the user's, else what follows from whether the user has a password. Who cannot be asked has to
/// say everything at once.
pub(crate) fn grammar_for(account: &Account, client: &Client) -> Grammar {
    let chosen = client.grammar.or(account.user.grammar);
    let possible = chosen.filter(|grammar| *grammar != Grammar::Challenge || client.can_challenge);
    possible.unwrap_or(match account.user.password {
        Some(_) => Grammar::PasswordOtp,
        None => Grammar::Otp,
    })
}

/// What one token makes of a credential, from worst to best.
enum Recognised<'a> {
    NotACode,
    Wrong,
    Replayed {
        token: TokenId,
    },
    Fresh {
        token: TokenId,
        matched: u64,
        next: u64,
        password: &'a [u8],
    },
}

impl Recognised<'_> {
    fn rank(&self) -> u8 {
        match self {
            Self::NotACode => 0,
            Self::Wrong => 1,
            Self::Replayed { .. } => 2,
            Self::Fresh { .. } => 3,
        }
    }

    /// The better of the two; the earlier token where both are as good.
    fn or_better(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }
}

fn recognise<'a>(token: &Token, grammar: Grammar, credential: &'a [u8], now: UnixTime) -> Recognised<'a> {
    let Some((otp, password)) = grammar.split(credential, token.mode.digits()) else {
        return Recognised::NotACode;
    };
    match verify(token, &otp, now) {
        CodeVerdict::Fresh((matched, next)) => Recognised::Fresh {
            token: token.id,
            matched,
            next,
            password,
        },
        CodeVerdict::Replayed(_) => Recognised::Replayed { token: token.id },
        CodeVerdict::Unmatched => Recognised::Wrong,
    }
}

/// Searches the window of `token`; the match is the counter or step, and the next one that may be accepted.
pub(crate) fn verify(token: &Token, otp: &Otp, now: UnixTime) -> CodeVerdict<(u64, u64)> {
    match &token.mode {
        TokenMode::Hotp {
            hotp,
            state,
            look_ahead,
        } => hotp
            .verify(&token.key, otp, *state, *look_ahead)
            .map(|found| (found.counter, found.next)),
        TokenMode::Totp { totp, state, window } => match totp.time_step(now.0) {
            Ok(step) => totp
                .verify(&token.key, otp, step, *state, *window)
                .map(|found| (found.step.get(), found.next)),
            // A clock before T0: no step exists, so no code can be right.
            Err(_) => CodeVerdict::Unmatched,
        },
    }
}

pub(crate) struct Consumed {
    pub(crate) token: TokenId,
    pub(crate) matched: u64,
    pub(crate) next: u64,
}

pub(crate) fn accept(
    account: &Account,
    client: &Client,
    attempt: &Attempt<'_>,
    now: UnixTime,
    spent: Consumed,
) -> Decision {
    let Consumed { token, matched, next } = spent;
    let mut effects = vec![
        Effect::Consume { token, matched, next },
        Effect::Remember(Acceptance {
            packet: attempt.packet,
            credential: attempt.credential_digest,
            client: client.id,
            token,
            at: now,
            channel: attempt.channel,
            twins: Vec::new(),
        }),
    ];
    let forgiven = account.lockouts.after_success(client.id);
    if forgiven != account.lockouts {
        effects.push(set_lockout(&forgiven, client.id));
    }
    Decision {
        verdict: Verdict::Accept,
        reason: Reason::Accepted,
        token: Some(token),
        effects,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
