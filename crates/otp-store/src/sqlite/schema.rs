//! The tables, and how a database of an older version is brought up to this one.
//!
//! The statements that use them are plain SQL on INTEGER, BLOB and TEXT; what is SQLite's own stands here alone.

use rusqlite::Connection;

use crate::{StoreError, error::Fault};

/// Marks the file as ours ("OTPs").
pub(crate) const APPLICATION_ID: i64 = 0x4f54_5073;

/// Steps from the empty database to the present schema. A step that was released never changes.
pub(crate) const STEPS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
    include_str!("schema/0008.sql"),
    include_str!("schema/0009.sql"),
    include_str!("schema/0010.sql"),
];

/// The schema that this program works on.
pub(crate) fn newest() -> i64 {
    count(STEPS)
}

/// The schema that the database has.
pub(crate) fn version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Refuses a schema that is newer than this program.
pub(crate) fn check(connection: &Connection) -> Result<i64, Fault> {
    check_against(connection, STEPS)
}

fn check_against(connection: &Connection, steps: &[&str]) -> Result<i64, Fault> {
    let (found, known) = (version(connection)?, count(steps));
    if found > known {
        return Err(StoreError::NewerSchema { found, known }.into());
    }
    Ok(found)
}

/// Takes the steps that are missing. The caller holds the write lock and commits.
pub(crate) fn migrate(transaction: &Connection) -> Result<(), Fault> {
    apply(transaction, STEPS)
}

fn apply(transaction: &Connection, steps: &[&str]) -> Result<(), Fault> {
    let done = check_against(transaction, steps)?;
    let missing = steps.iter().zip(1_i64..).filter(|(_, number)| *number > done);
    for (step, number) in missing {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    Ok(())
}

fn count(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[&str] = &[
        "CREATE TABLE a (x INTEGER) STRICT;",
        "ALTER TABLE a ADD COLUMN y TEXT;",
    ];

    #[test]
    fn only_missing_steps_are_taken() {
        let connection = Connection::open_in_memory().unwrap();
        apply(&connection, &TWO[..1]).unwrap();
        connection.execute_batch("INSERT INTO a (x) VALUES (1)").unwrap();
        for _ in 0..2 {
            apply(&connection, TWO).unwrap();
            assert_eq!(version(&connection).unwrap(), 2);
        }
        let kept: (i64, Option<String>) = connection
            .query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(kept, (1, None));
    }

    #[test]
    fn a_step_that_fails_leaves_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        let transaction = connection.transaction().unwrap();
        assert!(
            apply(
                &transaction,
                &[TWO[0], "CREATE TABLE b (x INTEGER) STRICT; NONSENSE;"]
            )
            .is_err()
        );
        transaction.rollback().unwrap();
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
            .unwrap();
        assert_eq!((tables, version(&connection).unwrap()), (0, 0));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        apply(&connection, TWO).unwrap();
        let refused = apply(&connection, &TWO[..1]);
        assert!(matches!(
            refused,
            Err(Fault::Store(StoreError::NewerSchema { found: 2, known: 1 }))
        ));
    }

    #[test]
    fn failures_of_before_there_were_clients_are_forgiven_and_locks_kept() {
        let connection = Connection::open_in_memory().unwrap();
        apply(&connection, &STEPS[..1]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO users (id, uid, name, enabled, created_at)
                 VALUES (5, x'00112233445566778899aabbccddeeff', 'alice', 1, 7);
                 INSERT INTO accounts (user_id, version, otp_failures, password_failures, locked_until)
                 VALUES (5, 9, 12, 3, 1700000000)",
            )
            .unwrap();
        apply(&connection, &STEPS[..2]).unwrap();
        let kept: (i64, i64, i64) = connection
            .query_row(
                "SELECT version, locked_until, (SELECT count(*) FROM lockouts) FROM accounts WHERE user_id = 5",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(kept, (9, 1_700_000_000, 0));
    }

    /// A connection with the tables, a user, a token and its replay state.
    fn with_replay_state() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        apply(&connection, STEPS).unwrap();
        connection
            .execute(
                "INSERT INTO replay (id, next) VALUES (x'00112233445566778899aabbccddeeff', 7)",
                [],
            )
            .unwrap();
        connection
    }

    #[test]
    fn replay_state_only_grows() {
        let connection = with_replay_state();
        connection.execute("UPDATE replay SET next = 8", []).unwrap();
        let refused = [
            "UPDATE replay SET next = 7",
            "UPDATE replay SET id = x'ffffffffffffffffffffffffffffffff'",
            "DELETE FROM replay",
            "INSERT OR REPLACE INTO replay (id, next) VALUES (x'00112233445566778899aabbccddeeff', 0)",
            "REPLACE INTO replay (id, next) VALUES (x'00112233445566778899aabbccddeeff', 9)",
            "INSERT INTO replay (id, next) VALUES (x'00112233445566778899aabbccddeeff', 1)
             ON CONFLICT (id) DO UPDATE SET next = excluded.next",
            "INSERT INTO replay (id, next) VALUES (x'01112233445566778899aabbccddeeff', -1)",
        ];
        for statement in refused {
            let error = connection.execute(statement, []).unwrap_err();
            assert!(Fault::from(error).is_constraint(), "{statement}");
            let next: i64 = connection
                .query_row("SELECT next FROM replay", [], |row| row.get(0))
                .unwrap();
            assert_eq!(next, 8, "{statement}");
        }
    }
}
