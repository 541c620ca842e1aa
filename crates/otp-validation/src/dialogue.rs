//! A login in several steps: the password first, then the code, and the next code where a token has run ahead.
//!
//! Between two steps the server keeps nothing: what it has to know travels with the user, sealed, in State (RFC 2865 §5.24).
//! What a decision needs of it is a [`Dialogue`].

use std::fmt;

use otp_core::Otp;

use crate::{ClientId, UnixTime, UserId};

/// For how many seconds a person may think about the answer. Longer than anybody needs to unlock a phone, shorter than a
/// State on a lost laptop is worth anything.
pub const DIALOGUE_LIFE: u64 = 120;

/// After how many questions in a row that rested on a right password a client is taken for one that never answers, with
/// [`Grammar::Auto`](crate::Grammar::Auto).
pub const UNANSWERED_QUESTIONS: u64 = 5;

/// Whether a client can be asked, for all that is known of it: of the questions that rested on a right password it has been `asked`,
/// and the `answered` ones of all.
///
/// One answer is proof. Guesses at passwords lead to questions as well, but count for nothing: who guesses may not care to answer.
#[must_use]
pub const fn can_be_asked(asked: u64, answered: u64) -> bool {
    answered > 0 || asked < UNANSWERED_QUESTIONS
}

/// How many dialogues of one account that have come to their end are remembered until they would have expired.
pub const ENDED_DIALOGUES: usize = 16;

/// Names one step of a dialogue, and no other; drawn by lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DialogueId(pub [u8; 16]);

/// What the server has told itself by way of the client: how far a login has come.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// Its name. Each is answered once.
    pub id: DialogueId,
    /// Who logs in; `None` if nobody has the name.
    pub user: Option<UserId>,
    /// Where. An answer through another client is none.
    pub client: ClientId,
    /// The last second in which it may be answered.
    pub expires_at: UnixTime,
    /// What is awaited.
    pub stage: Stage,
}

impl Dialogue {
    /// Whether `user` may answer it through `client` at `now`.
    ///
    /// One that expires later than any that begins now comes from a clock that has been set back since.
    #[must_use]
    pub fn is_open(&self, user: UserId, client: ClientId, now: UnixTime) -> bool {
        let last = now.0.saturating_add(DIALOGUE_LIFE);
        self.user == Some(user) && self.client == client && (now.0..=last).contains(&self.expires_at.0)
    }
}

/// What a dialogue awaits.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Stage {
    /// A code: the password was right.
    Code,
    /// The code after this one, which is further ahead than a token's window: two in a row show that it is no guess.
    NextCode(Otp),
    /// Nothing: the login was refused when it began, only that nobody has been told.
    Refused,
}

/// Shows no code.
impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "Code",
            Self::NextCode(_) => "NextCode(..)",
            Self::Refused => "Refused",
        })
    }
}

/// A dialogue that has come to its end, or to its next step: it is not answered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedDialogue {
    /// Which.
    pub id: DialogueId,
    /// Until when it has to be remembered.
    pub expires_at: UnixTime,
}
