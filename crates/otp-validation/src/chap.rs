//! Logins by CHAP (RFC 2865 §2.2): the request shows that somebody knows a code, and not the code.
//!
//! The server knows every code that could be right, so it tries them all. What it finds is decided on as if it had been sent.

use otp_core::Otp;
use subtle::Choice;

use crate::{
    Account, Attempt, Client, Decision, Factor, Grammar, Progress, Reason, TokenMode, UnixTime,
    answer::answer,
    decide::{candidates, compare, grammar_for, settled_without_code},
};

/// The code to which `proves` says yes, among those that the tokens of `account` may show at `now`: the fresh ones of each token's
/// window, and the spent ones that tell a repetition from a wrong code.
///
/// All of them are asked about, whichever it is.
#[must_use]
pub fn proven_code(account: &Account, now: UnixTime, mut proves: impl FnMut(&Otp) -> Choice) -> Option<Otp> {
    let mut proven = None;
    for token in candidates(account) {
        let found = match &token.mode {
            TokenMode::Hotp {
                hotp,
                state,
                look_ahead,
            } => hotp.prepare(&token.key).find(*state, *look_ahead, &mut proves),
            TokenMode::Totp { totp, state, window } => totp
                .time_step(now.0)
                .ok()
                .and_then(|step| totp.prepare(&token.key).find(step, *state, *window, &mut proves)),
        };
        proven = proven.or(found);
    }
    proven
}

/// As [`decide`](crate::decide), for a login by CHAP: the credential of `attempt` is what [`proven_code`] has found, and empty if
/// there was nothing.
///
/// A password cannot be proven by it: where one is part of the credential, the login is refused, whatever the code is.
pub fn decide_chap(account: &Account, client: &Client, attempt: &Attempt<'_>, now: UnixTime) -> Decision {
    if let Some(decision) = settled_without_code(account, client, attempt, now) {
        return decision;
    }
    let wrong = || Decision::failure(account, client.id, Factor::Otp, now);
    if let Some(dialogue) = attempt.dialogue {
        let decision = if attempt.credential.is_empty() {
            wrong()
        } else {
            answer(account, client, attempt, dialogue, now)
        };
        return decision.ending(dialogue, now);
    }
    if candidates(account).next().is_none() {
        return Decision::reject(Reason::NoActiveToken);
    }
    let has_password = match grammar_for(account, client) {
        Grammar::Challenge | Grammar::Auto => account.user.password.is_some(),
        grammar => grammar.has_password(),
    };
    if has_password {
        return Decision::reject(Reason::ChapWithPassword);
    }
    if attempt.credential.is_empty() {
        return wrong();
    }
    match compare(account, client, Grammar::Otp, attempt, now) {
        Progress::Decided(decision) => decision,
        // The grammar has no password.
        Progress::NeedsPassword(_) => Decision::reject(Reason::ChapWithPassword),
    }
}

#[cfg(test)]
#[path = "chap_tests.rs"]
mod tests;
