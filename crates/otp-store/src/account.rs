//! The snapshot that a decision looks at.

use std::sync::Arc;

use otp_validation::{Account, AccountVersion, PasswordHash, Token, TokenId, User, UserId, UserName};

use crate::{
    Kind, Snapshot, Store, StoreError, acceptances,
    error::Fault,
    lockout::{self, lockout_columns},
    reply,
    seal::{Place, Sealed},
    sql::{Row, Sql, values},
    store::Secrets,
    token::{open_key, read_mode, read_status},
    user::{read_expiry, stored_grammar, stored_name, stored_upstream},
    value::Uid,
};

impl Store {
    /// Everything about the user whom `name` means, as of one moment; `None` if it means nobody.
    ///
    /// The name is looked for as it is and then without its realm ([`UserName::candidates`]). Acceptances may be older than
    /// [`ACCEPTANCES_LIVE`](otp_validation::ACCEPTANCES_LIVE).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsealable`] or [`StoreError::Corrupt`] if the user's rows are not as this program wrote them; else
    /// whatever keeps the store from reading.
    pub fn account(&self, name: &UserName) -> Result<Option<Account>, StoreError> {
        let snapshot = self.snapshot(name)?;
        Ok(snapshot.account.map(Arc::unwrap_or_clone))
    }

    /// As [`Store::account`], and when.
    pub(crate) fn snapshot(&self, name: &UserName) -> Result<Snapshot, StoreError> {
        self.read_sealed("reading an account", |transaction| {
            let mut account = None;
            for candidate in name.candidates() {
                account = load(transaction, self.secrets(), &candidate)?;
                if account.is_some() {
                    break;
                }
            }
            let taken_at = transaction.clock()?;
            Ok(Snapshot {
                account: account.map(Arc::new),
                taken_at,
                is_fresh: true,
            })
        })
    }
}

fn load(transaction: Sql<'_>, secrets: &Secrets, name: &UserName) -> Result<Option<Account>, Fault> {
    let statement = concat!(
        "SELECT u.id, u.uid, u.name, u.enabled, u.expires_at, u.password_sealed, u.grammar, u.reply_attributes, u.upstream, u.upstream_name, ",
        "a.version, a.acceptances, ",
        lockout_columns!(),
        " FROM users u JOIN accounts a ON a.user_id = u.id LEFT JOIN lockouts l ON l.user_id = u.id WHERE u.name = ?1",
    );
    let mut found: Option<(Account, Uid)> = None;
    transaction.each(statement, values![name.as_str()], |row| {
        let (account, _) = match &mut found {
            Some(found) => found,
            none => none.insert(read_account(row, secrets)?),
        };
        lockout::at_client(row, &mut account.lockouts)
    })?;
    let Some((mut account, uid)) = found else {
        return Ok(None);
    };
    account.tokens = load_tokens(transaction, secrets, &account.user, &uid)?;
    // What was accepted by a token that was removed is not said again.
    let Account {
        tokens, acceptances, ..
    } = &mut account;
    acceptances.retain(|acceptance| tokens.iter().any(|token| token.id == acceptance.token));
    Ok(Some(account))
}

/// The account without tokens, and what its sealed values are bound to.
fn read_account(row: &Row<'_>, secrets: &Secrets) -> Result<(Account, Uid), Fault> {
    let uid: Uid = row.get("uid")?;
    let name = stored_name(row.get("name")?)?;
    let sealed: Option<Vec<u8>> = row.get("password_sealed")?;
    let password = sealed
        .map(|record| open_password(secrets, &record, &uid, &name))
        .transpose()?;
    let user = User {
        id: UserId(row.get("id")?),
        name,
        enabled: row.get("enabled")?,
        expires_at: read_expiry(row)?,
        password,
        grammar: stored_grammar(row.get("grammar")?)?,
        reply: reply::read(row)?,
        upstream: stored_upstream(row)?,
    };
    let (acceptances, ended_dialogues) = acceptances::decode(&row.get::<Vec<u8>>("acceptances")?)?;
    let account = Account {
        user,
        tokens: Vec::new(),
        lockouts: lockout::everywhere(row)?,
        acceptances,
        ended_dialogues,
        version: AccountVersion(row.get("version")?),
    };
    Ok((account, uid))
}

fn open_password(
    secrets: &Secrets,
    record: &[u8],
    uid: &Uid,
    name: &UserName,
) -> Result<PasswordHash, StoreError> {
    let opened = secrets.open(record, Place::of(Sealed::Password, uid))?;
    let text = opened.and_then(|octets| std::str::from_utf8(&octets).ok().map(str::to_owned));
    let phc = text.ok_or_else(|| StoreError::Unsealable {
        kind: Kind::Password,
        name: name.to_string(),
    })?;
    Ok(PasswordHash::new(phc))
}

fn load_tokens(
    transaction: Sql<'_>,
    secrets: &Secrets,
    user: &User,
    owner: &Uid,
) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let statement = "SELECT t.id, t.uid, t.label, t.enabled, t.status, t.kind, t.algorithm, t.digits, t.look_ahead, t.step, t.t0,
                t.window_past, t.window_future, t.drift, t.key_sealed, t.replay_id, r.next
         FROM tokens t JOIN replay r ON r.id = t.replay_id WHERE t.user_id = ?1 ORDER BY t.id";
    transaction.each(statement, values![user.id.0], |row| {
        let (mode, label): (_, String) = (read_mode(row)?, row.get("label")?);
        let Some(key) = open_key(row, secrets, owner, &mode)? else {
            let name = format!("{}/{label}", user.name);
            return Err(StoreError::Unsealable {
                kind: Kind::Token,
                name,
            }
            .into());
        };
        let (id, enabled, status) = (TokenId(row.get("id")?), row.get("enabled")?, read_status(row)?);
        tokens.push(Token {
            id,
            label,
            enabled,
            status,
            key,
            mode,
        });
        Ok(())
    })?;
    Ok(tokens)
}
