//! One transaction, whichever engine runs it: statements, values and rows that both understand.
//!
//! Statements are plain SQL on INTEGER (BIGINT), TEXT and BLOB (BYTEA), with parameters `?1`, `?2` …, each used in a place
//! that tells its type. What is an engine's own stands in its module.

use otp_validation::UnixTime;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::{StoreError, error::Fault, postgres::Session, value::unix_time};

/// An open transaction.
#[derive(Clone, Copy)]
pub(crate) enum Sql<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a Session),
}

/// What a parameter stands for, or what a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Octets(&'a [u8]),
}

/// One row of a result.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Sql<'_> {
    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn execute(&self, statement: &str, values: &[Value<'_>]) -> Result<u64, Fault> {
        match self {
            Self::Sqlite(connection) => {
                let mut prepared = connection.prepare_cached(statement)?;
                let rows = prepared.execute(rusqlite::params_from_iter(values))?;
                Ok(u64::try_from(rows).unwrap_or(u64::MAX))
            }
            Self::Postgres(session) => session.execute_blocking(statement, values),
        }
    }

    /// Visits every row of a query.
    pub(crate) fn each(
        &self,
        statement: &str,
        values: &[Value<'_>],
        mut visit: impl FnMut(&Row<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => {
                let mut prepared = connection.prepare_cached(statement)?;
                let mut rows = prepared.query(rusqlite::params_from_iter(values))?;
                while let Some(row) = rows.next()? {
                    visit(&Row::Sqlite(row))?;
                }
                Ok(())
            }
            Self::Postgres(session) => {
                for row in &session.query_blocking(statement, values)? {
                    visit(&Row::Postgres(row))?;
                }
                Ok(())
            }
        }
    }

    /// What `read` makes of the first row, if there is one.
    pub(crate) fn optional<T>(
        &self,
        statement: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self {
            Self::Sqlite(connection) => {
                let mut prepared = connection.prepare_cached(statement)?;
                let mut rows = prepared.query(rusqlite::params_from_iter(values))?;
                rows.next()?.map(|row| read(&Row::Sqlite(row))).transpose()
            }
            Self::Postgres(session) => {
                let rows = session.query_blocking(statement, values)?;
                rows.first().map(|row| read(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// What `read` makes of the one row that the statement always has.
    pub(crate) fn one<T>(
        &self,
        statement: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.optional(statement, values, read)?
            .ok_or_else(|| StoreError::corrupt(format!("no row for {statement:?}")).into())
    }

    /// Runs several statements without parameters, none of which is prepared for another time.
    pub(crate) fn script(&self, text: &str) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(text)?),
            Self::Postgres(session) => session.wait(session.batch(text)),
        }
    }

    /// The time by the engine's own clock, where it may be another machine's.
    pub(crate) fn clock(&self) -> Result<Option<UnixTime>, Fault> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(_) => {
                let seconds: i64 = self.one(
                    "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT) AS now",
                    values![],
                    |row| row.get("now"),
                )?;
                Ok(Some(unix_time("the clock of the database", seconds)?))
            }
        }
    }

    /// The time by the engine's clock, whoever's that is.
    pub(crate) fn time(&self) -> Result<UnixTime, Fault> {
        match self.clock()? {
            Some(time) => Ok(time),
            None => self.one("SELECT unixepoch() AS now", values![], |row| {
                Ok(unix_time("the clock of this machine", row.get("now")?)?)
            }),
        }
    }

    /// Finds a chain of the audit trail that nobody writes to, and keeps others from it until the transaction ends.
    pub(crate) fn claim_chain(&self) -> &'static str {
        match self {
            // Whoever writes is alone.
            Self::Sqlite(_) => "SELECT id, name, number, link FROM audit_chains ORDER BY id LIMIT 1",
            Self::Postgres(_) => crate::postgres::CLAIM_CHAIN,
        }
    }

    /// Begins another chain.
    pub(crate) fn make_chain(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "INSERT INTO audit_chains (name, number, link) VALUES (randomblob(16), 0, zeroblob(32))
                 RETURNING id, name, number, link"
            }
            Self::Postgres(_) => crate::postgres::MAKE_CHAIN,
        }
    }

    /// What an account's version becomes when an administrator changes the account, in the way of
    /// [`Store::next_version`](crate::Store).
    pub(crate) fn next_version(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "version + 1",
            Self::Postgres(_) => "random_version()",
        }
    }
}

impl Row<'_> {
    /// The value of the column called `name`.
    pub(crate) fn get<T: Column>(&self, name: &str) -> Result<T, Fault> {
        let value = match self {
            Self::Sqlite(row) => match row.get_ref(name)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Text(octets) => match std::str::from_utf8(octets) {
                    Ok(text) => Value::Text(text),
                    Err(_) => return Err(unreadable(name)),
                },
                ValueRef::Blob(octets) => Value::Octets(octets),
                ValueRef::Real(_) => return Err(unreadable(name)),
            },
            Self::Postgres(row) => row.try_get(name)?,
        };
        T::read(value).ok_or_else(|| unreadable(name))
    }
}

fn unreadable(column: &str) -> Fault {
    StoreError::corrupt(format!("a value in column {column} that is never written there")).into()
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Octets(octets) => ValueRef::Blob(octets),
        }))
    }
}

/// A Rust type that a column may hold.
pub(crate) trait Column: Sized {
    /// `None` if this program never writes `value` there.
    fn read(value: Value<'_>) -> Option<Self>;
}

impl Column for i64 {
    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }
}

impl Column for u32 {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value)?.try_into().ok()
    }
}

impl Column for u8 {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value)?.try_into().ok()
    }
}

impl Column for bool {
    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl Column for String {
    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl Column for Vec<u8> {
    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Octets(octets) => Some(octets.to_vec()),
            _ => None,
        }
    }
}

impl<const N: usize> Column for [u8; N] {
    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Octets(octets) => octets.try_into().ok(),
            _ => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::read(other).map(Some),
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u8> for Value<'_> {
    fn from(number: u8) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Integer(flag.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Octets(octets)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Self::Octets(octets)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self::Octets(octets)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A list of [`Value`]s of whatever types.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::sql::Value::from($value)),*]
    };
}
pub(crate) use values;
