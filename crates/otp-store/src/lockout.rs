//! Failures and locks: at all clients in the row of the account, at each client in a row of its own.

use otp_validation::{ClientId, Lockout, Lockouts, UnixTime, UserId};

use crate::{
    error::Fault,
    sql::{Row, Sql, values},
    value::{time, unsigned},
};

/// Columns of a user's failures and locks, where `a` is the account and `l` one of its rows of `lockouts`, or nothing.
///
/// A macro, so that statements stay literals.
macro_rules! lockout_columns {
    () => {
        "a.locked_until, l.client_id, l.otp_failures, l.password_failures, l.failed_at, l.locked_until AS client_locked_until"
    };
}
pub(crate) use lockout_columns;

/// What stands in the account's own columns.
pub(crate) fn everywhere(row: &Row<'_>) -> Result<Lockouts, Fault> {
    let locked_until = unsigned("locked_until of an account", row.get("locked_until")?)?;
    Ok(Lockouts::locked_until(locked_until))
}

/// Adds what the row says of one client, if it does.
pub(crate) fn at_client(row: &Row<'_>, lockouts: &mut Lockouts) -> Result<(), Fault> {
    let Some(client) = row.get::<Option<i64>>("client_id")? else {
        return Ok(());
    };
    let lockout = Lockout {
        otp_failures: row.get("otp_failures")?,
        password_failures: row.get("password_failures")?,
        failed_at: unsigned("failed_at of a lockout", row.get("failed_at")?)?,
        locked_until: unsigned("locked_until of a lockout", row.get("client_locked_until")?)?,
    };
    lockouts.set(ClientId(client), lockout);
    Ok(())
}

/// Replaces what is stored of one client; the default is nothing.
pub(crate) fn set(
    transaction: Sql<'_>,
    user: UserId,
    client: ClientId,
    lockout: Lockout,
) -> Result<(), Fault> {
    if lockout == Lockout::default() {
        transaction.execute(
            "DELETE FROM lockouts WHERE user_id = ?1 AND client_id = ?2",
            values![user.0, client.0],
        )?;
    } else {
        transaction.execute(
            "INSERT INTO lockouts (user_id, client_id, otp_failures, password_failures, failed_at, locked_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (user_id, client_id) DO UPDATE
             SET otp_failures = excluded.otp_failures, password_failures = excluded.password_failures,
                 failed_at = excluded.failed_at, locked_until = excluded.locked_until",
            values![
                user.0,
                client.0,
                lockout.otp_failures,
                lockout.password_failures,
                time(UnixTime(lockout.failed_at)),
                time(UnixTime(lockout.locked_until)),
            ],
        )?;
    }
    Ok(())
}

/// Replaces the end of the lock at all clients.
pub(crate) fn set_everywhere(transaction: Sql<'_>, user: UserId, until: u64) -> Result<(), Fault> {
    transaction.execute(
        "UPDATE accounts SET locked_until = ?2 WHERE user_id = ?1",
        values![user.0, time(UnixTime(until))],
    )?;
    Ok(())
}

/// Forgets all failures of a user, and so ends all locks.
pub(crate) fn forget(transaction: Sql<'_>, user: UserId) -> Result<(), Fault> {
    transaction.execute("DELETE FROM lockouts WHERE user_id = ?1", values![user.0])?;
    set_everywhere(transaction, user, 0)
}
