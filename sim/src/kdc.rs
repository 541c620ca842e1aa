//! A KDC's worker process: one connection to its daemon, requests in flight by Identifier, no retransmission.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use krad::{Code, Packet, PendingRequest, StreamDecoder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf},
    sync::oneshot,
    time::timeout,
};

use crate::{disk::lock, net::packets, node::Node};

/// How long a KDC waits (`otp_state.c`).
const PATIENCE: Duration = Duration::from_secs(5);

/// One process.
pub(crate) struct Worker {
    node: Arc<Node>,
    connection: tokio::sync::Mutex<Option<Connection>>,
    /// Numbers of connections, shared by all workers.
    connections: Arc<AtomicU64>,
}

struct Connection {
    number: u64,
    writer: WriteHalf<DuplexStream>,
    waiting: Arc<Mutex<Waiting>>,
    next_identifier: u8,
}

/// Who waits on a connection; `None` once it is closed.
type Waiting = Option<BTreeMap<u8, oneshot::Sender<Code>>>;

/// A request that is about to be made: the connection that it goes through, and its Identifier.
pub(crate) struct Slot {
    pub(crate) connection: u64,
    pub(crate) identifier: u8,
}

impl Worker {
    pub(crate) fn new(node: &Arc<Node>, connections: &Arc<AtomicU64>) -> Self {
        Self {
            node: Arc::clone(node),
            connection: tokio::sync::Mutex::new(None),
            connections: Arc::clone(connections),
        }
    }

    /// Makes a request with `compose` and waits for its answer, which may never come.
    pub(crate) async fn ask(&self, compose: impl FnOnce(&Slot) -> Option<PendingRequest>) -> Option<Code> {
        let answer = self.send(compose).await?;
        timeout(PATIENCE, answer).await.ok()?.ok()
    }

    async fn send(
        &self,
        compose: impl FnOnce(&Slot) -> Option<PendingRequest>,
    ) -> Option<oneshot::Receiver<Code>> {
        let mut slot = self.connection.lock().await;
        let is_open = slot.as_ref().is_some_and(|open| lock(&open.waiting).is_some());
        if !is_open {
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            *slot = Some(Connection::open(&self.node, number)?);
        }
        let connection = slot.as_mut()?;
        let identifier = connection.next_identifier;
        connection.next_identifier = identifier.wrapping_add(1);
        let request = compose(&Slot {
            connection: connection.number,
            identifier,
        })?;
        let (sender, answer) = oneshot::channel();
        lock(&connection.waiting).as_mut()?.insert(identifier, sender);
        connection.writer.write_all(request.octets()).await.ok()?;
        Some(answer)
    }
}

impl Connection {
    fn open(node: &Node, number: u64) -> Option<Self> {
        let (reader, writer) = tokio::io::split(node.connect(number)?);
        let waiting = Arc::new(Mutex::new(Some(BTreeMap::new())));
        tokio::spawn(read(reader, Arc::clone(&waiting)));
        Some(Self {
            number,
            writer,
            waiting,
            next_identifier: 0,
        })
    }
}

async fn read(mut reader: ReadHalf<DuplexStream>, waiting: Arc<Mutex<Waiting>>) {
    let mut decoder = StreamDecoder::new();
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        packets(&mut decoder, buffer.get(..count).unwrap_or_default(), |octets| {
            let Ok(reply) = Packet::decode(octets) else { return };
            let asked = lock(&waiting)
                .as_mut()
                .and_then(|asked| asked.remove(&reply.identifier().0));
            if let Some(asked) = asked {
                let _ = asked.send(reply.code());
            }
        });
    }
    // The daemon is gone: whoever waits learns that no answer comes.
    *lock(&waiting) = None;
}
