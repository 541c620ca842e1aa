//! A store of a few lines, in memory: what the real ones are held against, and what a simulation runs on.
//!
//! It keeps nothing beyond its own life, so it has no place in a program that lets people in.

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr, sync::Arc};

use otp_core::TokenKey;
use otp_validation::{
    ACCEPTANCES_KEPT, ACCEPTANCES_LIVE, Acceptance, Account, AccountVersion, ClientId, Decision,
    ENDED_DIALOGUES, Effect, EndedDialogue, Lockouts, PasswordHash, ReplyAttributes, Token, TokenId,
    TokenMode, TokenStatus, UnixTime, User, UserId, UserName,
};

use crate::{
    ClientRecord, ClientSource, Commit, Digests, NewClient, Source, StoreError, commit::accepted_token,
    digest::ReplayId,
};

pub use crate::cache::Cache;

/// Users, tokens, clients and replay state in memory. A clone is a copy of its own.
#[derive(Clone, Debug)]
pub struct Model {
    digests: Digests,
    users: BTreeMap<UserId, UserRow>,
    tokens: BTreeMap<TokenId, TokenRow>,
    replay: BTreeMap<ReplayId, u64>,
    clients: Vec<Arc<ClientRecord>>,
    newest_acceptance: Option<UnixTime>,
    /// Whether commits look at what they change.
    compares: bool,
}

#[derive(Clone, Debug)]
struct UserRow {
    name: UserName,
    password: Option<PasswordHash>,
    lockouts: Lockouts,
    version: AccountVersion,
    acceptances: Vec<Acceptance>,
    ended: Vec<EndedDialogue>,
}

#[derive(Clone)]
struct TokenRow {
    user: UserId,
    label: String,
    status: TokenStatus,
    key: Arc<TokenKey>,
    mode: TokenMode,
    replay: ReplayId,
}

impl std::fmt::Debug for TokenRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRow")
            .field("user", &self.user)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// An empty store whose digests have this key.
    pub fn new(index_key: &[u8; 32]) -> Self {
        Self {
            digests: Digests::new(index_key),
            users: BTreeMap::new(),
            tokens: BTreeMap::new(),
            replay: BTreeMap::new(),
            clients: Vec::new(),
            newest_acceptance: None,
            compares: true,
        }
    }

    /// From now on commits overwrite whatever is there, as a store does that checks and then writes: for seeing that a
    /// test notices.
    pub fn dangerous_stop_comparing(&mut self) {
        self.compares = false;
    }

    /// The store's keyed digests.
    pub fn digests(&self) -> Digests {
        self.digests.clone()
    }

    /// Adds a user.
    pub fn add_user(&mut self, name: UserName, password: Option<PasswordHash>) -> UserId {
        let id = UserId(next_id(self.users.len()));
        let row = UserRow {
            name,
            password,
            lockouts: Lockouts::default(),
            version: AccountVersion(0),
            acceptances: Vec::new(),
            ended: Vec::new(),
        };
        self.users.insert(id, row);
        id
    }

    /// Sets or removes a user's password.
    pub fn set_password(&mut self, user: UserId, password: Option<PasswordHash>) {
        if let Some(account) = self.users.get_mut(&user) {
            account.password = password;
            account.version = AccountVersion(account.version.0.saturating_add(1));
        }
    }

    /// Adds an active token. Its replay state is the larger of what `mode` says and what its seed has already.
    pub fn add_token(&mut self, user: UserId, label: &str, key: TokenKey, mode: TokenMode) -> TokenId {
        let id = TokenId(next_id(self.tokens.len()));
        let replay = self.digests.replay_id(&mode, &key);
        let next = self.replay.entry(replay).or_default();
        *next = (*next).max(next_of(&mode));
        let row = TokenRow {
            user,
            label: label.to_owned(),
            status: TokenStatus::Active,
            key: Arc::new(key),
            mode,
            replay,
        };
        self.tokens.insert(id, row);
        // As any change to an account does.
        if let Some(account) = self.users.get_mut(&user) {
            account.version = AccountVersion(account.version.0.saturating_add(1));
        }
        id
    }

    /// Adds a client.
    pub fn add_client(&mut self, client: &NewClient) -> ClientId {
        let id = ClientId(next_id(self.clients.len()));
        self.clients.push(Arc::new(ClientRecord {
            id,
            name: client.name.clone(),
            enabled: true,
            source: client.source,
            nas_identifier: client.nas_identifier.clone(),
            secret: client.secret.clone(),
            old_secret: None,
            message_authenticator: client.message_authenticator,
            grammar: client.grammar,
            repeat_grace: client.repeat_grace,
            reject_delay: client.reject_delay,
            reply: ReplyAttributes::default(),
            learning: 0,
            created_at: client.created_at,
        }));
        id
    }

    /// As [`Store::account`](crate::Store::account).
    pub fn account(&self, name: &UserName) -> Option<Account> {
        let (id, row) = name
            .candidates()
            .find_map(|candidate| self.users.iter().find(|(_, row)| row.name == candidate))?;
        Some(Account {
            user: User {
                id: *id,
                name: row.name.clone(),
                enabled: true,
                expires_at: None,
                password: row.password.clone(),
                grammar: None,
                reply: ReplyAttributes::default(),
                upstream: None,
            },
            tokens: self.tokens_of(*id),
            lockouts: row.lockouts.clone(),
            acceptances: row.acceptances.clone(),
            ended_dialogues: row.ended.clone(),
            version: row.version,
        })
    }

    fn tokens_of(&self, user: UserId) -> Vec<Token> {
        let of_user = self.tokens.iter().filter(|(_, token)| token.user == user);
        of_user
            .filter_map(|(id, token)| {
                Some(Token {
                    id: *id,
                    label: token.label.clone(),
                    enabled: true,
                    status: token.status,
                    key: TokenKey::dangerous_allow_short(token.key.as_bytes()).ok()?,
                    mode: at(
                        token.mode,
                        self.replay.get(&token.replay).copied().unwrap_or_default(),
                    ),
                })
            })
            .collect()
    }

    /// As [`Store::commit`](crate::Store::commit), at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unproven`] if an acceptance neither spends a code nor repeats an acceptance;
    /// [`StoreError::UnknownEffect`].
    pub fn commit(&mut self, account: &Account, decision: &Decision) -> Result<Commit, StoreError> {
        let (user, version) = (account.user.id, account.version);
        let accepts = accepted_token(decision)?;
        if decision.effects.is_empty() {
            return Ok(Commit::durable(accepts));
        }
        // All effects on a copy, so that it is all of them or none.
        let mut changed = self.clone();
        if !changed.apply(user, version, &decision.effects)? {
            return Ok(Commit::Conflict);
        }
        *self = changed;
        Ok(Commit::durable(accepts))
    }

    /// Whether all effects could be applied.
    fn apply(
        &mut self,
        user: UserId,
        version: AccountVersion,
        effects: &[Effect],
    ) -> Result<bool, StoreError> {
        let compares = self.compares;
        let as_seen = |row: &&mut UserRow| row.version == version || !compares;
        let Some(account) = self.users.get_mut(&user).filter(as_seen) else {
            return Ok(false);
        };
        account.version = AccountVersion(version.0.saturating_add(1));
        for effect in effects {
            if !self.apply_one(user, effect)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn apply_one(&mut self, user: UserId, effect: &Effect) -> Result<bool, StoreError> {
        let (users, tokens) = (&mut self.users, &mut self.tokens);
        let Some(account) = users.get_mut(&user) else {
            return Ok(false);
        };
        Ok(match effect {
            Effect::Consume { token, matched, next } => {
                if next <= matched {
                    return Err(StoreError::Unproven);
                }
                let of_user = tokens.get(token).filter(|token| token.user == user);
                let state = of_user.and_then(|token| self.replay.get_mut(&token.replay));
                match state.filter(|state| **state <= *matched || !self.compares) {
                    Some(state) => {
                        *state = *next;
                        true
                    }
                    None => false,
                }
            }
            Effect::Activate { token } => match tokens.get_mut(token).filter(|token| token.user == user) {
                Some(token) => {
                    token.status = TokenStatus::Active;
                    true
                }
                None => false,
            },
            Effect::SetLockout {
                client,
                lockout,
                locked_until,
            } => {
                account.lockouts.set(*client, *lockout);
                account.lockouts.locked_until = *locked_until;
                true
            }
            Effect::Remember(acceptance) => {
                let begin = acceptance.at.0.saturating_sub(ACCEPTANCES_LIVE);
                account
                    .acceptances
                    .retain_mut(|kept| kept.at.0 >= begin && kept.take_back(acceptance.packet));
                account.acceptances.push(acceptance.clone());
                if account.acceptances.len() > ACCEPTANCES_KEPT {
                    account.acceptances.remove(0);
                }
                self.newest_acceptance = self.newest_acceptance.max(Some(acceptance.at));
                true
            }
            Effect::EndDialogue { ended, at } => {
                account.ended.retain(|other| other.expires_at >= *at);
                let is_new = account.ended.iter().all(|other| other.id != ended.id);
                if is_new && account.ended.len() < ENDED_DIALOGUES {
                    account.ended.push(*ended);
                    true
                } else {
                    false
                }
            }
            Effect::Twin { of, twin } => match account.acceptances.iter_mut().find(|kept| kept.packet == *of)
            {
                Some(first) if !first.was_given_to(twin.packet) => {
                    first.twins.push(*twin);
                    account
                        .acceptances
                        .retain_mut(|kept| kept.packet == *of || kept.take_back(twin.packet));
                    true
                }
                _ => false,
            },
            other => return Err(StoreError::UnknownEffect(format!("{other:?}"))),
        })
    }

    /// As [`Store::newest_acceptance`](crate::Store::newest_acceptance).
    pub fn newest_acceptance(&self) -> Option<UnixTime> {
        self.newest_acceptance
    }

    /// As [`Store::forget_acceptances`](crate::Store::forget_acceptances).
    pub fn forget_acceptances(&mut self) {
        self.newest_acceptance = None;
        for row in self.users.values_mut() {
            row.acceptances.clear();
            row.version = AccountVersion(row.version.0.saturating_add(1));
        }
    }

    /// As [`Store::client_for`](crate::Store::client_for).
    pub fn client_for(&self, source: &Source) -> Option<Arc<ClientRecord>> {
        let (address, identifier) = match source {
            Source::Listener(name) => {
                let mut clients = self.clients.iter();
                return clients
                    .find(|client| client.source == ClientSource::Unix && client.name == *name)
                    .cloned();
            }
            Source::Address(address) => (*address, None),
            Source::Nas(address, identifier) => (*address, Some(identifier.as_slice())),
        };
        let fits = |client: &ClientRecord| {
            let wanted = client.nas_identifier.as_ref().map(String::as_bytes);
            wanted.is_none() || wanted == identifier
        };
        self.clients_at(address).into_iter().find(|client| fits(client))
    }

    /// As [`Store::clients_at`](crate::Store::clients_at).
    pub fn clients_at(&self, address: IpAddr) -> Vec<Arc<ClientRecord>> {
        let prefix = |client: &ClientRecord| match client.source {
            ClientSource::Network(network) if network.contains(&address.to_canonical()) => {
                Some((network.prefix_len(), client.nas_identifier.is_some()))
            }
            _ => None,
        };
        let mut fitting: Vec<_> = self
            .clients
            .iter()
            .filter_map(|client| Some((prefix(client)?, Arc::clone(client))))
            .collect();
        fitting.sort_by_key(|(prefix, _)| Reverse(*prefix));
        fitting.into_iter().map(|(_, client)| client).collect()
    }

    /// The smallest counter or step of each token that may still be accepted.
    pub fn replay_state(&self) -> BTreeMap<TokenId, u64> {
        let tokens = self.tokens.iter();
        tokens
            .map(|(id, token)| (*id, self.replay.get(&token.replay).copied().unwrap_or_default()))
            .collect()
    }

    /// Failures and locks of each user.
    pub fn lockouts(&self) -> BTreeMap<UserId, Lockouts> {
        let users = self.users.iter();
        users.map(|(id, row)| (*id, row.lockouts.clone())).collect()
    }
}

/// Numbers from 1 on; rows are never removed.
fn next_id(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX).saturating_add(1)
}

fn next_of(mode: &TokenMode) -> u64 {
    match mode {
        TokenMode::Hotp { state, .. } => state.next,
        TokenMode::Totp { state, .. } => state.next,
    }
}

/// The mode with this replay state.
fn at(mut mode: TokenMode, replay: u64) -> TokenMode {
    match &mut mode {
        TokenMode::Hotp { state, .. } => state.next = replay,
        TokenMode::Totp { state, .. } => state.next = replay,
    }
    mode
}
