//! What is counted of a server.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use krad::Code;

use super::ReplyDiscard;

/// The counters of one server, as they are counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) accepts: AtomicU64,
    pub(super) rejects: AtomicU64,
    pub(super) challenges: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) unreachable: AtomicU64,
    pub(super) failed_connections: AtomicU64,
    pub(super) probes: AtomicU64,
    pub(super) unanswered_probes: AtomicU64,
    discards: [AtomicU64; ReplyDiscard::ALL.len()],
}

/// How often what happened with one server since its pool was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that it was sent, each once.
    pub requests: u64,
    /// Datagrams that it was sent again.
    pub repeated: u64,
    /// Requests that it has accepted.
    pub accepts: u64,
    /// Requests that it has rejected.
    pub rejects: u64,
    /// Requests that it has challenged.
    pub challenges: u64,
    /// Requests that it has not answered while somebody waited.
    pub unanswered: u64,
    /// Requests that could not be sent to it, or whose connection broke.
    pub unreachable: u64,
    /// Connections that could not be made.
    pub failed_connections: u64,
    /// Status-Servers that it was sent.
    pub probes: u64,
    /// Status-Servers that it has not answered.
    pub unanswered_probes: u64,
    /// Packets that were discarded, in the order of [`ReplyDiscard::ALL`].
    pub discards: [u64; ReplyDiscard::ALL.len()],
}

pub(super) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    pub(super) fn answered(&self, code: Code) {
        increment(match code {
            Code::ACCESS_ACCEPT => &self.accepts,
            Code::ACCESS_REJECT => &self.rejects,
            _ => &self.challenges,
        });
    }

    /// Whoever can reach the port can cause this: it is no more than a line for who looks closely.
    pub(super) fn discarded(&self, discard: ReplyDiscard, address: SocketAddr) {
        tracing::debug!(%address, %discard, "discarding a packet from a RADIUS server");
        let place = ReplyDiscard::ALL.iter().position(|known| *known == discard);
        if let Some(counter) = place.and_then(|place| self.discards.get(place)) {
            increment(counter);
        }
    }

    pub(super) fn failed_connection(&self, address: SocketAddr, error: &io::Error) {
        tracing::info!(%address, %error, "no connection to a RADIUS server");
        increment(&self.failed_connections);
    }

    pub(super) fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            requests: get(&self.requests),
            repeated: get(&self.repeated),
            accepts: get(&self.accepts),
            rejects: get(&self.rejects),
            challenges: get(&self.challenges),
            unanswered: get(&self.unanswered),
            unreachable: get(&self.unreachable),
            failed_connections: get(&self.failed_connections),
            probes: get(&self.probes),
            unanswered_probes: get(&self.unanswered_probes),
            discards: self.discards.each_ref().map(get),
        }
    }
}
