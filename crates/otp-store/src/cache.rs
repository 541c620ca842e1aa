//! Snapshots kept in memory, so that a decision need not read what it, or the one before it, has just written.
//!
//! What is kept may be out of date: another process has changed the account. That is noticed where it matters: effects are
//! compared with the rows when they are committed, and a decision without effects is made again on a fresh snapshot
//! ([`crate::Freshness`]). So nothing has to be told to anybody.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use otp_validation::{Account, AccountVersion, Effect, UserId};

use crate::Commit;

/// Accounts in one of the two halves of a cache. An account with one token takes about a kilobyte.
const HALF: usize = 50_000;

/// Acceptances that are kept with an account.
const ACCEPTANCES: usize = 8;

/// Accounts that were looked at or changed lately: at most some hundred thousand.
#[derive(Debug)]
pub struct Cache {
    state: Mutex<State>,
    half: usize,
}

/// Whatever is asked for moves to the young half; when that is full, the old one is forgotten.
#[derive(Debug, Default)]
struct State {
    young: HashMap<UserId, Account>,
    old: HashMap<UserId, Account>,
    /// Which account a name led to, as it was asked for.
    young_names: HashMap<String, UserId>,
    old_names: HashMap<String, UserId>,
}

impl Default for Cache {
    fn default() -> Self {
        Self::of(HALF)
    }
}

impl Cache {
    fn of(half: usize) -> Self {
        Self {
            state: Mutex::default(),
            half,
        }
    }

    /// The account that `name` led to, if it is kept.
    pub fn find(&self, name: &str) -> Option<Account> {
        let mut state = self.lock();
        let user = state.user(name)?;
        let account = match state.young.get(&user) {
            Some(account) => account.clone(),
            None => {
                let account = state.old.remove(&user)?;
                state.make_room(self.half);
                state.young_names.insert(name.to_owned(), user);
                state.young.entry(user).insert_entry(account).get().clone()
            }
        };
        Some(account)
    }

    /// Keeps what `name` has just led to.
    pub fn keep(&self, name: &str, account: &Account) {
        let mut state = self.lock();
        state.make_room(self.half);
        let user = account.user.id;
        state.old.remove(&user);
        state.young.insert(user, with_latest(account.clone()));
        state.young_names.insert(name.to_owned(), user);
    }

    /// Learns what became of `effects` that were decided on version `from`, so that the account would get version `to`;
    /// `None` if they failed.
    pub fn learn(
        &self,
        user: UserId,
        from: AccountVersion,
        to: AccountVersion,
        effects: &[Effect],
        committed: Option<&Commit>,
    ) {
        match committed {
            // A repetition that was confirmed has changed nothing.
            Some(Commit::Accepted(_) | Commit::Recorded) if effects.is_empty() => {}
            Some(Commit::Accepted(_) | Commit::Recorded) => self.advance(user, from, to, effects),
            // Whatever is known of the account is out of date, or may be.
            Some(Commit::Conflict) | None => self.forget(user),
        }
    }

    /// Brings an account up to date that was changed through this store.
    fn advance(&self, user: UserId, from: AccountVersion, to: AccountVersion, effects: &[Effect]) {
        let mut state = self.lock();
        let state = &mut *state;
        let half = if state.young.contains_key(&user) {
            &mut state.young
        } else {
            &mut state.old
        };
        let is_base = |account: &Account| account.version == from;
        let advanced = half
            .remove(&user)
            .filter(is_base)
            .and_then(|account| account.after(effects, to))
            .map(with_latest);
        if let Some(account) = advanced {
            half.insert(user, account);
        }
    }

    /// Forgets an account that has turned out to be out of date.
    pub(crate) fn forget(&self, user: UserId) {
        let mut state = self.lock();
        state.young.remove(&user);
        state.old.remove(&user);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // Whatever a panic has left half done is read again.
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            *state = State::default();
            state
        })
    }
}

/// The account with its latest acceptances alone: a person has one or two in the time that they are asked for, and a
/// machine that logs in all the time would make every snapshot large.
///
/// A repetition of an older one is no fresh code here either; it is recognised on a fresh snapshot.
fn with_latest(mut account: Account) -> Account {
    let surplus = account.acceptances.len().saturating_sub(ACCEPTANCES);
    account.acceptances.drain(..surplus);
    account
}

impl State {
    fn user(&self, name: &str) -> Option<UserId> {
        let user = self.young_names.get(name).or_else(|| self.old_names.get(name))?;
        Some(*user)
    }

    fn make_room(&mut self, half: usize) {
        // One account may have several names, of which anybody can think up more.
        if self.young.len() >= half || self.young_names.len() >= half.saturating_mul(2) {
            self.old = std::mem::take(&mut self.young);
            self.old_names = std::mem::take(&mut self.young_names);
        }
    }
}

#[cfg(test)]
mod tests {
    use otp_validation::{Lockouts, User, UserName};

    use super::*;

    fn account(id: i64, version: i64) -> Account {
        Account {
            user: User {
                id: UserId(id),
                name: UserName::parse(format!("user{id}").as_bytes()).unwrap(),
                enabled: true,
                expires_at: None,
                password: None,
                grammar: None,
            },
            tokens: Vec::new(),
            lockouts: Lockouts::default(),
            acceptances: Vec::new(),
            version: AccountVersion(version),
        }
    }

    fn version(cache: &Cache, name: &str) -> Option<i64> {
        cache.find(name).map(|account| account.version.0)
    }

    #[test]
    fn what_was_committed_here_is_known_and_nothing_else_is_guessed() {
        let cache = Cache::of(4);
        assert_eq!(version(&cache, "alice"), None);
        cache.keep("alice", &account(1, 7));
        cache.keep("alice@REALM", &account(1, 7));
        let (one, other) = (AccountVersion(7), AccountVersion(99));
        cache.advance(UserId(1), one, other, &[]);
        assert_eq!(version(&cache, "alice"), Some(99));
        assert_eq!(version(&cache, "alice@REALM"), Some(99));
        // A commit on another version than the one that is kept.
        cache.advance(UserId(1), one, AccountVersion(8), &[]);
        assert_eq!(version(&cache, "alice"), None);
        cache.keep("alice", &account(1, 8));
        cache.forget(UserId(1));
        assert_eq!(version(&cache, "alice"), None);
        // Effects on what is not there.
        cache.keep("alice", &account(1, 8));
        let activate = Effect::Activate {
            token: otp_validation::TokenId(5),
        };
        cache.advance(UserId(1), AccountVersion(8), AccountVersion(9), &[activate]);
        assert_eq!(version(&cache, "alice"), None);
    }

    #[test]
    fn it_does_not_grow_and_keeps_what_is_used() {
        let cache = Cache::of(4);
        for id in 0..100 {
            cache.keep(&format!("user{id}"), &account(id, id));
            assert_eq!(version(&cache, "user0"), Some(0), "asked for each time, at {id}");
            let state = cache.lock();
            assert!(state.young.len() + state.old.len() <= 10);
            assert!(state.young_names.len() + state.old_names.len() <= 20);
        }
        assert_eq!(version(&cache, "user50"), None);
        for name in 0..100 {
            cache.keep(&format!("alias{name}"), &account(1, 1));
        }
        let state = cache.lock();
        assert!(state.young_names.len() + state.old_names.len() <= 20);
    }
}
