//! Tokens: how they are stored, and their administration.

use std::num::NonZeroU64;

use otp_core::{Algorithm, Digits, Hotp, HotpState, TokenKey, Totp, TotpState, Window};
use otp_validation::{TokenId, TokenMode, TokenStatus, UnixTime, UserId, UserName};
use rand::CryptoRng;

use crate::{
    Kind, NewUser, Store, StoreError,
    audit::Deed,
    commit::touch,
    digest::ReplayId,
    error::Fault,
    seal::{Place, Sealed},
    sql::{Row, Sql, values},
    store::Secrets,
    user::{self, name_values, stored_name},
    value::{Uid, check_name, exact, random_uid, time, unix_time, unsigned},
};

/// A token to be added.
#[derive(Debug)]
pub struct NewToken {
    /// Whose it is.
    pub user: UserName,
    /// Its name among the user's tokens: 1 to 64 octets without `/` and control characters.
    pub label: String,
    /// The secret K.
    pub key: TokenKey,
    /// What turns K into codes, and the smallest counter or step that may be accepted. Where the store has seen a later
    /// one of a token that shows the same codes, that one holds.
    pub mode: TokenMode,
    /// [`TokenStatus::Pending`] until a code is proven, unless somebody vouches for the token.
    pub status: TokenStatus,
    /// When it was added.
    pub created_at: UnixTime,
}

/// What to do about tokens of users that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingUsers {
    /// Refuse the token.
    Refuse,
    /// Add the user, without a password.
    Create,
}

/// A token as administrators see it: without its key.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// The store's number.
    pub id: TokenId,
    /// Whose it is.
    pub user: UserName,
    /// Its name among the user's tokens.
    pub label: String,
    /// A disabled token is no candidate.
    pub enabled: bool,
    /// Whether a code was ever proven.
    pub status: TokenStatus,
    /// What turns its key into codes, with the replay state.
    pub mode: TokenMode,
    /// When it was added.
    pub created_at: UnixTime,
}

impl Store {
    /// Adds `tokens`, all of them or none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Batch`] names the first token that cannot be added (its label is taken or malformed, its user does not
    /// exist, its counter is beyond 63 bits); else whatever keeps the store from writing.
    pub fn add_tokens(
        &self,
        tokens: &[NewToken],
        missing: MissingUsers,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<TokenId>, StoreError> {
        let secrets = self.secrets();
        self.administer("adding tokens", |transaction| {
            let mut ids = Vec::with_capacity(tokens.len());
            for (index, token) in tokens.iter().enumerate() {
                match add(transaction, secrets, token, missing, rng) {
                    Ok(id) => ids.push(id),
                    Err(fault) if fault.is_refusal() => {
                        let source = Box::new(fault.during("adding a token"));
                        return Err(StoreError::Batch { index, source }.into());
                    }
                    Err(fault) => return Err(fault),
                }
            }
            let added: Vec<_> = tokens.iter().map(described).collect();
            let deeds = added
                .iter()
                .map(|(name, detail)| Deed::on_token("token-added", name).with(detail));
            self.log_all(transaction, deeds)?;
            Ok(ids)
        })
    }

    /// The token `label` of `user`, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn token(&self, user: &UserName, label: &str) -> Result<Option<TokenRecord>, StoreError> {
        let all = self.tokens(Some(user))?;
        Ok(all.into_iter().find(|token| token.label == label))
    }

    /// The tokens of `user`, or all of them, in the order of users' names and then of their addition.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn tokens(&self, user: Option<&UserName>) -> Result<Vec<TokenRecord>, StoreError> {
        self.read("reading tokens", |transaction| {
            // Two statements, so that one user's tokens are found by index.
            let whose = if user.is_some() { "WHERE u.name = ?1" } else { "" };
            let statement = format!(
                "SELECT t.id, u.name, t.label, t.enabled, t.status, t.kind, t.algorithm, t.digits, t.look_ahead, t.step,
                        t.t0, t.window_past, t.window_future, t.drift, t.created_at, r.next
                 FROM tokens t JOIN users u ON u.id = t.user_id JOIN replay r ON r.id = t.replay_id
                 {whose} ORDER BY u.name, t.id"
            );
            let mut records = Vec::new();
            transaction.each(&statement, &name_values(user), |row| {
                records.push(TokenRecord {
                    id: TokenId(row.get("id")?),
                    user: stored_name(row.get("name")?)?,
                    label: row.get("label")?,
                    enabled: row.get("enabled")?,
                    status: read_status(row)?,
                    mode: read_mode(row)?,
                    created_at: unix_time("created_at of a token", row.get("created_at")?)?,
                });
                Ok(())
            })?;
            Ok(records)
        })
    }

    /// Enables or disables a token.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn set_token_enabled(&self, user: &UserName, label: &str, enabled: bool) -> Result<(), StoreError> {
        let name = format!("{user}/{label}");
        self.administer("changing a token", |transaction| {
            let (user, token) = find(transaction, user, label)?;
            touch(transaction, user)?;
            transaction.execute(
                "UPDATE tokens SET enabled = ?2 WHERE id = ?1",
                values![token.0, enabled],
            )?;
            let done = if enabled {
                "token-enabled"
            } else {
                "token-disabled"
            };
            self.log(transaction, &Deed::on_token(done, &name))
        })
    }

    /// Removes a token and its key. Its replay state stays: the same key, added again, starts where it ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn remove_token(&self, user: &UserName, label: &str) -> Result<(), StoreError> {
        let name = format!("{user}/{label}");
        self.administer("removing a token", |transaction| {
            let (user, token) = find(transaction, user, label)?;
            touch(transaction, user)?;
            transaction.execute("DELETE FROM tokens WHERE id = ?1", values![token.0])?;
            self.log(transaction, &Deed::on_token("token-removed", &name))
        })
    }
}

/// The name of a token, and what the audit trail says of it.
fn described(token: &NewToken) -> (String, String) {
    let kind = match token.mode {
        TokenMode::Hotp { .. } => "hotp",
        TokenMode::Totp { .. } => "totp",
    };
    let name = format!("{}/{}", token.user, token.label);
    (name, format!("{kind}, {}", status_name(token.status)))
}

/// `user/label` of a token.
pub(crate) fn full_name(transaction: Sql<'_>, id: TokenId) -> Result<String, Fault> {
    transaction.one(
        "SELECT u.name, t.label FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id = ?1",
        values![id.0],
        |row| {
            Ok(format!(
                "{}/{}",
                row.get::<String>("name")?,
                row.get::<String>("label")?
            ))
        },
    )
}

fn find(transaction: Sql<'_>, user: &UserName, label: &str) -> Result<(UserId, TokenId), Fault> {
    let found = transaction.optional(
        "SELECT t.user_id, t.id FROM tokens t JOIN users u ON u.id = t.user_id WHERE u.name = ?1 AND t.label = ?2",
        values![user.as_str(), label],
        |row| Ok((UserId(row.get("user_id")?), TokenId(row.get("id")?))),
    )?;
    found.ok_or_else(|| {
        StoreError::NotFound {
            kind: Kind::Token,
            name: format!("{user}/{label}"),
        }
        .into()
    })
}

fn add(
    transaction: Sql<'_>,
    secrets: &Secrets,
    token: &NewToken,
    missing: MissingUsers,
    rng: &mut impl CryptoRng,
) -> Result<TokenId, Fault> {
    check_name("a label", &token.label)?;
    let owner = match (user::find(transaction, &token.user), missing) {
        (Err(Fault::Store(StoreError::NotFound { .. })), MissingUsers::Create) => user::add(
            transaction,
            secrets,
            &NewUser::new(token.user.clone(), token.created_at),
            rng,
        )?,
        (found, _) => found?,
    };
    let columns = ModeColumns::new(&token.mode)?;
    let replay_id = secrets.digests.replay_id(&token.mode, &token.key);
    touch(transaction, owner.id)?;
    raise_replay_state(transaction, &replay_id, columns.next)?;
    let uid = random_uid(rng);
    let place = Place {
        kind: Sealed::TokenKey,
        uid: &uid,
        owner: &owner.uid,
    };
    let key_sealed = secrets.seal(transaction, token.key.as_bytes(), place, rng)?;
    let inserted = transaction.one(
        "INSERT INTO tokens (uid, user_id, label, enabled, status, kind, algorithm, digits, look_ahead, step, t0,
                             window_past, window_future, drift, key_sealed, replay_id, created_at)
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) RETURNING id",
        values![
            &uid,
            owner.id.0,
            &token.label,
            status_name(token.status),
            columns.kind,
            columns.algorithm.as_str(),
            columns.digits.get(),
            columns.look_ahead,
            columns.step,
            columns.t0,
            columns.window.map(|window| window.past),
            columns.window.map(|window| window.future),
            columns.drift,
            &key_sealed,
            &replay_id,
            time(token.created_at),
        ],
        |row| row.get("id").map(TokenId),
    );
    inserted.map_err(|fault| fault.or_exists(Kind::Token, format!("{}/{}", token.user, token.label)))
}

/// Makes sure that there is replay state `id`, and that it is at least `next`.
fn raise_replay_state(transaction: Sql<'_>, id: &ReplayId, next: i64) -> Result<(), Fault> {
    let values = values![id, next];
    transaction.execute("UPDATE replay SET next = ?2 WHERE id = ?1 AND next < ?2", values)?;
    let exists = transaction.optional("SELECT next FROM replay WHERE id = ?1", values![id], |_| Ok(()))?;
    if exists.is_none() {
        transaction.execute("INSERT INTO replay (id, next) VALUES (?1, ?2)", values)?;
    }
    Ok(())
}

/// A mode, column by column.
struct ModeColumns {
    kind: &'static str,
    algorithm: Algorithm,
    digits: Digits,
    next: i64,
    look_ahead: Option<u32>,
    step: Option<i64>,
    t0: Option<i64>,
    window: Option<Window>,
    drift: Option<i64>,
}

impl ModeColumns {
    fn new(mode: &TokenMode) -> Result<Self, StoreError> {
        Ok(match *mode {
            TokenMode::Hotp {
                hotp,
                state,
                look_ahead,
            } => Self {
                kind: "hotp",
                algorithm: hotp.algorithm,
                digits: hotp.digits,
                next: exact("counter", state.next)?,
                look_ahead: Some(look_ahead),
                step: None,
                t0: None,
                window: None,
                drift: None,
            },
            TokenMode::Totp { totp, state, window } => Self {
                kind: "totp",
                algorithm: totp.algorithm(),
                digits: totp.digits(),
                next: exact("time step", state.next)?,
                look_ahead: None,
                step: Some(exact("period", totp.step().get())?),
                t0: Some(exact("T0", totp.t0())?),
                window: Some(window),
                drift: Some(state.drift),
            },
        })
    }
}

pub(crate) fn read_mode(row: &Row<'_>) -> Result<TokenMode, Fault> {
    let (kind, algorithm): (String, String) = (row.get("kind")?, row.get("algorithm")?);
    let damaged = || StoreError::corrupt(format!("a token of kind {kind:?}, algorithm {algorithm:?}"));
    let algorithm: Algorithm = algorithm.parse().map_err(|_| damaged())?;
    let digits = Digits::try_from(row.get::<u8>("digits")?).map_err(|_| damaged())?;
    let next = unsigned("next of a token's replay state", row.get("next")?)?;
    Ok(match kind.as_str() {
        "hotp" => TokenMode::Hotp {
            hotp: Hotp { algorithm, digits },
            state: HotpState { next },
            look_ahead: row.get("look_ahead")?,
        },
        "totp" => {
            let step = unsigned("step of a token", row.get("step")?)?;
            let step = NonZeroU64::new(step).ok_or_else(damaged)?;
            let t0 = unsigned("t0 of a token", row.get("t0")?)?;
            TokenMode::Totp {
                totp: Totp::default()
                    .with_algorithm(algorithm)
                    .with_digits(digits)
                    .with_step(step)
                    .with_t0(t0),
                state: TotpState {
                    next,
                    drift: row.get("drift")?,
                },
                window: Window {
                    past: row.get("window_past")?,
                    future: row.get("window_future")?,
                },
            }
        }
        _ => return Err(damaged().into()),
    })
}

fn status_name(status: TokenStatus) -> &'static str {
    match status {
        TokenStatus::Pending => "pending",
        TokenStatus::Active => "active",
    }
}

pub(crate) fn read_status(row: &Row<'_>) -> Result<TokenStatus, Fault> {
    match row.get::<String>("status")?.as_str() {
        "pending" => Ok(TokenStatus::Pending),
        "active" => Ok(TokenStatus::Active),
        other => Err(StoreError::corrupt(format!("a token of status {other:?}")).into()),
    }
}

/// The key of the token in `row`, if it is where it was put and still belongs to this mode.
pub(crate) fn open_key(
    row: &Row<'_>,
    secrets: &Secrets,
    owner: &Uid,
    mode: &TokenMode,
) -> Result<Option<TokenKey>, Fault> {
    let uid: Uid = row.get("uid")?;
    let place = Place {
        kind: Sealed::TokenKey,
        uid: &uid,
        owner,
    };
    let record: Vec<u8> = row.get("key_sealed")?;
    let key = secrets
        .open(&record, place)?
        .and_then(|octets| TokenKey::dangerous_allow_short(&octets).ok());
    // Another algorithm, step or replay state than the key was added with would let its codes be used again.
    let replay_id: ReplayId = row.get("replay_id")?;
    Ok(key.filter(|key| secrets.digests.replay_id(mode, key) == replay_id))
}
