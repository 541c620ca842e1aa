//! What was offered and what was answered, as seen on the wire.

use std::collections::BTreeMap;

use krad::{Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest};
use otp_validation::{ClientId, UserId};
use tokio::time::Instant;

use crate::net::Endpoint;

/// Number of a packet, in the order in which packets were made.
pub(crate) type PacketId = usize;

/// What a credential holds, if it is a genuine one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Genuine {
    /// Which seed.
    pub(crate) seed: usize,
    /// Which counter or time step.
    pub(crate) moment: u64,
}

/// A packet as its client made it.
pub(crate) struct Sent {
    pub(crate) pending: PendingRequest,
    pub(crate) client: ClientId,
    /// Of the KDC: its packets may be twins.
    pub(crate) is_kdc: bool,
    pub(crate) user: UserId,
    pub(crate) genuine: Option<Genuine>,
    pub(crate) credential: String,
    pub(crate) endpoint: Endpoint,
    /// An honest person's login, by number.
    pub(crate) login: Option<usize>,
    /// When it reached a daemon.
    pub(crate) arrived: Vec<Instant>,
    pub(crate) answers: Vec<Answered>,
}

/// One answer on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) at: Instant,
    pub(crate) code: Code,
}

impl Sent {
    pub(crate) fn accepted_at(&self) -> Option<Instant> {
        let accept = self
            .answers
            .iter()
            .find(|answer| answer.code == Code::ACCESS_ACCEPT);
        accept.map(|answer| answer.at)
    }

    pub(crate) fn rejected_at(&self) -> Option<Instant> {
        let reject = self
            .answers
            .iter()
            .find(|answer| answer.code == Code::ACCESS_REJECT);
        reject.map(|answer| answer.at)
    }
}

/// All packets of a run.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) packets: Vec<Sent>,
    by_place: BTreeMap<(Endpoint, u8), Vec<PacketId>>,
    /// Answers that belong to no request.
    pub(crate) stray: u64,
}

impl History {
    pub(crate) fn add(&mut self, sent: Sent) -> PacketId {
        let id = self.packets.len();
        let place = (sent.endpoint, identifier(sent.pending.octets()).0);
        self.by_place.entry(place).or_default().push(id);
        self.packets.push(sent);
        id
    }

    /// A packet has reached a daemon.
    pub(crate) fn arrived(&mut self, endpoint: Endpoint, octets: &[u8]) {
        for id in self.at_place(endpoint, octets) {
            let Some(packet) = self.packets.get_mut(id) else {
                continue;
            };
            if packet.pending.octets() == octets {
                packet.arrived.push(Instant::now());
            }
        }
    }

    /// A daemon has sent a reply.
    pub(crate) fn answered(&mut self, endpoint: Endpoint, octets: &[u8]) {
        let Ok(reply) = Packet::decode(octets) else {
            self.stray += 1;
            return;
        };
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        for id in self.at_place(endpoint, octets) {
            let Some(packet) = self.packets.get_mut(id) else {
                continue;
            };
            if packet.pending.verify(reply, rule).is_ok() {
                let answered = Answered {
                    at: Instant::now(),
                    code: reply.code(),
                };
                packet.answers.push(answered);
                return;
            }
        }
        self.stray += 1;
    }

    fn at_place(&self, endpoint: Endpoint, octets: &[u8]) -> Vec<PacketId> {
        let place = (endpoint, identifier(octets).0);
        self.by_place.get(&place).cloned().unwrap_or_default()
    }
}

fn identifier(octets: &[u8]) -> Identifier {
    Identifier(octets.get(1).copied().unwrap_or_default())
}
