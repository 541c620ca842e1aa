//! Everything about the password of a request: at most one slow check, in turn, and no sign of it in the time of a
//! rejection.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use otp_validation::{PasswordHash, Reason, UserId};
use zeroize::Zeroizing;

use crate::{
    Clock, PasswordCache,
    checker::{Busy, Checker},
    pace::Pace,
    turns::{LineIsFull, Turn, Turns},
};

/// How long a request with a password check takes as far as anybody knows before the first one.
const ASSUMED: Duration = Duration::from_millis(80);
/// No rejection is held back longer for the sake of passwords.
const LONGEST_HOLD: Duration = Duration::from_secs(2);

/// The passwords of a service.
#[derive(Clone)]
pub(crate) struct Passwords {
    checker: Checker,
    turns: Turns,
    /// Shared with the clones: it can be changed on the way.
    cache: Arc<RwLock<Option<Arc<PasswordCache>>>>,
    /// Of whole requests with a check, from the snapshot to the verdict.
    pace: Arc<Pace>,
    clock: Arc<dyn Clock>,
}

/// What a request wants to know.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) user: UserId,
    pub(crate) password: &'a [u8],
    pub(crate) hash: &'a PasswordHash,
    /// By [`Clock::elapsed`]: the caller does not wait longer.
    pub(crate) deadline: Duration,
}

/// What it learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Right,
    Wrong,
    /// Others of the same user came first: the question is to be asked again if it still stands on a fresh snapshot.
    OthersCameFirst,
    /// There is no telling.
    Refused(Reason),
}

/// What one request has found out so far. To be kept until its verdict is committed: it is the user's turn till then.
#[derive(Default)]
pub(crate) struct Inquiry {
    turn: Option<Turn>,
    checked: Option<Checked>,
}

/// The outcome of this request's check.
struct Checked {
    password: Zeroizing<Vec<u8>>,
    hash: PasswordHash,
    is_right: bool,
}

impl Checked {
    /// Whether it answers the question: both come from the same request and store, nothing is leaked by comparing them.
    fn is_about(&self, question: Question<'_>) -> bool {
        *self.password == question.password && self.hash.as_str() == question.hash.as_str()
    }
}

impl Passwords {
    pub(crate) fn new(checker: Checker, clock: Arc<dyn Clock>) -> Self {
        Self {
            checker,
            turns: Turns::default(),
            cache: Arc::default(),
            pace: Arc::new(Pace::new(ASSUMED)),
            clock,
        }
    }

    /// From now on, passwords that were right are remembered in `cache`, or not at all; what was remembered is forgotten.
    pub(crate) fn set_cache(&self, cache: Option<PasswordCache>) {
        // One pointer is written under the lock: no panic leaves it half done.
        *self.cache.write().unwrap_or_else(PoisonError::into_inner) = cache.map(Arc::new);
    }

    /// How many checks run or wait.
    pub(crate) fn checks(&self) -> u32 {
        self.checker.queued()
    }

    fn cache(&self) -> Option<Arc<PasswordCache>> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a question; there is one check per request, however many rounds its decision takes.
    pub(crate) async fn ask(&self, question: Question<'_>, inquiry: &mut Inquiry) -> Finding {
        match &inquiry.checked {
            Some(known) if known.is_about(question) => return found(known.is_right),
            // The password was changed, or the code of another token is taken for right now.
            Some(_) => return Finding::Refused(Reason::Contended),
            None => {}
        }
        let Question {
            user,
            password,
            hash,
            deadline,
        } = question;
        let now = self.clock.elapsed();
        let cache = self.cache();
        let is_known = |cache: &Arc<PasswordCache>| cache.knows(user, password, hash, now);
        if cache.as_ref().is_some_and(is_known) {
            return Finding::Right;
        }
        if inquiry.turn.is_none() {
            let turn = match self.turns.next(user).await {
                Ok(turn) => turn,
                Err(LineIsFull) => return Finding::Refused(Reason::Contended),
            };
            let has_waited = turn.has_waited;
            inquiry.turn = Some(turn);
            if has_waited {
                return Finding::OthersCameFirst;
            }
        }
        let kept = Zeroizing::new(password.to_vec());
        let is_right = match self.checker.verify(kept.clone(), hash.clone(), deadline).await {
            Ok(is_right) => is_right,
            Err(Busy) => return Finding::Refused(Reason::Busy),
        };
        if let Some(cache) = cache.filter(|_| is_right) {
            cache.remember(user, password, hash, self.clock.elapsed());
        }
        inquiry.checked = Some(Checked {
            password: kept,
            hash: hash.clone(),
            is_right,
        });
        found(is_right)
    }

    /// A request has its verdict.
    pub(crate) fn settled(&self, inquiry: &Inquiry, took: Duration) {
        if inquiry.turn.is_some() {
            self.pace.saw(took);
        }
    }

    /// How long after receipt a rejection leaves at the earliest: a little longer than requests with a check take.
    pub(crate) fn hold(&self) -> Duration {
        let slowest = self.pace.slowest();
        slowest.saturating_add(slowest / 4).min(LONGEST_HOLD)
    }
}

const fn found(is_right: bool) -> Finding {
    if is_right { Finding::Right } else { Finding::Wrong }
}
