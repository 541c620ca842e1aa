//! Which columns a backup holds, and the statements that read and write them.

use crate::{
    backup::format::{FrameKind, Held},
    error::Fault,
    sql::{Row, Sql, Value, values},
};

/// The rows of one kind.
pub(super) struct Rows {
    pub(super) kind: FrameKind,
    /// Names of the values, in their order.
    pub(super) columns: &'static [&'static str],
    /// How many of them the first format had.
    pub(super) oldest: usize,
    /// How many rows there are: `total`.
    count: &'static str,
    /// A page of rows behind the cursor `?1`, each with its `cursor`.
    select: &'static str,
    /// Where the first page begins.
    start: Value<'static>,
}

pub(super) const USERS: Rows = Rows {
    kind: FrameKind::User,
    count: "SELECT count(*) AS total FROM users",
    columns: &[
        "uid",
        "name",
        "enabled",
        "expires_at",
        "password_sealed",
        "grammar",
        "created_at",
        "locked_until",
        "reply_attributes",
        "upstream",
        "upstream_name",
    ],
    oldest: 8,
    select: "SELECT r.id AS cursor, r.uid, r.name, r.enabled, r.expires_at, r.password_sealed, r.grammar, r.created_at,
                    a.locked_until, r.reply_attributes, r.upstream, r.upstream_name
             FROM users r JOIN accounts a ON a.user_id = r.id WHERE r.id > ?1 ORDER BY r.id LIMIT 500",
    start: Value::Integer(i64::MIN),
};

pub(super) const REPLAY: Rows = Rows {
    kind: FrameKind::Replay,
    count: "SELECT count(*) AS total FROM replay",
    columns: &["id", "next"],
    oldest: 2,
    select: "SELECT id AS cursor, id, next FROM replay WHERE id > ?1 ORDER BY id LIMIT 500",
    start: Value::Octets(&[]),
};

pub(super) const TOKENS: Rows = Rows {
    kind: FrameKind::Token,
    count: "SELECT count(*) AS total FROM tokens",
    columns: &[
        "uid",
        "owner",
        "label",
        "enabled",
        "status",
        "kind",
        "algorithm",
        "digits",
        "look_ahead",
        "step",
        "t0",
        "window_past",
        "window_future",
        "drift",
        "key_sealed",
        "replay_id",
        "created_at",
    ],
    oldest: 17,
    select: "SELECT r.id AS cursor, r.uid, u.uid AS owner, r.label, r.enabled, r.status, r.kind, r.algorithm, r.digits,
                    r.look_ahead, r.step, r.t0, r.window_past, r.window_future, r.drift, r.key_sealed, r.replay_id,
                    r.created_at
             FROM tokens r JOIN users u ON u.id = r.user_id WHERE r.id > ?1 ORDER BY r.id LIMIT 500",
    start: Value::Integer(i64::MIN),
};

pub(super) const CLIENTS: Rows = Rows {
    kind: FrameKind::Client,
    count: "SELECT count(*) AS total FROM clients",
    columns: &[
        "uid",
        "name",
        "enabled",
        "network",
        "secret_sealed",
        "message_authenticator",
        "grammar",
        "repeat_grace",
        "reject_delay_ms",
        "created_at",
        "reply_attributes",
        "old_secret_sealed",
        "old_secret_since",
        "old_secret_until",
        "nas_identifier",
    ],
    oldest: 10,
    select: "SELECT id AS cursor, uid, name, enabled, network, secret_sealed, message_authenticator, grammar,
                    repeat_grace, reject_delay_ms, created_at, reply_attributes, old_secret_sealed, old_secret_since,
                    old_secret_until, nas_identifier
             FROM clients WHERE id > ?1 ORDER BY id LIMIT 500",
    start: Value::Integer(i64::MIN),
};

/// Failures and locks, but for those at clients that are gone: nothing would find them.
pub(super) const LOCKOUTS: Rows = Rows {
    kind: FrameKind::Lockout,
    columns: &[
        "owner",
        "client",
        "otp_failures",
        "password_failures",
        "failed_at",
        "locked_until",
    ],
    oldest: 6,
    count: "SELECT count(*) AS total FROM lockouts r JOIN clients c ON c.id = r.client_id",
    // All rows of a user are on one page.
    select: "SELECT r.user_id AS cursor, u.uid AS owner, c.uid AS client, r.otp_failures, r.password_failures, r.failed_at,
                    r.locked_until
             FROM lockouts r JOIN users u ON u.id = r.user_id JOIN clients c ON c.id = r.client_id
             WHERE r.user_id IN (SELECT DISTINCT l.user_id FROM lockouts l JOIN clients k ON k.id = l.client_id
                                 WHERE l.user_id > ?1 ORDER BY l.user_id LIMIT 500)
             ORDER BY r.user_id, r.client_id",
    start: Value::Integer(i64::MIN),
};

pub(super) const RULES: Rows = Rows {
    kind: FrameKind::Rule,
    count: "SELECT count(*) AS total FROM rules",
    columns: &[
        "name",
        "position",
        "enabled",
        "conditions",
        "reply_attributes",
        "created_at",
    ],
    oldest: 6,
    select: "SELECT id AS cursor, name, position, enabled, conditions, reply_attributes, created_at
             FROM rules WHERE id > ?1 ORDER BY id LIMIT 500",
    start: Value::Integer(i64::MIN),
};

/// In the order of a backup: what others refer to comes first, and what older formats do not have last.
pub(super) const ALL: [&Rows; 6] = [&USERS, &REPLAY, &TOKENS, &CLIENTS, &LOCKOUTS, &RULES];

/// How many kinds of rows the first format had.
pub(super) const OLDEST_KINDS: usize = 5;

impl Rows {
    /// How many there are.
    pub(super) fn count(&self, transaction: Sql<'_>) -> Result<i64, Fault> {
        transaction.one(self.count, values![], |row| row.get("total"))
    }

    /// Hands every row to `visit`, a page at a time: no engine has to hold them all in memory.
    pub(super) fn each(
        &self,
        transaction: Sql<'_>,
        mut visit: impl FnMut(Vec<Held>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut cursor: Option<Held> = None;
        loop {
            let start = cursor.as_ref().map_or(self.start, Held::as_value);
            let mut page = Vec::new();
            transaction.each(self.select, &[start], |row| {
                page.push((row.get::<Held>("cursor")?, self.read(row)?));
                Ok(())
            })?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            cursor = Some(last.clone());
            for (_, values) in page {
                visit(values)?;
            }
        }
    }

    fn read(&self, row: &Row<'_>) -> Result<Vec<Held>, Fault> {
        self.columns.iter().map(|column| row.get(column)).collect()
    }

    /// The value of `column` among those of a row.
    pub(super) fn get<'a>(&self, values: &'a [Held], column: &str) -> Option<&'a Held> {
        let place = self.columns.iter().position(|name| *name == column)?;
        values.get(place)
    }
}

/// Writes a user and the state of the account, whose version comes up in no other history.
pub(super) fn insert_user(transaction: Sql<'_>, row: &[Held], version: i64) -> Result<(), Fault> {
    let value = |column| USERS.get(row, column).map_or(Value::Null, Held::as_value);
    let user = [
        "uid",
        "name",
        "enabled",
        "expires_at",
        "password_sealed",
        "grammar",
        "created_at",
        "reply_attributes",
        "upstream",
        "upstream_name",
    ];
    transaction.execute(
        "INSERT INTO users (uid, name, enabled, expires_at, password_sealed, grammar, created_at, reply_attributes,
                            upstream, upstream_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        &user.map(value),
    )?;
    transaction.execute(
        "INSERT INTO accounts (user_id, version, locked_until) VALUES ((SELECT id FROM users WHERE uid = ?1), ?2, ?3)",
        &[value("uid"), Value::Integer(version), value("locked_until")],
    )?;
    Ok(())
}

/// Writes replay state, with `next` in the place of the row's own.
pub(super) fn insert_replay(transaction: Sql<'_>, id: &[u8], next: i64) -> Result<(), Fault> {
    transaction.execute("INSERT INTO replay (id, next) VALUES (?1, ?2)", values![id, next])?;
    Ok(())
}

pub(super) fn insert_token(transaction: Sql<'_>, row: &[Held]) -> Result<(), Fault> {
    transaction.execute(
        "INSERT INTO tokens (uid, user_id, label, enabled, status, kind, algorithm, digits, look_ahead, step, t0,
                             window_past, window_future, drift, key_sealed, replay_id, created_at)
         VALUES (?1, (SELECT id FROM users WHERE uid = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                 ?16, ?17)",
        &as_values(row),
    )?;
    Ok(())
}

pub(super) fn insert_client(transaction: Sql<'_>, row: &[Held]) -> Result<(), Fault> {
    transaction.execute(
        "INSERT INTO clients (uid, name, enabled, network, secret_sealed, message_authenticator, grammar, repeat_grace,
                              reject_delay_ms, created_at, reply_attributes, old_secret_sealed, old_secret_since,
                              old_secret_until, nas_identifier)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        &as_values(row),
    )?;
    Ok(())
}

pub(super) fn insert_lockout(transaction: Sql<'_>, row: &[Held]) -> Result<(), Fault> {
    transaction.execute(
        "INSERT INTO lockouts (user_id, client_id, otp_failures, password_failures, failed_at, locked_until)
         VALUES ((SELECT id FROM users WHERE uid = ?1), (SELECT id FROM clients WHERE uid = ?2), ?3, ?4, ?5, ?6)",
        &as_values(row),
    )?;
    Ok(())
}

pub(super) fn insert_rule(transaction: Sql<'_>, row: &[Held]) -> Result<(), Fault> {
    transaction.execute(
        "INSERT INTO rules (name, position, enabled, conditions, reply_attributes, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &as_values(row),
    )?;
    Ok(())
}

fn as_values(row: &[Held]) -> Vec<Value<'_>> {
    row.iter().map(Held::as_value).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::Connection;

    use super::*;

    /// Whoever adds a column or a table has to say what becomes of it in a backup.
    #[test]
    fn every_column_is_in_a_backup_or_left_out_on_purpose() {
        let connection = Connection::open_in_memory().unwrap();
        crate::sqlite::migrate(&connection).unwrap();
        let names = |statement: &str| -> BTreeSet<String> {
            let mut prepared = connection.prepare(statement).unwrap();
            let names = prepared.query_map([], |row| row.get(0)).unwrap();
            names.map(Result::unwrap).collect()
        };
        let columns = |table: &str| names(&format!("SELECT name FROM pragma_table_info('{table}')"));
        let held = |rows: &Rows| -> BTreeSet<String> {
            rows.columns.iter().map(|name| (*name).to_owned()).collect()
        };
        let without = |table: &str, left_out: &[&str]| -> BTreeSet<String> {
            let mut columns = columns(table);
            for name in left_out {
                assert!(columns.remove(*name), "{table} {name}");
            }
            columns
        };
        // Numbers of rows are given anew, and so are versions; verdicts that might be asked for again are forgotten.
        let mut users = without("users", &["id"]);
        users.extend(without(
            "accounts",
            &["user_id", "version", "accepted_at", "acceptances"],
        ));
        assert_eq!(held(&USERS), users);
        assert_eq!(held(&REPLAY), columns("replay"));
        let mut tokens = without("tokens", &["id", "user_id"]);
        tokens.insert("owner".to_owned());
        assert_eq!(held(&TOKENS), tokens);
        assert_eq!(held(&CLIENTS), without("clients", &["id", "learning"]));
        let mut lockouts = without("lockouts", &["user_id", "client_id"]);
        lockouts.extend(["owner", "client"].map(str::to_owned));
        assert_eq!(held(&LOCKOUTS), lockouts);
        assert_eq!(held(&RULES), without("rules", &["id"]));
        // The header has the columns of `meta` but those that move by themselves.
        let header: BTreeSet<_> = ["uid", "key_id", "index_key_sealed", "created_at"]
            .map(str::to_owned)
            .into();
        assert_eq!(without("meta", &["one", "client_epoch", "probe"]), header);
        // The audit trail stays where it was written, and so do the figures of what came from clients and what was learned by them.
        let known = [
            "accounts",
            "audit",
            "audit_chains",
            "client_usage",
            "clients",
            "lockouts",
            "meta",
            "replay",
            "rules",
            "tokens",
            "users",
        ];
        let tables =
            names("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
        assert_eq!(tables, known.map(str::to_owned).into());
    }
}
