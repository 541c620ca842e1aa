//! Reading the trail.

use std::ops::RangeInclusive;

use otp_validation::UnixTime;

use super::{ChainId, Head, Link, Tail};
use crate::{
    Record, Store, StoreError,
    error::Fault,
    sql::{Row, Sql, values},
    value::unix_time,
};

/// A record in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The chain that it stands in.
    pub chain: ChainId,
    /// Its number there, from 1 on.
    pub number: u64,
    /// When it happened, by the clock of whoever recorded it.
    pub at: UnixTime,
    /// The number of the request in the log, if it tells of one.
    pub request: Option<u64>,
    /// What happened: one JSON object.
    pub record: String,
    /// Its link.
    pub link: Link,
}

/// The columns of an entry; the table of chains is `c`, that of records `a`.
pub(super) const COLUMNS: &str = "c.name, a.number, a.at, a.request, a.record, a.link";

impl AuditEntry {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Fault> {
        let number: i64 = row.get("number")?;
        let request: Option<i64> = row.get("request")?;
        Ok(Self {
            chain: ChainId(row.get("name")?),
            number: crate::value::unsigned("the number of a record", number)?,
            at: unix_time("the time of a record", row.get("at")?)?,
            request: request.map(i64::cast_unsigned),
            record: row.get("record")?,
            link: Link(row.get("link")?),
        })
    }
}

impl Store {
    /// Where every chain ends, in the order in which they began.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn audit_heads(&self) -> Result<Vec<Head>, StoreError> {
        self.read("reading the audit trail", |transaction| {
            let chains = chains(transaction)?;
            Ok(chains.into_iter().map(|tail| tail.head).collect())
        })
    }

    /// The records of a chain whose numbers are in `numbers`, in their order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn audit_entries(
        &self,
        chain: ChainId,
        numbers: RangeInclusive<u64>,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.read("reading the audit trail", |transaction| {
            entries(transaction, chain, &numbers)
        })
    }

    /// What was recorded of the request of this number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn audit_of_request(&self, request: u64) -> Result<Vec<AuditEntry>, StoreError> {
        self.read("reading the audit trail", |transaction| {
            let statement = format!(
                "SELECT {COLUMNS} FROM audit a JOIN audit_chains c ON c.id = a.chain
                 WHERE a.request = ?1 ORDER BY a.at, a.chain, a.number"
            );
            let mut found = Vec::new();
            transaction.each(&statement, values![request.cast_signed()], |row| {
                found.push(AuditEntry::read(row)?);
                Ok(())
            })?;
            Ok(found)
        })
    }

    /// Keeps `record` of a decision that changes nothing, and waits for nothing: it is written with the next decision, or
    /// within about a second. Where refusals come in floods, only so many of each second are kept, and how many were not is
    /// recorded.
    pub fn record(&self, record: Record) {
        if self.trail().defer(record) {
            self.wake_writer();
        }
    }

    /// Writes what [`record`](Self::record) has kept, for programs that end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from writing.
    pub fn write_records(&self) -> Result<(), StoreError> {
        let batch = self.trail().take();
        // Even if there is nothing to be written: whoever writes now has the rest, and is waited for.
        let written = self.administer("writing the audit trail", |transaction| {
            let mut tail = Tail::claim(transaction)?;
            batch.each(|record| tail.append(transaction, &self.secrets().digests, record))?;
            tail.release(transaction)
        });
        if written.is_err() {
            self.trail().put_back(batch);
        }
        written
    }
}

/// All chains, in the order in which they began.
pub(super) fn chains(transaction: Sql<'_>) -> Result<Vec<Tail>, Fault> {
    let mut chains = Vec::new();
    transaction.each(
        "SELECT id, name, number, link FROM audit_chains ORDER BY id",
        values![],
        |row| {
            chains.push(Tail::read(row)?);
            Ok(())
        },
    )?;
    Ok(chains)
}

pub(super) fn entries(
    transaction: Sql<'_>,
    chain: ChainId,
    numbers: &RangeInclusive<u64>,
) -> Result<Vec<AuditEntry>, Fault> {
    let statement = format!(
        "SELECT {COLUMNS} FROM audit_chains c JOIN audit a ON a.chain = c.id
         WHERE c.name = ?1 AND a.number BETWEEN ?2 AND ?3 ORDER BY a.number"
    );
    let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    transaction.each(
        &statement,
        values![&chain.0, bound(*numbers.start()), bound(*numbers.end())],
        |row| {
            found.push(AuditEntry::read(row)?);
            Ok(())
        },
    )?;
    Ok(found)
}
