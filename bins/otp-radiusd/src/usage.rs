//! What comes from each client: counted in memory with every packet, written to the store now and then.
//!
//! Nothing is decided by it, but whether a client is asked questions (`learning`). `otpctl client report` reads it, to say what a client still lacks and when a rotation of its secret
//! may be finished.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use krad::{Code, Request, VerifyError};
use krad_tokio::{Discard, Peer, Proof};
use otp_store::{ClientRecord, ClientUsage, Seen, Store, StoreError, UsageReport};
use otp_validation::{ClientId, UnixTime};

use crate::learning::Learning;

/// How often something has come since the start, and when last: 0 for never.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    last: AtomicU64,
}

impl Tally {
    pub(crate) fn add(&self, now: UnixTime) {
        self.count.fetch_add(1, Relaxed);
        self.last.fetch_max(now.0, Relaxed);
    }

    pub(crate) fn seen(&self) -> Seen {
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
        // At a socket and over TLS, the secret of the packets is not the client's.
        let is_elsewhere = matches!(peer, Peer::Tls { .. } | Peer::Unix { .. });
        match proof {
            Proof::Secret if is_elsewhere => {}
            Proof::Secret => {
                self.new_secret_at.fetch_max(now.0, Relaxed);
            }
            Proof::OldSecret => self.old_secret.add(now),
            // The connection proves who is at the other end of TLS; the permissions of its file, who is at a socket's.
            Proof::NothingInIt if !is_elsewhere => {
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
            ..ClientUsage::default()
        }
    }
}

/// What has come from all clients.
#[derive(Debug)]
pub(crate) struct Usages {
    since: UnixTime,
    clients: RwLock<HashMap<ClientId, Counted>>,
    /// What the store was told already. It is held while the store is written to: reports follow each other.
    reported: Mutex<HashMap<ClientId, UsageReport>>,
    /// What the store had of all daemons when it was last asked.
    all: RwLock<BTreeMap<ClientId, UsageReport>>,
}

/// What is counted of one client.
#[derive(Debug)]
struct Counted {
    name: String,
    usage: Arc<Usage>,
    learning: Arc<Learning>,
}

impl Usages {
    pub(crate) fn new(since: UnixTime) -> Self {
        Self {
            since,
            clients: RwLock::default(),
            reported: Mutex::default(),
            all: RwLock::default(),
        }
    }

    /// The figures of a client, whose name is for [`each`](Self::each), and what is learned of it.
    pub(crate) fn of(&self, record: &ClientRecord) -> (Arc<Usage>, Arc<Learning>) {
        let begin = || {
            let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            Arc::new(Learning::begin(record, all.get(&record.id)))
        };
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        let counted = clients.entry(record.id).or_insert_with(|| Counted {
            name: record.name.clone(),
            usage: Arc::default(),
            learning: begin(),
        });
        if !counted.learning.is_of(record) {
            counted.learning = begin();
        }
        counted.learning.follow(record);
        (Arc::clone(&counted.usage), Arc::clone(&counted.learning))
    }

    /// Tells the name and the figures of each client, by name.
    pub(crate) fn each(&self, mut tell: impl FnMut(&str, &Usage)) {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let named = clients
            .values()
            .map(|of| (of.name.clone(), Arc::clone(&of.usage)));
        let mut sorted: Vec<_> = named.collect();
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
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let is_learning = clients.values().any(|of| of.learning.is_open());
        drop(clients);
        if is_learning {
            self.hear(store.client_usage()?, &reported);
        }
        Ok(())
    }

    /// Takes over what daemons before this one have learned. It waits for the disk.
    ///
    /// # Errors
    ///
    /// What keeps the store from reading.
    pub(crate) fn begin(&self, store: &Store) -> Result<(), StoreError> {
        self.hear(store.client_usage()?, &HashMap::new());
        Ok(())
    }

    /// Learns from what the store has of all daemons, this one's reports among it.
    fn hear(&self, all: BTreeMap<ClientId, UsageReport>, reported: &HashMap<ClientId, UsageReport>) {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        for (client, report) in &all {
            if let Some(of) = clients.get(client) {
                of.learning.hear(report, reported.get(client));
            }
        }
        drop(clients);
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// What is to be added to what was `reported`, and what that makes together.
    fn news(
        &self,
        reported: &HashMap<ClientId, UsageReport>,
    ) -> (Vec<UsageReport>, Vec<(ClientId, UsageReport)>) {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let mut news = (Vec::new(), Vec::new());
        for (client, of) in &*clients {
            let (asked, answered) = of.learning.so_far();
            let so_far = UsageReport {
                client: *client,
                since: self.since,
                learning: of.learning.number(),
                usage: ClientUsage {
                    asked,
                    answered,
                    ..of.usage.so_far()
                },
            };
            let before = reported.get(client);
            let is_news = before.map_or(so_far.usage != ClientUsage::default(), |before| *before != so_far);
            if !is_news {
                continue;
            }
            news.0.push(since(so_far, before));
            news.1.push((*client, so_far));
        }
        // In the same order in every process, so that no two of them wait for each other's rows.
        news.0.sort_by_key(|report| report.client.0);
        news
    }
}

/// What `so_far` has more than `before`.
fn since(report: UsageReport, reported: Option<&UsageReport>) -> UsageReport {
    let so_far = report.usage;
    let mut before = reported.map_or_else(ClientUsage::default, |reported| reported.usage);
    if reported.is_some_and(|reported| reported.learning != report.learning) {
        // Those were counted from another beginning.
        (before.asked, before.answered) = (0, Seen::default());
    }
    let more = |so_far: Seen, before: Seen| Seen {
        count: so_far.count.saturating_sub(before.count),
        last: so_far.last,
    };
    let usage = ClientUsage {
        requests: more(so_far.requests, before.requests),
        new_secret_at: so_far.new_secret_at,
        old_secret: more(so_far.old_secret, before.old_secret),
        unprotected: more(so_far.unprotected, before.unprotected),
        proxy_state: more(so_far.proxy_state, before.proxy_state),
        discarded: more(so_far.discarded, before.discarded),
        asked: so_far.asked.saturating_sub(before.asked),
        answered: more(so_far.answered, before.answered),
    };
    UsageReport { usage, ..report }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learning::tests::record;

    const MISSING: Discard = Discard::Verify(VerifyError::MissingMessageAuthenticator);

    #[test]
    fn what_was_written_is_not_written_again() {
        let usages = Usages::new(UnixTime(100));
        let (vpn, learning) = usages.of(&record(0));
        let (again, same) = usages.of(&record(0));
        assert!(Arc::ptr_eq(&vpn, &again) && Arc::ptr_eq(&learning, &same));
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

        // What is learned anew is counted from nothing; the rest goes on.
        let (same, begun) = usages.of(&record(1));
        assert!(Arc::ptr_eq(&vpn, &same) && !Arc::ptr_eq(&learning, &begun));
        vpn.discarded(&MISSING, UnixTime(106));
        let report = usages.news(&reported).0[0];
        assert_eq!((report.learning, report.usage.discarded.count), (1, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_take_the_last_time_back() {
        let usage = Usage::default();
        usage.discarded(&MISSING, UnixTime(200));
        usage.discarded(&MISSING, UnixTime(100));
        assert_eq!(usage.so_far().discarded.last, Some(UnixTime(200)));
    }
}
