//! The chains as one sequence in the order of time, read page by page from either end.

use std::collections::BTreeMap;

use otp_store::{AuditEntry, ChainId, Head, Store, StoreError};
use otp_validation::UnixTime;

use super::Told;

/// Records that are read at once.
const PAGE: u64 = 1000;

/// How much of each chain has been seen.
type Position = BTreeMap<ChainId, u64>;

/// The trail of a store as of one moment.
pub(crate) struct Pages<'a> {
    store: &'a Store,
    heads: Vec<Head>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(store: &'a Store) -> Result<Self, StoreError> {
        Ok(Self {
            store,
            heads: store.audit_heads()?,
        })
    }

    /// Where the chains end.
    pub(crate) fn position(&self) -> Position {
        self.heads.iter().map(|head| (head.chain, head.number)).collect()
    }

    /// The newest `limit` records of since `since` that are `wanted`, the oldest of them first.
    pub(crate) fn newest(
        &self,
        limit: usize,
        since: UnixTime,
        wanted: impl Fn(&Told) -> bool,
    ) -> Result<Vec<Told>, StoreError> {
        let mut found = Vec::new();
        for head in &self.heads {
            let mut of_chain = 0_usize;
            let mut last = head.number;
            while last > 0 && of_chain < limit {
                let first = last.saturating_sub(PAGE - 1).max(1);
                let page = self.store.audit_entries(head.chain, first..=last)?;
                // Clocks are set: a page counts as too old if all of it is.
                let is_old = page.iter().all(|entry| entry.at < since);
                for told in page.into_iter().rev().map(Told::new) {
                    if told.entry.at >= since && wanted(&told) && of_chain < limit {
                        of_chain = of_chain.saturating_add(1);
                        found.push(told);
                    }
                }
                if is_old {
                    break;
                }
                last = first.saturating_sub(1);
            }
        }
        sort(&mut found);
        let surplus = found.len().saturating_sub(limit);
        found.drain(..surplus);
        Ok(found)
    }

    /// What has been appended behind `position`, which moves on.
    pub(crate) fn appended(&self, position: &mut Position) -> Result<Vec<Told>, StoreError> {
        let mut found = Vec::new();
        for head in &self.heads {
            let seen = position.entry(head.chain).or_default();
            while *seen < head.number {
                let last = seen.saturating_add(PAGE).min(head.number);
                let page = self
                    .store
                    .audit_entries(head.chain, seen.saturating_add(1)..=last)?;
                found.extend(page.into_iter().map(Told::new));
                *seen = last;
            }
        }
        sort(&mut found);
        Ok(found)
    }

    /// The records of `from` to `to` that are `wanted`, at most `limit` of each chain being looked at.
    pub(crate) fn between(
        &self,
        from: UnixTime,
        to: UnixTime,
        limit: u64,
        wanted: impl Fn(&AuditEntry) -> bool,
    ) -> Result<Vec<Told>, StoreError> {
        let mut found = Vec::new();
        for head in &self.heads {
            let mut next = self.first_since(head, from)?;
            let end = next.saturating_add(limit).min(head.number.saturating_add(1));
            while next < end {
                let last = next.saturating_add(PAGE - 1).min(end.saturating_sub(1));
                let page = self.store.audit_entries(head.chain, next..=last)?;
                let is_over = page.iter().all(|entry| entry.at > to);
                let fits = |entry: &AuditEntry| (from..=to).contains(&entry.at) && wanted(entry);
                found.extend(page.into_iter().filter(fits).map(Told::new));
                if is_over {
                    break;
                }
                next = last.saturating_add(1);
            }
        }
        sort(&mut found);
        Ok(found)
    }

    /// The number of the first record that is not older than `time`, by bisection: times ascend, but for clocks that were
    /// set.
    fn first_since(&self, head: &Head, time: UnixTime) -> Result<u64, StoreError> {
        let (mut low, mut high) = (1, head.number.saturating_add(1));
        while low < high {
            let middle = low.midpoint(high);
            let entry = self.store.audit_entries(head.chain, middle..=middle)?.pop();
            if entry.is_some_and(|entry| entry.at < time) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

fn sort(records: &mut [Told]) {
    records.sort_by_key(|told| (told.entry.at, told.entry.chain, told.entry.number));
}
