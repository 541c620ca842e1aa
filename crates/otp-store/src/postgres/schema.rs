//! The tables, and how those of an older version are brought up to this one.

use crate::{
    Postgres, StoreError,
    error::Fault,
    sql::{Sql, values},
};

/// Steps from the empty database to the present schema. A step that was released never changes.
const STEPS: &[&str] = &[
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
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// The schema that the database has; `None` if it has none of ours.
pub(super) fn version(sql: Sql<'_>) -> Result<Option<i64>, Fault> {
    let exists: i64 = sql.one(
        "SELECT CASE WHEN to_regclass('schema') IS NULL THEN 0 ELSE 1 END AS there",
        values![],
        |row| row.get("there"),
    )?;
    if exists == 0 {
        return Ok(None);
    }
    sql.optional("SELECT version FROM schema", values![], |row| row.get("version"))
}

/// Refuses a database that holds a store already, of whatever version.
pub(crate) fn refuse_tables(sql: Sql<'_>, database: &Postgres) -> Result<(), Fault> {
    match version(sql)? {
        None => Ok(()),
        Some(_) => Err(StoreError::DatabaseInUse {
            database: database.to_string(),
        }
        .into()),
    }
}

/// Refuses tables that are not those of this version.
pub(crate) fn check(sql: Sql<'_>, database: &str) -> Result<(), Fault> {
    let known = newest();
    match version(sql)? {
        None => Err(StoreError::NoStoreInDatabase {
            database: database.to_owned(),
        }
        .into()),
        Some(found) => Ok(is_present(found, known)?),
    }
}

/// Whether a program that knows `known` works on schema `found`.
pub(crate) fn is_present(found: i64, known: i64) -> Result<(), StoreError> {
    match found.cmp(&known) {
        std::cmp::Ordering::Greater => Err(StoreError::NewerSchema { found, known }),
        std::cmp::Ordering::Less => Err(StoreError::OlderSchema { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// Takes the steps that are missing, in a transaction that is alone; returns the schema before, 0 for none.
pub(crate) fn migrate(sql: Sql<'_>) -> Result<i64, Fault> {
    let (found, known) = (version(sql)?.unwrap_or(0), newest());
    if found > known {
        return Err(StoreError::NewerSchema { found, known }.into());
    }
    for (step, number) in STEPS.iter().zip(1_i64..).filter(|(_, number)| *number > found) {
        sql.script(step)?;
        let values = values![number];
        if sql.execute("UPDATE schema SET version = ?1", values)? == 0 {
            sql.execute("INSERT INTO schema (one, version) VALUES (1, ?1)", values)?;
        }
    }
    Ok(found)
}
