//! What a group of changes comes to, given the rows that it is about: pure, so that it can be looked at alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use otp_validation::{Acceptance, ClientId, Effect, Lockout, TokenId, Twin, UserId};

use crate::{
    StoreError,
    commit::{Applied, Change, spent, spent_by},
};

/// The rows that a group is about, locked until it is committed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Present versions of accounts.
    pub(crate) versions: HashMap<UserId, i64>,
    /// Owner and replay state of tokens.
    pub(crate) tokens: HashMap<TokenId, (UserId, Vec<u8>)>,
    /// What may be accepted next, by replay state.
    pub(crate) next: HashMap<Vec<u8>, i64>,
    /// Remembered acceptances that a twin may repeat.
    pub(crate) acceptances: BTreeSet<(UserId, [u8; 32])>,
}

/// What is to be written: at most one change of each account.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) accounts: BTreeMap<UserId, AccountRow>,
    /// Failures and locks at clients; the default forgives.
    pub(crate) lockouts: BTreeMap<(UserId, ClientId), Lockout>,
    /// The state before and after, by replay state.
    pub(crate) replay: BTreeMap<Vec<u8>, (i64, i64)>,
    pub(crate) activated: Vec<TokenId>,
    pub(crate) acceptances: Vec<AcceptanceRow>,
    pub(crate) twins: Vec<TwinRow>,
}

/// An account moves on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    user: UserId,
    pub(crate) old: i64,
    pub(crate) new: i64,
    /// The end of the lock at all clients, if it changes.
    pub(crate) locked_until: Option<u64>,
}

/// A verdict to be kept.
#[derive(Debug)]
pub(crate) struct AcceptanceRow {
    pub(crate) user: UserId,
    pub(crate) matched: i64,
    pub(crate) change: i64,
    pub(crate) acceptance: Acceptance,
}

/// A twin to be counted.
#[derive(Debug)]
pub(crate) struct TwinRow {
    pub(crate) user: UserId,
    pub(crate) of: [u8; 32],
    pub(crate) change: i64,
    pub(crate) twin: Twin,
}

/// What becomes of one change, once the writes are durable.
pub(crate) type Fate = Result<Applied, StoreError>;

/// Decides about every change in the order of the group.
///
/// A change is in the writes as a whole or not at all.
pub(crate) fn plan<'a>(mut seen: Seen, changes: impl Iterator<Item = &'a Change>) -> (Vec<Fate>, Writes) {
    let mut writes = Writes::default();
    let fates = changes
        .map(|change| match Draft::of(&seen, change) {
            Ok(Some(draft)) => {
                draft.join(&mut seen, &mut writes);
                Ok(Applied::Done)
            }
            Ok(None) => Ok(Applied::Conflict),
            Err(refusal) => Err(refusal),
        })
        .collect();
    (fates, writes)
}

/// The writes of one change.
struct Draft {
    account: AccountRow,
    lockouts: BTreeMap<(UserId, ClientId), Lockout>,
    consumed: BTreeMap<Vec<u8>, (i64, i64)>,
    activated: Vec<TokenId>,
    acceptances: Vec<AcceptanceRow>,
    twins: Vec<TwinRow>,
}

impl Draft {
    /// `None` if the change does not fit what was seen.
    fn of(seen: &Seen, change: &Change) -> Result<Option<Self>, StoreError> {
        let user = change.user;
        if seen.versions.get(&user) != Some(&change.version.0) {
            return Ok(None);
        }
        // A confirmation changes nothing: the write alone is what makes everything before it durable.
        let is_change = !change.effects.is_empty();
        let mut draft = Self {
            account: AccountRow {
                user,
                old: change.version.0,
                new: if is_change {
                    change.becomes.0
                } else {
                    change.version.0
                },
                locked_until: None,
            },
            lockouts: BTreeMap::new(),
            consumed: BTreeMap::new(),
            activated: Vec::new(),
            acceptances: Vec::new(),
            twins: Vec::new(),
        };
        for effect in &change.effects {
            if !draft.add(seen, change, effect)? {
                return Ok(None);
            }
        }
        Ok(Some(draft))
    }

    /// `false` if the effect does not fit what was seen.
    fn add(&mut self, seen: &Seen, change: &Change, effect: &Effect) -> Result<bool, StoreError> {
        let user = change.user;
        let owned = |token: &TokenId| seen.tokens.get(token).filter(|(owner, _)| *owner == user);
        match effect {
            Effect::Consume { token, matched, next } => {
                let (matched, next) = spent(*matched, *next)?;
                let Some((_, id)) = owned(token) else {
                    return Ok(false);
                };
                let Some(present) = seen.next.get(id) else {
                    return Ok(false);
                };
                let already = self.consumed.get(id).map_or(*present, |(_, next)| *next);
                if already > matched {
                    return Ok(false);
                }
                self.consumed.insert(id.clone(), (*present, next));
            }
            Effect::Activate { token } => {
                if owned(token).is_none() {
                    return Ok(false);
                }
                self.activated.push(*token);
            }
            Effect::SetLockout {
                client,
                lockout,
                locked_until,
            } => {
                self.account.locked_until = Some(*locked_until);
                self.lockouts.insert((user, *client), *lockout);
            }
            Effect::Remember(acceptance) => {
                let matched = spent_by(&change.effects, acceptance)?;
                self.acceptances.push(AcceptanceRow {
                    user,
                    matched,
                    change: change.becomes.0,
                    acceptance: acceptance.clone(),
                });
            }
            Effect::Twin { of, twin } => {
                if !seen.acceptances.contains(&(user, of.0)) || twin.packet == *of {
                    return Ok(false);
                }
                self.twins.push(TwinRow {
                    user,
                    of: of.0,
                    change: change.becomes.0,
                    twin: *twin,
                });
            }
            other => return Err(StoreError::UnknownEffect(format!("{other:?}"))),
        }
        Ok(true)
    }

    fn join(self, seen: &mut Seen, writes: &mut Writes) {
        seen.versions.insert(self.account.user, self.account.new);
        for (id, (present, next)) in self.consumed {
            seen.next.insert(id.clone(), next);
            // The same seed may have been spent by another user's change of this group.
            writes
                .replay
                .entry(id)
                .and_modify(|(_, last)| *last = next)
                .or_insert((present, next));
        }
        // A confirmation of the version that this change was decided on is contained in it.
        writes.accounts.insert(self.account.user, self.account);
        writes.lockouts.extend(self.lockouts);
        writes.activated.extend(self.activated);
        writes.acceptances.extend(self.acceptances);
        writes.twins.extend(self.twins);
    }
}
