//! What comes from each client: counted in memory with every packet, written to the store now and then.
//!
//! Nothing is decided by it. `otpctl client report` reads it, to say what a client still lacks and when a rotation of its secret
//! may be finished.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use krad::{Code, Request, VerifyError};
use krad_tokio::{Discard, Peer, Proof};
use otp_store::{ClientUsage, Seen, Store, StoreError, UsageReport};
use otp_validation::{ClientId, UnixTime};

/// How often something has come since the start, and when last: 0 for never.
#[derive(Debug, Default)]
struct Tally {
    count: AtomicU64,
    last: AtomicU64,
}

impl Tally {
    fn add(&self, now: UnixTime) {
        self.count.fetch_add(1, Relaxed);
        self.last.fetch_max(now.0, Relaxed);
    }

    fn seen(&self) -> Seen {
        Seen {
            count: self.count.load(Relaxed),
            last: moment(&self.last),
        }
    }
}

/// A time that is 0 for never.
fn moment(at: &AtomicU64) -> Option<UnixTime> {
    Some(UnixTime(at.load(Relaxed))).filter(|at| at.0 > 0)
}

/// What has come from one client since the start.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    requests: Tally,
    new_secret_at: AtomicU64,
    old_secret: Tally,
    unprotected: Tally,
    proxy_state: Tally,
    discarded: Tally,
}

impl Usage {
    /// An authentic packet came.
    pub(crate) fn authentic(&self, peer: &Peer, request: Request<'_>, proof: Proof, now: UnixTime) {
        match proof {
            Proof::Secret => {
                self.new_secret_at.fetch_max(now.0, Relaxed);
            }
            Proof::OldSecret => self.old_secret.add(now),
            // The connection proves who is at the other end of TLS; the permissions of its file, who is at a socket's.
            Proof::NothingInIt if !matches!(peer, Peer::Tls { .. } | Peer::Unix { .. }) => {
                self.unprotected.add(now);
            }
            Proof::NothingInIt => {}
        }
        if request.code() == Code::ACCESS_REQUEST {
            self.requests.add(now);
        }
    }

    /// A packet was discarded.
    pub(crate) fn discarded(&self, cause: &Discard, now: UnixTime) {
        match cause {
            Discard::Verify(VerifyError::ProxyStateWithoutMessageAuthenticator) => self.proxy_state.add(now),
            Discard::Verify(
                VerifyError::MissingMessageAuthenticator | VerifyError::EapMessageWithoutMessageAuthenticator,
            ) => self.discarded.add(now),
            _ => {}
        }
    }

    /// How many packets the old secret has proven.
    pub(crate) fn of_old_secret(&self) -> u64 {
        self.old_secret.count.load(Relaxed)
    }

    fn so_far(&self) -> ClientUsage {
        ClientUsage {
            requests: self.requests.seen(),
            new_secret_at: moment(&self.new_secret_at),
            old_secret: self.old_secret.seen(),
            unprotected: self.unprotected.seen(),
            proxy_state: self.proxy_state.seen(),
            discarded: self.discarded.seen(),
        }
    }
}

/// What has come from all clients.
#[derive(Debug)]
pub(crate) struct Usages {
    since: UnixTime,
    clients: RwLock<HashMap<ClientId, (String, Arc<Usage>)>>,
    /// What the store was told already. It is held while the store is written to: reports follow each other.
    reported: Mutex<HashMap<ClientId, ClientUsage>>,
}

impl Usages {
    pub(crate) fn new(since: UnixTime) -> Self {
        Self {
            since,
            clients: RwLock::default(),
            reported: Mutex::default(),
        }
    }

    /// The figures of a client, whose name is for [`each`](Self::each).
    pub(crate) fn of(&self, id: ClientId, name: &str) -> Arc<Usage> {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        let (_, usage) = clients
            .entry(id)
            .or_insert_with(|| (name.to_owned(), Arc::default()));
        Arc::clone(usage)
    }

    /// Tells the name and the figures of each client, by name.
    pub(crate) fn each(&self, mut tell: impl FnMut(&str, &Usage)) {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<_> = clients.values().cloned().collect();
        drop(clients);
        sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, usage) in sorted {
            tell(&name, &usage);
        }
    }

    /// Writes to the store what came since the last time. It waits for the disk.
    ///
    /// # Errors
    ///
    /// What keeps the store from writing; the next attempt writes it all.
    pub(crate) fn report(&self, store: &Store) -> Result<(), StoreError> {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let (reports, so_far) = self.news(&reported);
        store.report_client_usage(&reports)?;
        reported.extend(so_far);
        Ok(())
    }

    /// What is to be added to what was `reported`, and what that makes together.
    fn news(
        &self,
        reported: &HashMap<ClientId, ClientUsage>,
    ) -> (Vec<UsageReport>, Vec<(ClientId, ClientUsage)>) {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let mut news = (Vec::new(), Vec::new());
        for (client, (_, usage)) in &*clients {
            let so_far = usage.so_far();
            let before = reported.get(client).copied().unwrap_or_default();
            if so_far == before {
                continue;
            }
            news.0.push(UsageReport {
                client: *client,
                since: self.since,
                usage: since(so_far, before),
            });
            news.1.push((*client, so_far));
        }
        // In the same order in every process, so that no two of them wait for each other's rows.
        news.0.sort_by_key(|report| report.client.0);
        news
    }
}

/// What `so_far` has more than `before`.
fn since(so_far: ClientUsage, before: ClientUsage) -> ClientUsage {
    let more = |so_far: Seen, before: Seen| Seen {
        count: so_far.count.saturating_sub(before.count),
        last: so_far.last,
    };
    ClientUsage {
        requests: more(so_far.requests, before.requests),
        new_secret_at: so_far.new_secret_at,
        old_secret: more(so_far.old_secret, before.old_secret),
        unprotected: more(so_far.unprotected, before.unprotected),
        proxy_state: more(so_far.proxy_state, before.proxy_state),
        discarded: more(so_far.discarded, before.discarded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: Discard = Discard::Verify(VerifyError::MissingMessageAuthenticator);

    #[test]
    fn what_was_written_is_not_written_again() {
        let usages = Usages::new(UnixTime(100));
        let vpn = usages.of(ClientId(7), "vpn");
        assert!(Arc::ptr_eq(&vpn, &usages.of(ClientId(7), "vpn")));
        let mut reported = HashMap::new();
        assert_eq!(usages.news(&reported).0, [], "nothing came");

        vpn.discarded(&MISSING, UnixTime(101));
        vpn.discarded(&MISSING, UnixTime(103));
        vpn.discarded(&Discard::InFlight, UnixTime(104));
        let (reports, so_far) = usages.news(&reported);
        let seen = Seen {
            count: 2,
            last: Some(UnixTime(103)),
        };
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].since, UnixTime(100));
        assert_eq!(reports[0].usage.discarded, seen);
        // Nobody noted that it was written: it is told again, with what came since.
        vpn.discarded(&MISSING, UnixTime(105));
        assert_eq!(usages.news(&reported).0[0].usage.discarded.count, 3);

        reported.extend(so_far);
        let (reports, so_far) = usages.news(&reported);
        assert_eq!(reports[0].usage.discarded.count, 1);
        reported.extend(so_far);
        assert_eq!(usages.news(&reported).0, []);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_take_the_last_time_back() {
        let usage = Usage::default();
        usage.discarded(&MISSING, UnixTime(200));
        usage.discarded(&MISSING, UnixTime(100));
        assert_eq!(usage.so_far().discarded.last, Some(UnixTime(200)));
    }
}
