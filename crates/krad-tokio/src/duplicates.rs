//! The table of duplicates (RFC 5080 §2.2.2): the same request is decided once, and answered with the same
//! octets.
//!
//! A pure data structure: time is a parameter. A listener keeps one table per socket or connection, so the
//! key `K` is what else tells *outstanding* requests apart: source address, port and Identifier on UDP, the
//! Identifier alone on a stream. The identity `I` tells a repetition from the next request under the same
//! key: the Request Authenticator, and a digest of the packet, so that a client with a poor generator never
//! gets the answer to somebody else's request.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::settings::after;

/// Requests in flight, and answers of the last seconds.
///
/// Only authentic packets may reach it: a forged one would replace the entry of an honest one.
pub struct DuplicateTable<K, I> {
    entries: HashMap<K, Entry<I>>,
    /// Keys of answered entries by the order of their answers, which is the order in which they expire.
    answered: BTreeMap<Ticket, K>,
    capacity: usize,
    life: Duration,
    next_ticket: u64,
}

/// Names one admission, so that a late answer does not end up with a later request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Decide it, then [`complete`](DuplicateTable::complete) or [`abandon`](DuplicateTable::abandon) the
    /// ticket.
    New(Ticket),
    /// It repeats a request that is being decided: nothing to do.
    InFlight,
    /// It repeats a request that was answered: send these octets again.
    Answered(Arc<[u8]>),
    /// As many requests as the table holds are in flight: discard it.
    Full,
}

struct Entry<I> {
    identity: I,
    ticket: Ticket,
    answer: Option<Stored>,
}

struct Stored {
    reply: Arc<[u8]>,
    order: Ticket,
    expires: Instant,
}

impl<K: Hash + Eq + Clone, I: Eq> DuplicateTable<K, I> {
    /// An empty table for `capacity` requests, at least one, whose answers live for `life`.
    #[must_use]
    pub fn new(capacity: usize, life: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            answered: BTreeMap::new(),
            capacity: capacity.max(1),
            life,
            next_ticket: 0,
        }
    }

    /// Looks up an authentic request, and enters it if it is new.
    ///
    /// Another identity under the same key is a new request: the client has given up the old one. When the
    /// table is full, the oldest answer makes room; work in progress never does, as its duplicates would be
    /// done twice.
    pub fn admit(&mut self, key: K, identity: I, now: Instant) -> Admission {
        self.expire(now);
        if let Some(entry) = self.entries.get(&key).filter(|entry| entry.identity == identity) {
            return match &entry.answer {
                Some(stored) => Admission::Answered(Arc::clone(&stored.reply)),
                None => Admission::InFlight,
            };
        }
        self.remove(&key);
        while self.entries.len() >= self.capacity {
            let Some((_, oldest)) = self.answered.pop_first() else {
                return Admission::Full;
            };
            self.entries.remove(&oldest);
        }
        let ticket = self.ticket();
        self.entries.insert(
            key,
            Entry {
                identity,
                ticket,
                answer: None,
            },
        );
        Admission::New(ticket)
    }

    /// Stores the answer of an admitted request, unless a later request has taken its place.
    pub fn complete(&mut self, key: &K, ticket: Ticket, reply: Arc<[u8]>, now: Instant) {
        let order = self.ticket();
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.ticket == ticket) else {
            return;
        };
        // The second answer to one ticket would leave the first one's place in `answered` behind.
        if entry.answer.is_none() {
            entry.answer = Some(Stored {
                reply,
                order,
                expires: after(now, self.life),
            });
            self.answered.insert(order, key.clone());
        }
    }

    /// Forgets an admitted request that will have no answer: its next duplicate is decided anew.
    pub fn abandon(&mut self, key: &K, ticket: Ticket) {
        if self.entries.get(key).is_some_and(|entry| entry.ticket == ticket) {
            self.remove(key);
        }
    }

    /// How many requests it holds, in flight or answered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn expire(&mut self, now: Instant) {
        while let Some(first) = self.answered.first_entry() {
            let stored = self
                .entries
                .get(first.get())
                .and_then(|entry| entry.answer.as_ref());
            if stored.is_some_and(|stored| stored.expires > now) {
                break;
            }
            self.entries.remove(&first.remove());
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(stored) = self.entries.remove(key).and_then(|entry| entry.answer) {
            self.answered.remove(&stored.order);
        }
    }

    fn ticket(&mut self) -> Ticket {
        // 2^64 requests do not happen.
        self.next_ticket = self.next_ticket.wrapping_add(1);
        Ticket(self.next_ticket)
    }
}

/// Shows how full it is, not what it holds.
impl<K, I> fmt::Debug for DuplicateTable<K, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuplicateTable")
            .field("entries", &self.entries.len())
            .field("answered", &self.answered.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
