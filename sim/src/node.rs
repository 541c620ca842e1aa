//! One daemon: its own code, from the socket to the store, that can be killed and started again.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use krad_tokio::{Peer, Settings, serve_stream, serve_udp};
use otp_radiusd::{Decided, KDC_CLIENT, Radius, Reporter};
use otp_service::{Clock, Service};
use tokio::{io::DuplexStream, sync::mpsc, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::SimClock,
    disk::{Disk, SimStore, lock},
    history::History,
    net::{Net, SimSocket, Tap},
};

/// Says nothing.
pub(crate) struct Silent;

impl Reporter for Silent {
    fn decided(&self, _: &Decided<'_>) {}
}

/// What daemons and people share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) net: Arc<Mutex<Net>>,
    pub(crate) disk: Arc<Mutex<Disk>>,
    pub(crate) history: Arc<Mutex<History>>,
}

/// What outlives a daemon.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<SimClock>,
    surroundings: Surroundings,
    kill: mpsc::UnboundedSender<()>,
    running: Mutex<Option<Running>>,
    runs: AtomicU32,
    pub(crate) crashes: AtomicU64,
}

/// What dies with it.
struct Running {
    tasks: JoinSet<()>,
    work: Arc<Mutex<JoinSet<()>>>,
    radius: Arc<Radius<Silent, SimStore>>,
}

impl Node {
    /// A daemon that is not started yet; it is to be killed when something comes through the receiver.
    pub(crate) fn new(
        address: SocketAddr,
        clock: SimClock,
        surroundings: &Surroundings,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (kill, killed) = mpsc::unbounded_channel();
        let node = Self {
            address,
            clock: Arc::new(clock),
            surroundings: surroundings.clone(),
            kill,
            running: Mutex::new(None),
            runs: AtomicU32::new(address.port().into()),
            crashes: AtomicU64::new(0),
        };
        (Arc::new(node), killed)
    }

    pub(crate) fn start(&self) {
        let store = SimStore::new(Arc::clone(&self.surroundings.disk), self.kill.clone());
        let work = store.work();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let service = Service::single_threaded(store, clock);
        let watched = service.clone();
        // No two runs of any daemon have the same number.
        let run = self.runs.fetch_add(1000, Ordering::Relaxed);
        let radius = Arc::new(Radius::new(service, Silent, run, [0; 16]));
        let mut tasks = JoinSet::new();
        let socket = SimSocket::bind(&self.surroundings.net, self.address, &self.surroundings.history);
        tasks.spawn(serve_udp(
            socket,
            Arc::clone(&radius),
            Settings::default(),
            CancellationToken::new(),
        ));
        tasks.spawn(async move {
            loop {
                let _ = watched.watch().await;
                sleep(Duration::from_secs(1)).await;
            }
        });
        *lock(&self.running) = Some(Running { tasks, work, radius });
    }

    /// A connection to the KDC's socket, of this number; `None` while the daemon is dead.
    pub(crate) fn connect(&self, connection: u64) -> Option<DuplexStream> {
        let mut running = lock(&self.running);
        let running = running.as_mut()?;
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let peer = Peer::Unix {
            listener: KDC_CLIENT.into(),
            connection,
        };
        running.tasks.spawn(serve_stream(
            Tap::new(theirs, connection, &self.surroundings.history),
            peer,
            Arc::clone(&running.radius),
            Settings::default(),
            CancellationToken::new(),
        ));
        Some(ours)
    }

    /// Has it killed by whoever looks after it.
    pub(crate) fn kill(&self) {
        let _ = self.kill.send(());
    }

    pub(crate) async fn crash(&self) {
        let Some(mut running) = lock(&self.running).take() else {
            return;
        };
        self.crashes.fetch_add(1, Ordering::Relaxed);
        running.tasks.shutdown().await;
        let mut work = std::mem::take(&mut *lock(&running.work));
        work.shutdown().await;
    }

    pub(crate) fn is_running(&self) -> bool {
        lock(&self.running).is_some()
    }
}
