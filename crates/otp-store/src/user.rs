//! Users: how they are stored, and their administration.

use otp_validation::{
    AccountVersion, Grammar, Lockouts, PasswordHash, ReplyAttributes, UnixTime, Upstream, UserId, UserName,
};
use rand::CryptoRng;

use crate::{
    Kind, Store, StoreError, acceptances,
    audit::Deed,
    commit::touch,
    error::Fault,
    lockout::{self, lockout_columns},
    reply,
    seal::{Place, Sealed},
    sql::{Row, Sql, Value, values},
    store::Secrets,
    value::{Uid, random_uid, time, unix_time},
};

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name, compared octet by octet.
    pub name: UserName,
    /// The local password, if there is to be one.
    pub password: Option<PasswordHash>,
    /// How this user's credentials are composed; `None`, and [`Grammar::Auto`], let it follow from `password` and
    /// the client.
    pub grammar: Option<Grammar>,
    /// The first moment at which the user is refused.
    pub expires_at: Option<UnixTime>,
    /// Who decides on the user in place of here.
    pub upstream: Option<Upstream>,
    /// When the user was added.
    pub created_at: UnixTime,
}

impl NewUser {
    /// A user without a password and without an end.
    pub fn new(name: UserName, created_at: UnixTime) -> Self {
        Self {
            name,
            password: None,
            grammar: None,
            expires_at: None,
            upstream: None,
            created_at,
        }
    }
}

/// A user as administrators see them: without the password.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// The store's number.
    pub id: UserId,
    /// The name.
    pub name: UserName,
    /// A disabled user is refused.
    pub enabled: bool,
    /// The first moment at which the user is refused.
    pub expires_at: Option<UnixTime>,
    /// Whether there is a local password.
    pub has_password: bool,
    /// How this user's credentials are composed; `None` lets it follow from the password.
    pub grammar: Option<Grammar>,
    /// Failures and locks.
    pub lockouts: Lockouts,
    /// The version that effects are committed on.
    pub version: AccountVersion,
    /// What every acceptance of the user tells the client.
    pub reply: ReplyAttributes,
    /// Who decides on the user in place of here.
    pub upstream: Option<Upstream>,
    /// When the user was added.
    pub created_at: UnixTime,
}

impl Store {
    /// Adds a user.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`], or whatever keeps the store from writing.
    pub fn add_user(&self, user: &NewUser, rng: &mut impl CryptoRng) -> Result<UserId, StoreError> {
        self.administer("adding a user", |transaction| {
            let found = add(transaction, self.secrets(), user, rng)?;
            self.log(transaction, &Deed::on_user("user-added", user.name.as_str()))?;
            Ok(found.id)
        })
    }

    /// All users, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.user_records(None)
    }

    /// The user of exactly this name, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn user(&self, name: &UserName) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.user_records(Some(name))?.pop())
    }

    fn user_records(&self, name: Option<&UserName>) -> Result<Vec<UserRecord>, StoreError> {
        self.read("reading users", |transaction| {
            // Two statements, so that one user is found by index.
            let who = if name.is_some() { "WHERE u.name = ?1" } else { "" };
            let statement = format!(
                "SELECT u.id, u.name, u.enabled, u.expires_at, u.grammar, u.reply_attributes, u.created_at, u.upstream,
                        u.upstream_name, CASE WHEN u.password_sealed IS NULL THEN 0 ELSE 1 END AS has_password, a.version, {}
                 FROM users u JOIN accounts a ON a.user_id = u.id LEFT JOIN lockouts l ON l.user_id = u.id
                 {who} ORDER BY u.name",
                lockout_columns!()
            );
            let mut records: Vec<UserRecord> = Vec::new();
            transaction.each(&statement, &name_values(name), |row| {
                let id = UserId(row.get("id")?);
                // A user with failures at several clients has as many rows.
                if let Some(last) = records.last_mut().filter(|last| last.id == id) {
                    return lockout::at_client(row, &mut last.lockouts);
                }
                let mut lockouts = lockout::everywhere(row)?;
                lockout::at_client(row, &mut lockouts)?;
                records.push(UserRecord {
                    id,
                    name: stored_name(row.get("name")?)?,
                    enabled: row.get("enabled")?,
                    expires_at: read_expiry(row)?,
                    has_password: row.get("has_password")?,
                    grammar: stored_grammar(row.get("grammar")?)?,
                    lockouts,
                    version: AccountVersion(row.get("version")?),
                    reply: reply::read(row)?,
                    upstream: stored_upstream(row)?,
                    created_at: unix_time("created_at of a user", row.get("created_at")?)?,
                });
                Ok(())
            })?;
            Ok(records)
        })
    }

    /// Enables or disables a user.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn set_user_enabled(&self, name: &UserName, enabled: bool) -> Result<(), StoreError> {
        let deed = Deed::on_user(
            if enabled { "user-enabled" } else { "user-disabled" },
            name.as_str(),
        );
        self.change_user(name, deed, |transaction, user| {
            transaction.execute(
                "UPDATE users SET enabled = ?2 WHERE id = ?1",
                values![user.id.0, enabled],
            )
        })
    }

    /// Forgets a user's failures at every client, and so ends the locks that they brought.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn unlock_user(&self, name: &UserName) -> Result<(), StoreError> {
        self.administer("unlocking a user", |transaction| {
            let user = find(transaction, name)?;
            touch(transaction, user.id)?;
            lockout::forget(transaction, user.id)?;
            self.log(transaction, &Deed::on_user("user-unlocked", name.as_str()))
        })
    }

    /// Removes a user with all tokens. Their replay state stays: the same keys, added again to anybody, start where they
    /// ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn remove_user(&self, name: &UserName) -> Result<(), StoreError> {
        self.administer("removing a user", |transaction| {
            let user = find(transaction, name)?;
            // Tokens, account and remembered acceptances go with it.
            transaction.execute("DELETE FROM users WHERE id = ?1", values![user.id.0])?;
            self.log(transaction, &Deed::on_user("user-removed", name.as_str()))
        })
    }

    /// Sets or removes the moment from which the user is refused.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn set_user_expiry(&self, name: &UserName, expires_at: Option<UnixTime>) -> Result<(), StoreError> {
        let detail = expires_at.map_or("never".to_owned(), |end| end.0.to_string());
        let deed = Deed::on_user("user-expiry-set", name.as_str()).with(&detail);
        self.change_user(name, deed, |transaction, user| {
            transaction.execute(
                "UPDATE users SET expires_at = ?2 WHERE id = ?1",
                values![user.id.0, expires_at.map(time)],
            )
        })
    }

    /// Sets or removes the grammar of a user's credentials; [`Grammar::Auto`] removes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn set_user_grammar(&self, name: &UserName, grammar: Option<Grammar>) -> Result<(), StoreError> {
        let grammar = own(grammar);
        let deed = Deed::on_user("user-grammar-set", name.as_str());
        let deed = deed.with(grammar.map_or("auto", Grammar::name));
        self.change_user(name, deed, |transaction, user| {
            transaction.execute(
                "UPDATE users SET grammar = ?2 WHERE id = ?1",
                values![user.id.0, grammar.map(Grammar::name)],
            )
        })
    }

    /// Lets other servers decide on a user from now on, or this one again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn set_user_upstream(&self, name: &UserName, upstream: Option<&Upstream>) -> Result<(), StoreError> {
        let detail = upstream.map(Upstream::to_string);
        let deed = match &detail {
            Some(detail) => Deed::on_user("user-upstream-set", name.as_str()).with(detail),
            None => Deed::on_user("user-upstream-removed", name.as_str()),
        };
        self.change_user(name, deed, |transaction, user| {
            let (upstream, upstream_name) = upstream_columns(upstream);
            transaction.execute(
                "UPDATE users SET upstream = ?2, upstream_name = ?3 WHERE id = ?1",
                values![user.id.0, upstream, upstream_name],
            )
        })
    }

    /// Sets or removes a user's password.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn set_user_password(
        &self,
        name: &UserName,
        password: Option<&PasswordHash>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let done = if password.is_some() {
            "user-password-set"
        } else {
            "user-password-removed"
        };
        self.change_user(name, Deed::on_user(done, name.as_str()), |transaction, user| {
            let sealed = seal_password(transaction, self.secrets(), password, &user.uid, rng)?;
            transaction.execute(
                "UPDATE users SET password_sealed = ?2 WHERE id = ?1",
                values![user.id.0, sealed.as_ref()],
            )
        })
    }

    fn change_user(
        &self,
        name: &UserName,
        deed: Deed<'_>,
        change: impl FnOnce(Sql<'_>, &Found) -> Result<u64, Fault>,
    ) -> Result<(), StoreError> {
        self.administer("changing a user", |transaction| {
            let user = find(transaction, name)?;
            touch(transaction, user.id)?;
            change(transaction, &user)?;
            // What was accepted by other rules, such as another password, is not said again.
            acceptances::forget_user(transaction, user.id)?;
            self.log(transaction, &deed)
        })
    }
}

/// A user's number and the name that sealed values are bound to.
pub(crate) struct Found {
    pub(crate) id: UserId,
    pub(crate) uid: Uid,
}

/// What the statements of one user, or of all, take.
pub(crate) fn name_values(name: Option<&UserName>) -> Vec<Value<'_>> {
    name.map(|name| name.as_str().into()).into_iter().collect()
}

pub(crate) fn find(transaction: Sql<'_>, name: &UserName) -> Result<Found, Fault> {
    let found = transaction.optional(
        "SELECT id, uid FROM users WHERE name = ?1",
        values![name.as_str()],
        |row| {
            Ok(Found {
                id: UserId(row.get("id")?),
                uid: row.get("uid")?,
            })
        },
    )?;
    found.ok_or_else(|| {
        StoreError::NotFound {
            kind: Kind::User,
            name: name.to_string(),
        }
        .into()
    })
}

pub(crate) fn add(
    transaction: Sql<'_>,
    secrets: &Secrets,
    user: &NewUser,
    rng: &mut impl CryptoRng,
) -> Result<Found, Fault> {
    let uid = random_uid(rng);
    let password_sealed = seal_password(transaction, secrets, user.password.as_ref(), &uid, rng)?;
    let (upstream, upstream_name) = upstream_columns(user.upstream.as_ref());
    let inserted = transaction.one(
        "INSERT INTO users (uid, name, enabled, expires_at, password_sealed, grammar, created_at, upstream, upstream_name)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        values![
            &uid,
            user.name.as_str(),
            user.expires_at.map(time),
            password_sealed.as_ref(),
            own(user.grammar).map(Grammar::name),
            time(user.created_at),
            upstream,
            upstream_name,
        ],
        |row| row.get("id").map(UserId),
    );
    let id = inserted.map_err(|fault| fault.or_exists(Kind::User, user.name.as_str()))?;
    transaction.execute(
        "INSERT INTO accounts (user_id, version, locked_until) VALUES (?1, 0, 0)",
        values![id.0],
    )?;
    Ok(Found { id, uid })
}

fn seal_password(
    transaction: Sql<'_>,
    secrets: &Secrets,
    password: Option<&PasswordHash>,
    uid: &Uid,
    rng: &mut impl CryptoRng,
) -> Result<Option<Vec<u8>>, Fault> {
    let place = Place::of(Sealed::Password, uid);
    password
        .map(|hash| secrets.seal(transaction, hash.as_str().as_bytes(), place, rng))
        .transpose()
}

pub(crate) fn stored_name(name: String) -> Result<UserName, StoreError> {
    UserName::parse(name.as_bytes())
        .map_err(|error| StoreError::corrupt(format!("a user named {name:?}: {error}")))
}

/// The grammar that is a user's own: what follows from elsewhere is none.
fn own(grammar: Option<Grammar>) -> Option<Grammar> {
    grammar.filter(|grammar| *grammar != Grammar::Auto)
}

pub(crate) fn stored_grammar(name: Option<String>) -> Result<Option<Grammar>, StoreError> {
    let parse = |name: String| {
        name.parse()
            .map_err(|error| StoreError::corrupt(format!("{error}")))
    };
    name.map(parse).transpose()
}

/// The two columns of an upstream.
fn upstream_columns(upstream: Option<&Upstream>) -> (Option<&str>, Option<&str>) {
    let user_name = upstream.and_then(|upstream| upstream.user_name.as_ref());
    (
        upstream.map(|upstream| upstream.name.as_str()),
        user_name.map(UserName::as_str),
    )
}

pub(crate) fn stored_upstream(row: &Row<'_>) -> Result<Option<Upstream>, Fault> {
    let Some(name) = row.get::<Option<String>>("upstream")? else {
        return Ok(None);
    };
    let user_name = row.get::<Option<String>>("upstream_name")?;
    let name = name
        .parse()
        .map_err(|error| StoreError::corrupt(format!("an upstream called {name:?}: {error}")))?;
    Ok(Some(Upstream {
        name,
        user_name: user_name.map(stored_name).transpose()?,
    }))
}

pub(crate) fn read_expiry(row: &Row<'_>) -> Result<Option<UnixTime>, Fault> {
    let stored: Option<i64> = row.get("expires_at")?;
    Ok(stored
        .map(|seconds| unix_time("expires_at of a user", seconds))
        .transpose()?)
}
