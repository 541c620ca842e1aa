//! The second step of a login: what is made of the answer to a question.

use otp_core::{Otp, Verdict as CodeVerdict};

use crate::{
    Account, Attempt, Client, Decision, Dialogue, Factor, Grammar, Progress, Question, Reason, Stage,
    TokenMode, UnixTime,
    decide::{Consumed, accept, candidates, compare},
};

/// The answer to a question: a code and nothing else, since whoever was asked has proven the password.
pub(crate) fn answer(
    account: &Account,
    client: &Client,
    attempt: &Attempt<'_>,
    dialogue: &Dialogue,
    now: UnixTime,
) -> Decision {
    if candidates(account).next().is_none() {
        return Decision::reject(Reason::NoActiveToken);
    }
    if let Stage::NextCode(first) = &dialogue.stage {
        return match run_ahead(account, first, attempt.credential) {
            Some(consumed) => accept(account, client, attempt, now, consumed),
            None => Decision::failure(account, client.id, Factor::Otp, now),
        };
    }
    let Progress::Decided(decided) = compare(account, client, Grammar::Otp, attempt, now) else {
        // The grammar has no password.
        return Decision::reject(Reason::NotACode);
    };
    if decided.reason == Reason::WrongCode && is_ahead(account, attempt.credential) {
        return Decision {
            effects: decided.effects,
            ..Decision::ask(Question::NextCode)
        };
    }
    decided
}

/// How far ahead of its window a HOTP token may be found by two codes in a row (RFC 4226 §7.4).
const RUN_AHEAD: u32 = 100;

/// Whether `code` is one of a token that has run ahead.
fn is_ahead(account: &Account, code: &[u8]) -> bool {
    let Ok(otp) = Otp::parse(code) else {
        return false;
    };
    let mut found = false;
    for token in candidates(account) {
        if let TokenMode::Hotp { hotp, state, .. } = &token.mode {
            found |= matches!(
                hotp.verify(&token.key, &otp, *state, RUN_AHEAD),
                CodeVerdict::Fresh(_)
            );
        }
    }
    found
}

/// The token of which `first` and `second` are two codes in a row.
fn run_ahead(account: &Account, first: &Otp, second: &[u8]) -> Option<Consumed> {
    let second = Otp::parse(second).ok()?;
    let mut found = None;
    for token in candidates(account) {
        if let TokenMode::Hotp { hotp, state, .. } = &token.mode
            && let CodeVerdict::Fresh(pair) =
                hotp.resynchronize(&token.key, first, &second, *state, RUN_AHEAD)
        {
            found = found.or(Some(Consumed {
                token: token.id,
                matched: pair.counter,
                next: pair.next,
            }));
        }
    }
    found
}
