//! What an account becomes by effects that were committed: so that whoever has a snapshot need not read it again.

use crate::{Account, AccountVersion, ENDED_DIALOGUES, Effect, TokenMode, TokenStatus};

/// For how many seconds acceptances are kept at least: longer than any grace.
pub const ACCEPTANCES_LIVE: u64 = 300;

/// How many acceptances are kept of one account: a person has one or two in the time that they may be asked for, and a
/// machine that logs in all the time shall not make every snapshot large.
pub const ACCEPTANCES_KEPT: usize = 8;

impl Account {
    /// The account after `effects`, which are committed on its present version and bring it to `version`.
    ///
    /// `None` if they are about something that is not in the snapshot: they cannot be committed on it. Replay state that
    /// another token or account shares moves without this one; the store compares it whatever a snapshot says.
    ///
    /// Of acceptances, those of the last [`ACCEPTANCES_LIVE`] seconds stay, but no more than the latest
    /// [`ACCEPTANCES_KEPT`]. Of dialogues that have ended, all must stay until they have expired: there is no room for more than
    /// [`ENDED_DIALOGUES`] at a time, and none that has ended ends again.
    #[must_use]
    pub fn after(mut self, effects: &[Effect], version: AccountVersion) -> Option<Self> {
        for effect in effects {
            match effect {
                Effect::Consume { token, next, .. } => {
                    let spent = self.tokens.iter_mut().find(|candidate| candidate.id == *token)?;
                    match &mut spent.mode {
                        TokenMode::Hotp { state, .. } => state.next = *next,
                        TokenMode::Totp { state, .. } => state.next = *next,
                    }
                }
                Effect::Activate { token } => {
                    let proven = self.tokens.iter_mut().find(|candidate| candidate.id == *token)?;
                    proven.status = TokenStatus::Active;
                }
                Effect::SetLockout {
                    client,
                    lockout,
                    locked_until,
                } => {
                    self.lockouts.set(*client, *lockout);
                    self.lockouts.locked_until = *locked_until;
                }
                Effect::Remember(acceptance) => {
                    let begin = acceptance.at.0.saturating_sub(ACCEPTANCES_LIVE);
                    self.acceptances
                        .retain_mut(|kept| kept.at.0 >= begin && kept.take_back(acceptance.packet));
                    self.acceptances.push(acceptance.clone());
                    let surplus = self.acceptances.len().saturating_sub(ACCEPTANCES_KEPT);
                    self.acceptances.drain(..surplus);
                }
                Effect::EndDialogue { ended, at } => {
                    self.ended_dialogues.retain(|other| other.expires_at >= *at);
                    if self.ended_dialogues.len() >= ENDED_DIALOGUES
                        || self.ended_dialogues.iter().any(|other| other.id == ended.id)
                    {
                        return None;
                    }
                    self.ended_dialogues.push(*ended);
                }
                Effect::Twin { of, twin } => {
                    let first = self.acceptances.iter_mut().find(|kept| kept.packet == *of)?;
                    if first.was_given_to(twin.packet) {
                        return None;
                    }
                    first.twins.push(*twin);
                    self.acceptances
                        .retain_mut(|kept| kept.packet == *of || kept.take_back(twin.packet));
                }
            }
        }
        self.version = version;
        Some(self)
    }
}
