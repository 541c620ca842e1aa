//! Limits and times of a listener.

use std::{sync::Arc, time::Duration};

use arc_swap::{ArcSwap, Guard};
use krad::MAX_PACKET_LENGTH;
use tokio::time::Instant;

use crate::tasks::Limits;

/// Limits and times of a listener.
///
/// ```
/// # use {krad_tokio::Settings, std::time::Duration};
/// let settings = Settings { deadline: Duration::from_secs(3), ..Settings::default() };
/// assert_eq!(settings.duplicate_life, Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long after its receipt a request is answered at the latest. 4 s: a KDC gives up after 5.
    pub deadline: Duration,
    /// How long requests in flight may take to finish at shutdown. 5 s.
    pub drain: Duration,
    /// How long an answer is kept for a duplicate of its request. 30 s, the most that RFC 5080 §2.2.2
    /// suggests.
    pub duplicate_life: Duration,
    /// How many requests the table of duplicates of a UDP socket holds. 65,536.
    pub duplicate_capacity: usize,
    /// How many requests from a UDP socket may be in flight; more are discarded. 4,096.
    pub datagrams_in_flight: usize,
    /// How many of them one source address may have, so that one client cannot keep the others out. 1,024.
    pub datagrams_in_flight_per_source: usize,
    /// How many octets they may have together. 1 MiB.
    pub datagram_octets_in_flight_per_source: usize,
    /// How many connections a listener has at a time; more are closed at once. 1,024.
    pub connections: usize,
    /// How many of them one address on a network may have, so that one client cannot keep the others out. 128.
    pub connections_per_source: usize,
    /// How many requests of one connection may be in flight; no more are read until one is answered. 256, as
    /// many as there are Identifiers.
    pub connection_in_flight: usize,
    /// How many octets they may have together, a last request beyond that included. 256 KiB.
    pub connection_octets_in_flight: usize,
    /// How long a connection may leave a packet incomplete, or a reply unread, before it is closed. 30 s.
    pub stall: Duration,
    /// How long a TLS handshake may take. 10 s.
    pub handshake: Duration,
    /// How long a TCP or TLS connection may be idle before it is closed (RFC 6613 §2.6.7): its client opens another one.
    /// 15 min. A connection to a UNIX socket may be idle for ever: a KDC's goes with the KDC.
    pub idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(4),
            drain: Duration::from_secs(5),
            duplicate_life: Duration::from_secs(30),
            duplicate_capacity: 65_536,
            datagrams_in_flight: 4_096,
            datagrams_in_flight_per_source: 1_024,
            datagram_octets_in_flight_per_source: 1024 * 1024,
            connections: 1_024,
            connections_per_source: 128,
            connection_in_flight: 256,
            connection_octets_in_flight: 256 * 1024,
            stall: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(15 * 60),
        }
    }
}

impl Settings {
    /// For the requests of a UDP socket: there is room for one at least.
    pub(crate) fn datagram_limits(&self) -> Limits {
        Limits {
            tasks: self.datagrams_in_flight.max(1),
            per_source: self.datagrams_in_flight_per_source.max(1),
            octets_per_source: self.datagram_octets_in_flight_per_source.max(MAX_PACKET_LENGTH),
        }
    }

    /// For the connections of a listener.
    pub(crate) const fn connection_limits(&self) -> Limits {
        Limits {
            tasks: self.connections,
            per_source: self.connections_per_source,
            octets_per_source: usize::MAX,
        }
    }
}

/// Settings that can be changed while listeners run. Clones are the same settings.
///
/// A change holds for packets that arrive from then on. The tables of duplicates are as long, and keep answers for as long, as
/// was set when their socket or connection began.
///
/// ```
/// # use {krad_tokio::{LiveSettings, Settings}, std::time::Duration};
/// let live = LiveSettings::from(Settings::default());
/// live.set(Settings { deadline: Duration::from_secs(2), ..Settings::default() });
/// assert_eq!(live.clone().get().deadline, Duration::from_secs(2));
/// ```
#[derive(Debug, Clone)]
pub struct LiveSettings(Arc<ArcSwap<Settings>>);

impl From<Settings> for LiveSettings {
    fn from(settings: Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }
}

impl LiveSettings {
    /// Puts `settings` in the place of those that held.
    pub fn set(&self, settings: Settings) {
        self.0.store(Arc::new(settings));
    }

    /// The settings that hold now.
    #[must_use]
    pub fn get(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    /// The same for a glance: it must not be held across a wait.
    pub(crate) fn glance(&self) -> Guard<Arc<Settings>> {
        self.0.load()
    }
}

/// `duration` after `instant`; as good as never if that cannot be said.
pub(crate) fn after(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration).unwrap_or_else(|| instant + NEVER)
}

const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
