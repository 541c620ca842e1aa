//! What an account becomes by effects that were committed: so that whoever has a snapshot need not read it again.

use crate::{Account, AccountVersion, Effect, TokenMode, TokenStatus};

/// For how many seconds acceptances stay in a snapshot: longer than any grace.
const ACCEPTANCES_LIVE: u64 = 300;

impl Account {
    /// The account after `effects`, which were committed on its present version and brought it to `version`.
    ///
    /// `None` if they are about something that is not in the snapshot: then it has to be read again. Replay state that
    /// another token or account shares moves without this one; the store compares it whatever a snapshot says.
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
                }
                Effect::Twin { of, twin } => {
                    let first = self.acceptances.iter_mut().find(|kept| kept.packet == *of)?;
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
