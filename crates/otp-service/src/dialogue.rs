//! Questions to the user, and what their answers bring back.
//!
//! Where the password comes first, nobody learns by the question whether it was right, or whether the user exists: every
//! first step that is refused is answered with a question, too, whose answer is refused whatever it is.

use otp_core::Otp;
use otp_store::{Ask, Basis, Digests, StoreError};
use otp_validation::{
    Account, Client, ClientId, DIALOGUE_LIFE, Decision, Dialogue, Grammar, Question, Reason, Stage, UnixTime,
    UserId, Verdict,
};

use crate::{Answer, Challenge};

/// What a request answers.
pub(crate) struct Answered {
    pub(crate) dialogue: Dialogue,
    basis: Basis,
}

impl Answered {
    /// `None` if nobody has asked anything by this State.
    pub(crate) fn open(digests: &Digests, state: &[u8]) -> Option<Self> {
        let (dialogue, basis) = digests.open_state(state)?;
        Some(Self { dialogue, basis })
    }

    /// Whether it was `client` that was asked.
    pub(crate) fn was_asked_of(&self, client: ClientId) -> bool {
        self.dialogue.client == client
    }

    /// The dialogue as it stands with `account`: where it rests on a password that has been changed, it is over.
    pub(crate) fn with(&self, digests: &Digests, account: &Account) -> Dialogue {
        let mut dialogue = self.dialogue.clone();
        if basis(digests, account) != self.basis {
            dialogue.stage = Stage::Refused;
        }
        dialogue
    }
}

fn basis(digests: &Digests, account: &Account) -> Basis {
    digests.basis(account.user.id, account.user.password.as_ref())
}

/// The question that `decision` wants to be asked, if it wants one; `credential` is what came in.
pub(crate) fn wanted(
    digests: &Digests,
    account: &Account,
    client: ClientId,
    decision: &Decision,
    credential: &[u8],
    now: UnixTime,
) -> Result<Option<Answer>, StoreError> {
    let Verdict::Challenge(question) = decision.verdict else {
        return Ok(None);
    };
    let (stage, prompt) = match question {
        Question::Code => (Stage::Code, CODE),
        Question::NextCode => match Otp::parse(credential) {
            Ok(first) => (Stage::NextCode(first), NEXT_CODE),
            Err(_) => (Stage::Refused, CODE),
        },
    };
    let ask = Ask {
        user: Some(account.user.id),
        client,
        expires_at: UnixTime(now.0.saturating_add(DIALOGUE_LIFE)),
        stage,
        basis: basis(digests, account),
    };
    let state = digests.seal_state(&ask)?;
    let is_earned = account.user.password.is_some();
    Ok(Some(Answer::Challenge(Challenge {
        prompt,
        state,
        is_earned,
    })))
}

const CODE: &str = "Enter your one-time password.";
const NEXT_CODE: &str = "Enter the next one-time password that your token shows.";

/// The question that hides a refusal, if questions are asked here at all; its answer is refused.
///
/// A refusal for a reason that is not about the user's credentials is told at once: there is nothing to hide, and the user
/// should not be kept.
pub(crate) fn instead_of_refusal(
    digests: &Digests,
    client: &Client,
    account: Option<&Account>,
    reason: Reason,
    now: UnixTime,
) -> Option<Answer> {
    let grammar = client
        .grammar
        .or_else(|| account.and_then(|account| account.user.grammar));
    // Only there a code may come along with a password that nobody has looked at.
    let is_spent_code = grammar == Some(Grammar::Auto)
        && reason == Reason::ReplayedCode
        && account.is_some_and(|account| account.user.password.is_some());
    let is_hidden = matches!(
        reason,
        Reason::UnknownUser
            | Reason::UserDisabled
            | Reason::UserExpired
            | Reason::Locked
            | Reason::NoActiveToken
            | Reason::NoPassword
            | Reason::ChapWithPassword
            | Reason::WrongPassword
            | Reason::NoCredential
            | Reason::InvalidUserName
    );
    if !(is_hidden || is_spent_code) || !client.can_challenge || !grammar.is_some_and(Grammar::asks) {
        return None;
    }
    let user = account.map(|account| account.user.id);
    let ask = Ask {
        user,
        client: client.id,
        expires_at: UnixTime(now.0.saturating_add(DIALOGUE_LIFE)),
        stage: Stage::Refused,
        basis: account.map_or_else(
            || digests.basis(UserId(0), None),
            |account| basis(digests, account),
        ),
    };
    // Without randomness there is no question; the refusal stands.
    let state = digests.seal_state(&ask).ok()?;
    Some(Answer::Challenge(Challenge {
        prompt: CODE,
        state,
        is_earned: false,
    }))
}
