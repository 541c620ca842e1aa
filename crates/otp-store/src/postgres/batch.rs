//! What a group of changes comes to, given the rows that it is about: pure, so that it can be looked at alone.

use std::collections::{BTreeMap, HashMap};

use otp_validation::{ClientId, Lockout, TokenId, UnixTime, UserId};

use crate::commit::{Applied, Change};

/// The rows that a group is about, locked until it is committed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Present versions of accounts.
    pub(crate) versions: HashMap<UserId, i64>,
    /// Owner and replay state of tokens.
    pub(crate) tokens: HashMap<TokenId, (UserId, Vec<u8>)>,
    /// What may be accepted next, by replay state.
    pub(crate) next: HashMap<Vec<u8>, i64>,
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
}

/// An account moves on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) old: i64,
    pub(crate) new: i64,
    /// The end of the lock at all clients, if it changes.
    pub(crate) locked_until: Option<u64>,
    /// The verdicts that may be asked for again, if they change.
    pub(crate) acceptances: Option<Vec<u8>>,
    /// When the newest of them was given, if that changes.
    pub(crate) accepted_at: Option<UnixTime>,
}

/// Decides about every change in the order of the group.
///
/// A change is in the writes as a whole or not at all.
pub(crate) fn plan<'a>(mut seen: Seen, changes: impl Iterator<Item = &'a Change>) -> (Vec<Applied>, Writes) {
    let mut writes = Writes::default();
    let fates = changes
        .map(|change| match spent_states(&seen, change) {
            Some(states) => {
                join(change, states, &mut seen, &mut writes);
                Applied::Done
            }
            None => Applied::Conflict,
        })
        .collect();
    (fates, writes)
}

/// By replay state, what is there before and after a change.
type States = BTreeMap<Vec<u8>, (i64, i64)>;

/// The replay states that the change moves; `None` if it does not fit what was seen.
fn spent_states(seen: &Seen, change: &Change) -> Option<States> {
    if seen.versions.get(&change.user) != Some(&change.version.0) {
        return None;
    }
    let owned = |token: &TokenId| seen.tokens.get(token).filter(|(owner, _)| *owner == change.user);
    if !change.activates.iter().all(|token| owned(token).is_some()) {
        return None;
    }
    let mut states = States::new();
    for spend in &change.spends {
        let (_, id) = owned(&spend.token)?;
        let present = *seen.next.get(id)?;
        // Another token of this change may show the same codes.
        let already = states.get(id).map_or(present, |(_, next)| *next);
        if already > spend.matched {
            return None;
        }
        states.insert(id.clone(), (present, spend.next));
    }
    Some(states)
}

fn join(change: &Change, states: States, seen: &mut Seen, writes: &mut Writes) {
    let user = change.user;
    seen.versions.insert(user, change.becomes.0);
    for (id, (present, next)) in states {
        seen.next.insert(id.clone(), next);
        // The same seed may have been spent by another user's change of this group.
        writes
            .replay
            .entry(id)
            .and_modify(|(_, last)| *last = next)
            .or_insert((present, next));
    }
    let row = AccountRow {
        old: change.version.0,
        new: change.becomes.0,
        locked_until: change.locked_until,
        acceptances: change.verdicts.as_ref().map(|verdicts| verdicts.octets.clone()),
        accepted_at: change.accepted_at(),
    };
    // A confirmation of the version that this change was decided on is contained in it.
    writes.accounts.insert(user, row);
    let lockouts = change.lockouts.iter();
    writes
        .lockouts
        .extend(lockouts.map(|(client, lockout)| ((user, *client), *lockout)));
    writes.activated.extend(&change.activates);
}
