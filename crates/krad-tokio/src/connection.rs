//! One connection to a stream socket: persistent, pipelined, answered in any order.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use krad::{MAX_PACKET_LENGTH, Packet, StreamDecoder, radius11::Version};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    Discard, LiveSettings, Peer, RadiusService,
    exchange::{Arrival, Exchange, guarded},
    settings::after,
};

/// Serves historic RADIUS on one connection that the caller has accepted, whatever it runs over, until its peer closes it,
/// its framing is lost, or `shutdown`; in each case the requests in flight are answered first.
///
/// `peer` is what the service is told of the connection.
pub async fn serve_stream<S: RadiusService>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    peer: Peer,
    service: Arc<S>,
    settings: impl Into<LiveSettings> + Send,
    shutdown: CancellationToken,
) {
    let (reader, writer) = tokio::io::split(stream);
    let connection = Connection::new(peer, Version::Historic, service, settings.into());
    connection.serve(reader, writer, shutdown).await;
}

/// The number of the next connection; no two of this process have the same.
pub(crate) fn next_number() -> u64 {
    static ACCEPTED: AtomicU64 = AtomicU64::new(1);
    ACCEPTED.fetch_add(1, Ordering::Relaxed)
}

/// One connection. Its limits keep what it holds below a few megabytes, whatever the peer does; while nothing happens on it,
/// it holds no buffers.
pub(crate) struct Connection<S: RadiusService> {
    peer: Peer,
    exchange: Arc<Exchange<S, Key>>,
    decoder: StreamDecoder,
    requests: JoinSet<Answered>,
    /// Octets of these requests.
    octets_in_flight: usize,
    outbound: Outbound,
    /// More octets can come.
    reading: bool,
    /// Packets may still be taken out of what has come.
    cutting: bool,
    /// When a part of a packet was first waited for, or replies last went out, or either began.
    stalled_since: Instant,
    idle_since: Instant,
}

/// Identifier or Token: what tells the outstanding requests of a connection apart.
type Key = [u8; 4];

impl<S: RadiusService> Connection<S> {
    pub(crate) fn new(peer: Peer, version: Version, service: Arc<S>, settings: LiveSettings) -> Self {
        let identifiers = usize::from(u8::MAX) + 1;
        let capacity = match version {
            // One entry per Identifier, so it is never full.
            Version::Historic => identifiers,
            // What is in flight always fits, and some answers beside it.
            Version::Radius11 => settings
                .glance()
                .connection_in_flight
                .saturating_mul(2)
                .max(identifiers),
        };
        let exchange = Exchange::new(service, settings, version, capacity);
        let now = Instant::now();
        guarded(|| exchange.service().opened(&peer));
        Self {
            peer,
            exchange: Arc::new(exchange),
            decoder: StreamDecoder::new(),
            requests: JoinSet::new(),
            octets_in_flight: 0,
            outbound: Outbound::default(),
            reading: true,
            cutting: true,
            stalled_since: now,
            idle_since: now,
        }
    }

    /// Serves the connection until its peer closes it, its framing is lost, it was idle for too long, or `shutdown`; in each
    /// case the requests in flight are answered first.
    pub(crate) async fn serve(
        mut self,
        mut reader: impl AsyncRead + Unpin + Send,
        mut writer: impl AsyncWrite + Unpin + Send,
        shutdown: CancellationToken,
    ) {
        if self.exchange_packets(&mut reader, &mut writer, &shutdown).await {
            // Over TLS this says that nothing was cut off.
            let _ = timeout(FAREWELL, writer.shutdown()).await;
        }
    }

    /// Returns whether somebody is left to say goodbye to.
    async fn exchange_packets(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin + Send),
        writer: &mut (impl AsyncWrite + Unpin + Send),
        shutdown: &CancellationToken,
    ) -> bool {
        let has_idle_limit = !matches!(self.peer, Peer::Unix { .. });
        loop {
            self.cut();
            let is_quiet = self.requests.is_empty() && self.outbound.is_empty();
            if !self.reading && is_quiet {
                return true;
            }
            let may_read = self.reading && self.has_room() && self.outbound.len() < OUTBOUND_LIMIT;
            let may_send = !self.outbound.is_empty();
            let may_stall = may_send || (may_read && self.decoder.is_mid_packet());
            let is_idle = self.reading && is_quiet && !self.decoder.is_mid_packet();
            if is_idle {
                self.decoder.release();
            }
            let stalls_at = after(self.stalled_since, self.exchange.settings().stall);
            let closes_at = after(self.idle_since, self.exchange.settings().idle);
            // In this order, so that a run on virtual time repeats itself: what is done leaves before more is taken in.
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if self.reading || self.cutting => {
                    (self.reading, self.cutting) = (false, false);
                }
                sent = send(writer, self.outbound.octets()), if may_send => match sent {
                    // Nobody is left to answer.
                    Err(_) => return false,
                    Ok(count) => {
                        self.outbound.sent(count);
                        self.progress();
                    }
                },
                Some(answered) = self.requests.join_next() => {
                    if self.outbound.is_empty() {
                        self.progress();
                    }
                    // None ends by a panic: those of the application are caught.
                    if let Ok(Answered { octets, reply }) = answered {
                        self.octets_in_flight = self.octets_in_flight.saturating_sub(octets);
                        reply.inspect(|reply| self.outbound.push(reply));
                    }
                }
                received = receive(reader, &mut self.decoder), if may_read => match received {
                    Ok(0) | Err(_) => self.reading = false,
                    // What only makes a packet longer is no progress: octet by octet a packet may not take for ever.
                    Ok(_) if self.decoder.is_mid_packet() && !is_idle => {}
                    Ok(_) => self.progress(),
                },
                () = sleep_until(stalls_at), if may_stall => {
                    self.exchange.discard(&self.peer, None, Discard::Stalled);
                    return false;
                }
                () = sleep_until(closes_at), if is_idle && has_idle_limit => {
                    tracing::debug!(peer = %self.peer, "idle for too long");
                    self.reading = false;
                }
            }
        }
    }

    fn progress(&mut self) {
        let now = Instant::now();
        (self.stalled_since, self.idle_since) = (now, now);
    }

    /// Begins the requests that have arrived whole, as many as may be in flight.
    fn cut(&mut self) {
        while self.cutting && self.has_room() {
            match self.decoder.next_packet() {
                Ok(Some(octets)) => {
                    self.stalled_since = Instant::now();
                    let Some(packet) = self.exchange.decode(&self.peer, octets) else {
                        continue;
                    };
                    let arrival = Arrival {
                        peer: self.peer.clone(),
                        key: key(packet, self.exchange.version()),
                        octets: Zeroizing::new(octets.to_vec()),
                        received_at: Instant::now(),
                    };
                    let (exchange, octets) = (Arc::clone(&self.exchange), octets.len());
                    self.octets_in_flight = self.octets_in_flight.saturating_add(octets);
                    self.requests.spawn(async move {
                        let reply = exchange.answer(arrival).await;
                        Answered { octets, reply }
                    });
                }
                Ok(None) => break,
                Err(error) => {
                    self.exchange.discard(&self.peer, None, error.into());
                    (self.reading, self.cutting) = (false, false);
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        let settings = self.exchange.settings();
        self.requests.is_empty()
            || (self.requests.len() < settings.connection_in_flight
                && self.octets_in_flight < settings.connection_octets_in_flight)
    }
}

/// What became of a request of so many octets.
struct Answered {
    octets: usize,
    reply: Option<Arc<[u8]>>,
}

/// However the connection ends.
impl<S: RadiusService> Drop for Connection<S> {
    fn drop(&mut self) {
        guarded(|| self.exchange.service().closed(&self.peer));
    }
}

fn key(packet: Packet<'_>, version: Version) -> Key {
    match version {
        Version::Historic => [packet.identifier().0, 0, 0, 0],
        Version::Radius11 => {
            let [a, b, c, d, ..] = *packet.authenticator();
            [a, b, c, d]
        }
    }
}

/// Sends some of `octets` and returns how many; without any, waits until everything sent has left.
async fn send(writer: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<usize> {
    if octets.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(octets).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

/// Receives into the decoder, through a buffer that all connections of a thread share: one that waits has none of its own.
async fn receive(reader: &mut (impl AsyncRead + Unpin), decoder: &mut StreamDecoder) -> io::Result<usize> {
    thread_local! {
        static SHARED: RefCell<Zeroizing<Vec<u8>>> = RefCell::new(Zeroizing::new(vec![0; MAX_PACKET_LENGTH]));
    }
    poll_fn(|context| {
        SHARED.with_borrow_mut(|buffer| {
            let mut received = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *reader).poll_read(context, &mut received))?;
            let octets = received.filled_mut();
            // All of them fit: there is room for a packet beside what is incomplete.
            let _ = decoder.push(octets);
            octets.zeroize();
            Poll::Ready(Ok(octets.len()))
        })
    })
    .await
}

/// Replies on their way out.
#[derive(Default)]
struct Outbound {
    octets: Vec<u8>,
    sent: usize,
    /// What was sent may still wait in a layer below, such as TLS.
    unflushed: bool,
}

impl Outbound {
    fn push(&mut self, reply: &[u8]) {
        self.octets.extend_from_slice(reply);
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(self.sent..).unwrap_or_default()
    }

    /// Records what [`send`] returned.
    fn sent(&mut self, count: usize) {
        self.unflushed = count > 0;
        self.sent = self.sent.saturating_add(count);
        if self.octets().is_empty() {
            (self.octets, self.sent) = (Vec::new(), 0);
        }
    }

    fn len(&self) -> usize {
        self.octets().len()
    }

    fn is_empty(&self) -> bool {
        self.octets().is_empty() && !self.unflushed
    }
}

/// Octets of replies that wait for the peer to read them, above which no more requests are read.
const OUTBOUND_LIMIT: usize = 64 * 1024;

/// How long the peer may take to hear that the connection ends.
const FAREWELL: Duration = Duration::from_secs(1);
