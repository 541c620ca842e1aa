//! Snapshots kept in memory, so that a decision need not read what it, or the one before it, has just written.
//!
//! What is kept may be out of date: another process has changed the account. That is noticed where it matters: effects are
//! compared with the rows when they are committed, and a decision without effects is made again on a fresh snapshot
//! ([`crate::Freshness`]). So nothing has to be told to anybody.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use otp_validation::{Account, AccountVersion, UserId};

use crate::Commit;

/// Accounts in one of the two halves of a cache. An account with one token takes about a kilobyte.
const HALF: usize = 50_000;

/// Accounts that were looked at or changed lately: at most some hundred thousand.
#[derive(Debug)]
pub struct Cache {
    state: Mutex<State>,
    half: usize,
}

/// Whatever is asked for moves to the young half; when that is full, the old one is forgotten.
#[derive(Debug, Default)]
struct State {
    young: HashMap<UserId, Arc<Account>>,
    old: HashMap<UserId, Arc<Account>>,
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
    pub fn find(&self, name: &str) -> Option<Arc<Account>> {
        let mut state = self.lock();
        let user = state.user(name)?;
        if let Some(account) = state.young.get(&user) {
            return Some(Arc::clone(account));
        }
        let account = state.old.remove(&user)?;
        state.make_room(self.half);
        state.young_names.insert(name.to_owned(), user);
        state.young.insert(user, Arc::clone(&account));
        Some(account)
    }

    /// Keeps what `name` has just led to.
    pub fn keep(&self, name: &str, account: &Arc<Account>) {
        let mut state = self.lock();
        state.make_room(self.half);
        let user = account.user.id;
        state.old.remove(&user);
        state.young.insert(user, Arc::clone(account));
        state.young_names.insert(name.to_owned(), user);
    }

    /// Learns what became of effects that were decided on version `from` of an account, which would be `after` by them;
    /// `None` if they failed.
    pub fn learn(&self, from: AccountVersion, after: Account, committed: Option<&Commit>) {
        match committed {
            // A repetition that was confirmed has changed nothing.
            Some(Commit::Accepted(_) | Commit::Recorded) if after.version == from => {}
            Some(Commit::Accepted(_) | Commit::Recorded) => self.advance(from, after),
            // Whatever is known of the account is out of date, or may be.
            Some(Commit::Conflict) | None => self.forget(after.user.id),
        }
    }

    /// Brings an account up to date that was changed through this store.
    fn advance(&self, from: AccountVersion, after: Account) {
        let (user, after) = (after.user.id, Arc::new(after));
        let mut state = self.lock();
        let state = &mut *state;
        let half = if state.young.contains_key(&user) {
            &mut state.young
        } else {
            &mut state.old
        };
        let Some(kept) = half.get_mut(&user) else {
            return;
        };
        if kept.version == from {
            *kept = after;
        } else {
            half.remove(&user);
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
    use otp_validation::{Lockouts, ReplyAttributes, User, UserName};

    use super::*;

    fn account(id: i64, version: i64) -> Arc<Account> {
        Arc::new(Account {
            user: User {
                id: UserId(id),
                name: UserName::parse(format!("user{id}").as_bytes()).unwrap(),
                enabled: true,
                expires_at: None,
                password: None,
                grammar: None,
                reply: ReplyAttributes::default(),
                upstream: None,
            },
            tokens: Vec::new(),
            lockouts: Lockouts::default(),
            acceptances: Vec::new(),
            ended_dialogues: Vec::new(),
            version: AccountVersion(version),
        })
    }

    fn advance(cache: &Cache, id: i64, from: i64, to: i64) {
        cache.advance(AccountVersion(from), Account::clone(&account(id, to)));
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
        advance(&cache, 1, 7, 99);
        assert_eq!(version(&cache, "alice"), Some(99));
        assert_eq!(version(&cache, "alice@REALM"), Some(99));
        // A commit on another version than the one that is kept.
        advance(&cache, 1, 7, 8);
        assert_eq!(version(&cache, "alice"), None);
        cache.keep("alice", &account(1, 8));
        cache.forget(UserId(1));
        assert_eq!(version(&cache, "alice"), None);
        // Nor is anything kept that nobody has asked for.
        advance(&cache, 1, 8, 9);
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
