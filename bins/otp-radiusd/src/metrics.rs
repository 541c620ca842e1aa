//! What the daemon counts. Names of users and numbers of requests are in the log and in the audit trail, never here; names of clients
//! come from the store, so that nobody on the network can make new series.

use std::{
    array,
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use krad::Code;
use krad_tokio::Peer;
use otp_service::Service;
use otp_store::Histogram;
use otp_validation::{Reason, UnixTime};

use crate::{
    exposition::{Exposition, Unit},
    radius::Radius,
    report::{Decided, Discards, LogReporter, Reporter},
    usage::Usages,
};

/// Counts everything, and lets the log have it.
#[derive(Debug)]
pub(crate) struct Metrics {
    log: LogReporter,
    started_at: UnixTime,
    clients: RwLock<HashMap<String, Arc<ClientMetrics>>>,
    /// From receipt to decision, by transport.
    decided: [Histogram; TRANSPORTS.len()],
    /// From receipt to reply, by code.
    replied: [Histogram; CODES.len()],
    open: [AtomicU64; TRANSPORTS.len()],
    opened: [AtomicU64; TRANSPORTS.len()],
    reloads: [AtomicU64; RELOADS.len()],
}

/// What is counted of a client.
#[derive(Debug)]
struct ClientMetrics {
    /// In the order of [`CODES`].
    decisions: [[[AtomicU64; TRANSPORTS.len()]; Reason::ALL.len()]; CODES.len()],
    repeated: [AtomicU64; TRANSPORTS.len()],
    unprotected: AtomicU64,
}

/// Labels of transports.
const TRANSPORTS: [&str; 5] = ["unix", "udp", "tcp", "tls", "other"];
/// Labels of replies.
const CODES: [&str; 3] = ["accept", "reject", "challenge"];
/// Labels of what became of a reload.
const RELOADS: [&str; 3] = ["changed", "unchanged", "refused"];

/// Microseconds, up to the longest deadline.
pub(crate) const TIMES: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 1_500_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reloaded {
    Changed,
    Unchanged,
    Refused,
}

fn transport(peer: &Peer) -> usize {
    match peer {
        Peer::Unix { .. } => 0,
        Peer::Udp(_) => 1,
        Peer::Tcp { .. } => 2,
        Peer::Tls { .. } => 3,
        _ => 4,
    }
}

fn increment(counters: &[AtomicU64], place: usize) {
    if let Some(counter) = counters.get(place) {
        counter.fetch_add(1, Relaxed);
    }
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    array::from_fn(|_| AtomicU64::new(0))
}

impl Metrics {
    pub(crate) fn new(now: UnixTime) -> Self {
        Self {
            log: LogReporter,
            started_at: now,
            clients: RwLock::default(),
            decided: array::from_fn(|_| Histogram::new(TIMES)),
            replied: array::from_fn(|_| Histogram::new(TIMES)),
            open: zeros(),
            opened: zeros(),
            reloads: zeros(),
        }
    }

    fn client(&self, name: &str) -> Arc<ClientMetrics> {
        // Nothing is left half done under the lock.
        let known = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(name) {
            return Arc::clone(client);
        }
        drop(known);
        let mut known = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(ClientMetrics {
                decisions: array::from_fn(|_| array::from_fn(|_| zeros())),
                repeated: zeros(),
                unprotected: AtomicU64::new(0),
            })
        }))
    }

    pub(crate) fn reloaded(&self, outcome: Reloaded) {
        increment(&self.reloads, outcome as usize);
    }

    /// Everything, for Prometheus.
    pub(crate) fn expose(&self, radius: &Radius<Arc<Self>>) -> String {
        let (service, discards) = (radius.service(), radius.discards());
        let mut text = Exposition::default();
        text.gauge("otp_radiusd_build_info", "The version that runs.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        text.gauge(
            "process_start_time_seconds",
            "When it was started, in seconds since the Unix epoch.",
        )
        .sample(&[], self.started_at.0);
        self.expose_decisions(&mut text);
        self.expose_times(&mut text);
        self.expose_packets(&mut text, discards);
        expose_usage(&mut text, radius.usages());
        self.expose_connections(&mut text);
        radius.upstreams().expose(&mut text);
        expose_service(&mut text, service);
        expose_store(&mut text, service);
        text.counter(
            "otp_radiusd_reloads_total",
            "Configurations that were read again, by outcome.",
        );
        for (outcome, count) in RELOADS.iter().zip(&self.reloads) {
            text.sample(&[("outcome", outcome)], count.load(Relaxed));
        }
        text.into_text()
    }

    /// The clients by name.
    fn sorted(&self) -> Vec<(String, Arc<ClientMetrics>)> {
        let known = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let mut clients: Vec<_> = known
            .iter()
            .map(|(name, client)| (name.clone(), Arc::clone(client)))
            .collect();
        drop(known);
        clients.sort_by(|(one, _), (other, _)| one.cmp(other));
        clients
    }

    fn expose_decisions(&self, text: &mut Exposition) {
        text.counter(
            "otp_radiusd_decisions_total",
            "Decided requests; otpctl why explains the reasons. Twins and repeated packets have reasons of their own.",
        );
        for (client, counts) in self.sorted() {
            for (verdict, decisions) in CODES.iter().zip(&counts.decisions) {
                for (reason, by_transport) in Reason::ALL.iter().zip(decisions) {
                    for (transport, count) in TRANSPORTS.iter().zip(by_transport) {
                        let count = count.load(Relaxed);
                        if count > 0 {
                            let labels = [
                                ("client", client.as_str()),
                                ("transport", transport),
                                ("verdict", verdict),
                                ("reason", reason.code()),
                            ];
                            text.sample(&labels, count);
                        }
                    }
                }
            }
        }
    }

    fn expose_times(&self, text: &mut Exposition) {
        text.histogram(
            "otp_radiusd_decision_duration_seconds",
            "From the receipt of a request to its decision, durable where it spends a code.",
        );
        for (transport, times) in TRANSPORTS.iter().zip(&self.decided) {
            text.distribution(
                &[("transport", transport)],
                &times.distribution(),
                Unit::Microseconds,
            );
        }
        text.histogram(
            "otp_radiusd_reply_duration_seconds",
            "From the receipt of a request to its reply; rejections are held back (reject_delay).",
        );
        for (code, times) in CODES.iter().zip(&self.replied) {
            text.distribution(&[("code", code)], &times.distribution(), Unit::Microseconds);
        }
    }

    fn expose_packets(&self, text: &mut Exposition, discards: &Discards) {
        let clients = self.sorted();
        text.counter(
            "otp_radiusd_repeated_packets_total",
            "Packets that came again and got the reply of the first one again.",
        );
        for (client, counts) in &clients {
            for (transport, count) in TRANSPORTS.iter().zip(&counts.repeated) {
                let count = count.load(Relaxed);
                if count > 0 {
                    text.sample(&[("client", client), ("transport", transport)], count);
                }
            }
        }
        text.counter(
            "otp_radiusd_requests_without_message_authenticator_total",
            "Decided requests that could have been forged on the way: update these clients, then require Message-Authenticator.",
        );
        for (client, counts) in &clients {
            text.sample(&[("client", client)], counts.unprotected.load(Relaxed));
        }
        text.counter(
            "otp_radiusd_discarded_packets_total",
            "Packets that got no reply, by cause.",
        );
        discards.each(|client, cause, packets| {
            text.sample(&[("client", client), ("cause", cause)], packets);
        });
    }

    fn expose_connections(&self, text: &mut Exposition) {
        text.gauge("otp_radiusd_connections", "Connections that are open.");
        for (transport, open) in STREAMS.iter().map(|place| (place, self.open.get(*place))) {
            if let (Some(label), Some(open)) = (TRANSPORTS.get(*transport), open) {
                text.sample(&[("transport", label)], open.load(Relaxed));
            }
        }
        text.counter(
            "otp_radiusd_connections_opened_total",
            "Connections that were accepted.",
        );
        for (transport, opened) in STREAMS.iter().map(|place| (place, self.opened.get(*place))) {
            if let (Some(label), Some(opened)) = (TRANSPORTS.get(*transport), opened) {
                text.sample(&[("transport", label)], opened.load(Relaxed));
            }
        }
    }
}

fn expose_usage(text: &mut Exposition, usages: &Usages) {
    text.counter(
        "otp_radiusd_old_secret_packets_total",
        "Packets that the secret of before proved: a client that has not been given its new one yet.",
    );
    usages.each(|client, usage| {
        let count = usage.of_old_secret();
        if count > 0 {
            text.sample(&[("client", client)], count);
        }
    });
}

/// The transports that have connections.
const STREAMS: [usize; 3] = [0, 2, 3];

fn expose_service(text: &mut Exposition, service: &Service) {
    text.gauge(
        "otp_radiusd_password_checks_waiting",
        "Password checks that wait for a core or run; what cannot be done in time is refused (busy).",
    )
    .sample(&[], service.password_checks());
    text.counter(
        "otp_radiusd_clock_alarms_total",
        "Warnings about clocks that jumped or are apart: TOTP codes are refused while one is wrong.",
    )
    .sample(&[], service.clock_alarms());
    text.gauge(
        "otp_radiusd_store_available",
        "1 if the store committed what it was given last, else 0: nobody is accepted.",
    )
    .sample(&[], u8::from(service.is_available()));
}

fn expose_store(text: &mut Exposition, service: &Service) {
    let store = service.store().activity();
    text.histogram("otp_radiusd_commit_group_size", "Decisions in one transaction.")
        .distribution(&[], &store.group_sizes, Unit::Count);
    text.histogram(
        "otp_radiusd_commit_duration_seconds",
        "From a decision to its commit being durable, or having failed.",
    )
    .distribution(&[], &store.commit_micros, Unit::Microseconds);
    text.counter(
        "otp_radiusd_commit_conflicts_total",
        "Decisions that were made again because the account had changed.",
    )
    .sample(&[], store.conflicts);
    text.counter("otp_radiusd_commit_failures_total", "Transactions that failed.")
        .sample(&[], store.failed_groups);
    text.gauge(
        "otp_radiusd_commits_waiting",
        "Decisions that wait for their commit.",
    )
    .sample(&[], store.waiting);
}

impl Reporter for Arc<Metrics> {
    fn decided(&self, decided: &Decided<'_>) {
        self.log.decided(decided);
        let place = transport(decided.peer);
        let client = self.client(decided.client);
        let reason = decided.outcome.reason;
        let verdict = decided.outcome.verdict();
        let by_reason = CODES
            .iter()
            .zip(&client.decisions)
            .find(|(known, _)| **known == verdict);
        let row = Reason::ALL.iter().position(|known| *known == reason);
        if let Some(by_transport) = by_reason.and_then(|(_, reasons)| reasons.get(row?)) {
            increment(by_transport, place);
        }
        if let Some(times) = self.decided.get(place) {
            times.record(micros(decided.elapsed));
        }
        if !decided.is_protected {
            client.unprotected.fetch_add(1, Relaxed);
        }
    }

    fn answered(&self, code: Code, elapsed: Duration) {
        let place = match code {
            Code::ACCESS_ACCEPT => 0,
            Code::ACCESS_REJECT => 1,
            _ => 2,
        };
        if let Some(times) = self.replied.get(place) {
            times.record(micros(elapsed));
        }
    }

    fn repeated(&self, peer: &Peer, client: &str) {
        increment(&self.client(client).repeated, transport(peer));
    }

    fn opened(&self, peer: &Peer) {
        increment(&self.opened, transport(peer));
        increment(&self.open, transport(peer));
    }

    fn closed(&self, peer: &Peer) {
        if let Some(open) = self.open.get(transport(peer)) {
            open.fetch_sub(1, Relaxed);
        }
    }
}
