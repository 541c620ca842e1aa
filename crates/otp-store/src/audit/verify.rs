//! Verifying the trail: every record of every chain, and whether what was noted of it elsewhere still holds.

use std::fmt;

use otp_validation::UnixTime;

use super::{AuditEntry, ChainId, Head, Link, Tail, read::chains};
use crate::{
    Store, StoreError,
    error::Fault,
    sql::{Sql, values},
};

/// Records that are read at once, so that nobody waits for a reader.
const PAGE: u64 = 4096;

/// What became of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Records that were looked at.
    pub records: u64,
    /// The time of the earliest.
    pub first: Option<UnixTime>,
    /// The time of the latest.
    pub last: Option<UnixTime>,
    /// Where the chains ended when the verification began: to be noted elsewhere.
    pub heads: Vec<Head>,
    /// The first thing that is wrong with each chain that something is wrong with.
    pub broken: Vec<Broken>,
}

/// Where a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The chain.
    pub chain: ChainId,
    /// The number at which it shows.
    pub number: u64,
    /// What is wrong there.
    pub why: Break,
}

/// What may be wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Break {
    /// The record is missing.
    Missing,
    /// The record, or the one before it, is not what was written.
    Changed,
    /// The record stands behind the end of its chain.
    BehindTheEnd,
    /// The end of the chain is not its last record.
    End,
    /// What was noted of the chain has never been written to it, or is there no more.
    Noted,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the record is missing",
            Self::Changed => "the record is not what was written, or does not follow the one before it",
            Self::BehindTheEnd => "the record stands behind the end of its chain",
            Self::End => "the end of the chain is not its last record",
            Self::Noted => {
                "the chain does not have what was noted of it: its end was cut off, or it was written anew"
            }
        })
    }
}

impl Store {
    /// Looks at every record, as far as there were records when it began; tells `progress` how many of how many it has seen.
    ///
    /// Each of `noted` must be a record of its chain still. Records that are appended meanwhile are left to the next time.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot even be read, or whatever keeps the store from reading. What is broken is no
    /// error, but in the result.
    pub fn verify_audit(
        &self,
        noted: &[Head],
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Verification, StoreError> {
        let heads = self.audit_heads()?;
        let total = heads.iter().map(|head| head.number).fold(0, u64::saturating_add);
        let mut seen = Verification {
            records: 0,
            first: None,
            last: None,
            heads,
            broken: Vec::new(),
        };
        for head in seen.heads.clone() {
            let noted = noted.iter().filter(|noted| noted.chain == head.chain);
            let mut walk = Walk::new(head, noted.copied().collect());
            let mut from = 1;
            while from <= head.number && walk.broken.is_none() {
                let to = from.saturating_add(PAGE).saturating_sub(1).min(head.number);
                for entry in self.audit_entries(head.chain, from..=to)? {
                    walk.step(self, &entry);
                    seen.look_at(&entry);
                }
                progress(seen.records, total);
                from = to.saturating_add(1);
            }
            seen.broken.extend(walk.end());
        }
        // A chain that is gone altogether, and was noted.
        let unknown = noted.iter().filter(|noted| {
            let is_known = seen.heads.iter().any(|head| head.chain == noted.chain);
            !is_known && noted.number > 0
        });
        let unknown: Vec<_> = unknown
            .map(|noted| broken(noted.chain, noted.number, Break::Noted))
            .collect();
        seen.broken.extend(unknown);
        for stray in self.read("verifying the audit trail", behind_the_end)? {
            if seen.broken.iter().all(|broken| broken.chain != stray.chain) {
                seen.broken.push(stray);
            }
        }
        Ok(seen)
    }
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.broken.is_empty()
    }

    fn look_at(&mut self, entry: &AuditEntry) {
        self.records = self.records.saturating_add(1);
        self.first = Some(self.first.map_or(entry.at, |first| first.min(entry.at)));
        self.last = Some(self.last.map_or(entry.at, |last| last.max(entry.at)));
    }
}

/// One chain, record by record.
struct Walk {
    /// Where it must end.
    end: Head,
    noted: Vec<Head>,
    /// The record that was seen last.
    at: Head,
    broken: Option<Broken>,
}

impl Walk {
    fn new(end: Head, noted: Vec<Head>) -> Self {
        Self {
            end,
            noted,
            at: Head {
                number: 0,
                link: Link::FIRST,
                ..end
            },
            broken: None,
        }
    }

    fn step(&mut self, store: &Store, entry: &AuditEntry) {
        if self.broken.is_some() {
            return;
        }
        let number = self.at.number.saturating_add(1);
        if entry.number != number {
            self.broken = Some(broken(self.at.chain, number, Break::Missing));
            return;
        }
        let link = store
            .digests()
            .link(&self.at, number, entry.at, entry.request, &entry.record);
        if link != entry.link {
            self.broken = Some(broken(self.at.chain, number, Break::Changed));
            return;
        }
        self.at = Head {
            number,
            link,
            ..self.at
        };
        let contradicts = |noted: &Head| noted.number == number && noted.link != link;
        if self.noted.iter().any(contradicts) {
            self.broken = Some(broken(self.at.chain, number, Break::Noted));
        }
    }

    fn end(self) -> Option<Broken> {
        if self.broken.is_some() {
            return self.broken;
        }
        let chain = self.end.chain;
        if self.at.number < self.end.number {
            return Some(broken(chain, self.at.number.saturating_add(1), Break::Missing));
        }
        if self.at != self.end {
            return Some(broken(chain, self.end.number, Break::End));
        }
        let beyond = self.noted.iter().find(|noted| noted.number > self.end.number);
        beyond.map(|noted| broken(chain, noted.number, Break::Noted))
    }
}

/// Records that no chain accounts for.
fn behind_the_end(transaction: Sql<'_>) -> Result<Vec<Broken>, Fault> {
    let mut found = Vec::new();
    for Tail { row, head, .. } in chains(transaction)? {
        let end = i64::try_from(head.number).unwrap_or(i64::MAX);
        let number: Option<i64> = transaction.one(
            "SELECT min(number) AS behind FROM audit WHERE chain = ?1 AND number > ?2",
            values![row, end],
            |row| row.get("behind"),
        )?;
        if let Some(number) = number {
            found.push(broken(head.chain, number.unsigned_abs(), Break::BehindTheEnd));
        }
    }
    let orphan: Option<i64> = transaction.optional(
        "SELECT number FROM audit WHERE chain NOT IN (SELECT id FROM audit_chains) LIMIT 1",
        values![],
        |row| row.get("number"),
    )?;
    if let Some(number) = orphan {
        // Its chain has no name any more.
        found.push(broken(
            ChainId([0; 16]),
            number.unsigned_abs(),
            Break::BehindTheEnd,
        ));
    }
    Ok(found)
}

fn broken(chain: ChainId, number: u64, why: Break) -> Broken {
    Broken { chain, number, why }
}
