//! One server of a pool: where it is, what is known of it, and the links to it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use krad::radius11::TokenCounter;
use tokio::{sync::Notify, time::Instant};

use super::{
    Carrier, Health, HealthTerms, PoolServer, Scheme, ServerAddress, State,
    counters::Counters,
    datagram,
    link::{Ask, Codec, HISTORIC_ROOM, Link, Ticket},
    stream::{self, Backoff, StreamTerms},
    tls::server_name,
};

/// How many sockets or connections there may be to one server: some four thousand requests in flight.
const MOST_LINKS: usize = 16;
/// How many requests fit on a TLS connection: as many as on the others, since only its version tells whether there is room for
/// more.
const STREAM_ROOM: usize = HISTORIC_ROOM;

/// A server at work.
pub(super) struct Server {
    pub(super) configured: PoolServer,
    pub(super) counters: Arc<Counters>,
    /// Wakes the task that looks after the server: its health has something new to do.
    pub(super) wake: Notify,
    health: Mutex<Health>,
    address: Mutex<Option<SocketAddr>>,
    links: Mutex<Vec<Arc<Link>>>,
    backoff: Arc<Backoff>,
}

/// Why a server was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAsked {
    /// It has no address, or a connection failed a moment ago.
    Unreachable,
    /// As much is in flight as may be.
    Full,
}

/// Nothing of what is locked here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(super) fn new(configured: PoolServer, terms: HealthTerms, now: Instant) -> Self {
        let address = match configured.address.host.parse::<IpAddr>() {
            Ok(ip) => Some(SocketAddr::new(ip, configured.address.port)),
            Err(_) => None,
        };
        Self {
            configured,
            counters: Arc::default(),
            wake: Notify::new(),
            health: Mutex::new(Health::new(terms, now.into_std())),
            address: Mutex::new(address),
            links: Mutex::default(),
            backoff: Arc::default(),
        }
    }

    pub(super) const fn carrier(&self) -> Carrier {
        match self.configured.address.scheme {
            Scheme::Udp => Carrier::Datagrams,
            Scheme::Tcp | Scheme::Tls => Carrier::Stream,
        }
    }

    pub(super) fn state(&self) -> State {
        lock(&self.health).state()
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        *lock(&self.address)
    }

    /// Lets `change` tell the health something; a change of state is logged, and looked after.
    pub(super) fn health<T>(&self, change: impl FnOnce(&mut Health, std::time::Instant) -> T) -> T {
        let mut health = lock(&self.health);
        let (before, planned) = (health.state(), health.poll_timeout());
        let outcome = change(&mut health, Instant::now().into_std());
        let (after, due) = (health.state(), health.poll_timeout());
        drop(health);
        // Whoever waits for a later moment finds out by itself.
        if due.is_some_and(|due| planned.is_none_or(|planned| due < planned)) {
            self.wake.notify_one();
        }
        if before != after {
            let server = &self.configured;
            match after {
                State::Dead => {
                    tracing::warn!(%server, "the RADIUS server does not answer: it is taken for dead")
                }
                State::Suspect => tracing::info!(%server, "the RADIUS server did not answer"),
                State::Alive => tracing::info!(%server, "the RADIUS server answers again"),
            }
            if after == State::Dead {
                // What a connection swallows, another one may not.
                lock(&self.links).clear();
            }
        }
        outcome
    }

    /// Looks the host up, if it has a name. Waits for the resolver, which may take seconds.
    pub(super) async fn resolve(&self) {
        let ServerAddress { host, port, .. } = &self.configured.address;
        if host.parse::<IpAddr>().is_ok() {
            return;
        }
        let found = match tokio::net::lookup_host((host.as_str(), *port)).await {
            Ok(mut found) => found.next(),
            Err(error) => {
                tracing::debug!(server = %self.configured, %error, "the name cannot be resolved");
                None
            }
        };
        // A resolver that fails takes nothing away.
        let Some(found) = found else { return };
        let mut address = lock(&self.address);
        if address.replace(found) != Some(found) {
            drop(address);
            tracing::debug!(server = %self.configured, address = %found, "resolved");
            lock(&self.links).clear();
            self.backoff.end();
        }
    }

    /// Sends a request on a link that has room for it.
    pub(super) fn ask(&self, ask: &Ask, lots: Lots) -> Result<Ticket, NotAsked> {
        let address = self.address().ok_or(NotAsked::Unreachable)?;
        let mut links = lock(&self.links);
        links.retain(|link| !link.is_closed());
        if let Some(ticket) = links.iter().find_map(|link| link.ask(ask)) {
            return Ok(ticket);
        }
        if links.len() >= MOST_LINKS {
            return Err(NotAsked::Full);
        }
        if !self.backoff.permits(Instant::now()) {
            return Err(NotAsked::Unreachable);
        }
        let link = Arc::new(self.open(address, lots)?);
        let ticket = link.ask(ask).ok_or(NotAsked::Unreachable)?;
        links.push(link);
        Ok(ticket)
    }

    fn open(&self, address: SocketAddr, lots: Lots) -> Result<Link, NotAsked> {
        let PoolServer {
            address: configured,
            secret,
            rule,
            tls,
        } = &self.configured;
        let counters = Arc::clone(&self.counters);
        if self.carrier() == Carrier::Datagrams {
            let codec = Codec::historic(secret.clone(), *rule);
            return Ok(Link::spawn(HISTORIC_ROOM, |commands| {
                datagram::run(address, codec, commands, counters)
            }));
        }
        let tls = match tls {
            None => None,
            Some(tls) => Some((
                Arc::clone(tls),
                server_name(&configured.host).ok_or(NotAsked::Unreachable)?,
            )),
        };
        let terms = StreamTerms {
            address,
            secret: secret.clone(),
            rule: *rule,
            tls,
        };
        let backoff = Arc::clone(&self.backoff);
        Ok(Link::spawn(STREAM_ROOM, |commands| {
            stream::run(terms, lots.tokens, lots.pause, commands, counters, backoff)
        }))
    }
}

/// What is drawn by lot for a new link.
pub(super) struct Lots {
    pub(super) tokens: TokenCounter,
    pub(super) pause: u32,
}
