//! One socket to a server, shared by many requests. A task owns it, so that a request that is given up never
//! leaves half a packet behind.

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use krad::{Identifier, MAX_PACKET_LENGTH, StreamDecoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UdpSocket, UnixStream},
    sync::mpsc,
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use super::server::Address;

/// What arrives for a request.
pub(super) enum Arrival {
    /// A packet with its Identifier; whether it is authentic is not known.
    Packet(Zeroizing<Vec<u8>>),
    /// The server cannot be reached, or the connection broke.
    Error,
}

/// A request that waits for a server.
#[derive(Clone)]
pub(super) struct Waiter {
    server: usize,
    arrivals: mpsc::Sender<(usize, Arrival)>,
}

/// The sending end of a connection. Its task ends when it is dropped.
pub(super) struct Connection {
    outgoing: mpsc::Sender<Zeroizing<Vec<u8>>>,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

/// What a connection and its task share.
#[derive(Default)]
struct Shared(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Nothing is sent or received any more.
    is_closed: bool,
    waiters: HashMap<Identifier, Waiter>,
}

/// The place of a waiter. Its request hears nothing more once this is dropped.
pub(super) struct Registration {
    shared: Arc<Shared>,
    identifier: Identifier,
    waiter: Waiter,
}

impl Connection {
    /// Opens a connection in the background. If that fails, those who wait by then are told.
    pub(super) fn open(address: Address) -> Self {
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(run(address, queue, Arc::clone(&shared)));
        Self {
            outgoing,
            shared,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.lock().is_closed
    }

    /// Queues a packet and says who waits for the reply; `None` if it cannot be queued.
    pub(super) fn send(&self, identifier: Identifier, octets: &[u8], waiter: Waiter) -> Option<Registration> {
        let mut waiting = self.shared.lock();
        // The task closes under the same lock, so a waiter is told of the end, or not taken.
        if waiting.is_closed || self.outgoing.try_send(Zeroizing::new(octets.to_vec())).is_err() {
            return None;
        }
        waiting.waiters.insert(identifier, waiter.clone());
        let shared = Arc::clone(&self.shared);
        Some(Registration {
            shared,
            identifier,
            waiter,
        })
    }
}

impl Shared {
    /// No code between lock and unlock panics.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a packet to the request that has its Identifier; drops it if there is none.
    fn deliver(&self, octets: &[u8]) {
        let Some(identifier) = octets.get(1).copied().map(Identifier) else {
            return;
        };
        if let Some(waiter) = self.lock().waiters.get(&identifier) {
            waiter.tell(Arrival::Packet(Zeroizing::new(octets.to_vec())));
        }
    }

    /// Tells everyone who waits that the server cannot be reached now.
    fn refuse(&self) {
        self.lock()
            .waiters
            .values()
            .for_each(|waiter| waiter.tell(Arrival::Error));
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.refuse();
    }
}

impl Waiter {
    pub(super) const fn new(server: usize, arrivals: mpsc::Sender<(usize, Arrival)>) -> Self {
        Self { server, arrivals }
    }

    /// What does not fit is dropped: a datagram can be lost anyway, and every request ends in time.
    fn tell(&self, arrival: Arrival) {
        let _ = self.arrivals.try_send((self.server, arrival));
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // The Identifier may have been given to another request already.
        let mut waiting = self.shared.lock();
        let of_ours = |waiter: &Waiter| waiter.arrivals.same_channel(&self.waiter.arrivals);
        if waiting.waiters.get(&self.identifier).is_some_and(of_ours) {
            waiting.waiters.remove(&self.identifier);
        }
    }
}

type Queue = mpsc::Receiver<Zeroizing<Vec<u8>>>;

async fn run(address: Address, queue: Queue, shared: Arc<Shared>) {
    let ended = match &address {
        Address::Udp(server) => datagrams(*server, queue, &shared).await,
        Address::Unix(path) => stream(path, queue, &shared).await,
    };
    if let Err(error) = ended {
        tracing::debug!(?address, %error, "no connection to a RADIUS server");
    }
    shared.close();
}

/// Sends and receives datagrams until the connection is dropped; errors are only told to those who wait.
async fn datagrams(server: SocketAddr, mut queue: Queue, shared: &Shared) -> io::Result<()> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    // From now on the kernel drops what comes from elsewhere, and reports that nobody listens.
    socket.connect(server).await?;
    let mut buffer = Zeroizing::new(vec![0; MAX_PACKET_LENGTH]);
    loop {
        let passed = tokio::select! {
            queued = queue.recv() => match queued {
                Some(octets) => socket.send(&octets).await.map(|_| ()),
                None => return Ok(()),
            },
            received = socket.recv(&mut buffer) => received.map(|length| {
                shared.deliver(buffer.get(..length).unwrap_or_default());
            }),
        };
        if let Err(error) = passed {
            tracing::debug!(%server, %error, "a datagram did not pass");
            shared.refuse();
            // The next error may be there already, from a lack of memory for one.
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Sends and receives on a stream until it ends, from either side.
async fn stream(path: &PathBuf, mut queue: Queue, shared: &Shared) -> io::Result<()> {
    let (mut reader, mut writer) = UnixStream::connect(path).await?.into_split();
    let mut decoder = StreamDecoder::new();
    let (mut unsent, mut written) = (Zeroizing::new(Vec::new()), 0_usize);
    loop {
        let rest = unsent.get(written..).unwrap_or_default();
        tokio::select! {
            received = reader.read(decoder.space()) => {
                let count = received?;
                if count == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                decoder.filled(count);
                let lost = |error| io::Error::new(ErrorKind::InvalidData, error);
                while let Some(packet) = decoder.next_packet().map_err(lost)? {
                    shared.deliver(packet);
                }
            }
            queued = queue.recv(), if rest.is_empty() => match queued {
                Some(octets) => (unsent, written) = (octets, 0),
                None => return Ok(()),
            },
            count = writer.write(rest), if !rest.is_empty() => match count? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => written = written.saturating_add(count),
            },
        }
    }
}

/// As many packets as there are Identifiers.
const QUEUE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// An Identifier that is free again can be taken before the earlier request has gone.
    #[tokio::test]
    async fn an_earlier_registration_leaves_its_successor_alone() {
        let connection = Connection::open(Address::Unix("/nonexistent/radius.socket".into()));
        let register = |arrivals: &mpsc::Sender<_>| {
            let waiter = Waiter::new(0, arrivals.clone());
            connection.send(Identifier(7), &[1; 20], waiter).unwrap()
        };
        let (earlier, mut earlier_arrived) = mpsc::channel(1);
        let (later, mut later_arrived) = mpsc::channel(1);
        let earlier_registration = register(&earlier);
        let later_registration = register(&later);
        drop(earlier_registration);
        connection.shared.deliver(&[2, 7]);
        assert!(matches!(later_arrived.try_recv(), Ok((0, Arrival::Packet(octets))) if *octets == [2, 7]));
        assert!(earlier_arrived.try_recv().is_err());

        drop(later_registration);
        connection.shared.deliver(&[2, 7]);
        assert!(later_arrived.try_recv().is_err());
        assert!(connection.shared.lock().waiters.is_empty());
    }
}
