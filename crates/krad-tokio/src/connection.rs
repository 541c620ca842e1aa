//! One connection to a stream socket: persistent, pipelined, answered in any order.

use std::sync::Arc;

use krad::{Identifier, StreamDecoder};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    Discard, Peer, RadiusService, Settings,
    exchange::{Arrival, Exchange},
    settings::after,
};

/// Serves RADIUS on one connection that the caller has accepted, whatever it runs over, until its peer closes it, its
/// framing is lost, or `shutdown`; in each case the requests in flight are answered first.
///
/// `peer` is what the service is told of the connection.
pub async fn serve_stream<S: RadiusService>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    peer: Peer,
    service: Arc<S>,
    settings: Settings,
    shutdown: CancellationToken,
) {
    let (reader, writer) = tokio::io::split(stream);
    let connection = Connection::new(peer, service, Arc::new(settings));
    connection.serve(reader, writer, shutdown).await;
}

/// One connection. Its limits keep what it holds below a few megabytes, whatever the peer does.
pub(crate) struct Connection<S> {
    peer: Peer,
    exchange: Arc<Exchange<S, Identifier>>,
    decoder: StreamDecoder,
    requests: JoinSet<Option<Arc<[u8]>>>,
    outbound: Outbound,
    /// More octets can come.
    reading: bool,
    /// Packets may still be taken out of what has come.
    cutting: bool,
    last_progress: Instant,
}

impl<S: RadiusService> Connection<S> {
    pub(crate) fn new(peer: Peer, service: Arc<S>, settings: Arc<Settings>) -> Self {
        // One entry per Identifier, so it is never full.
        let exchange = Exchange::new(service, settings, usize::from(u8::MAX) + 1);
        Self {
            peer,
            exchange: Arc::new(exchange),
            decoder: StreamDecoder::new(),
            requests: JoinSet::new(),
            outbound: Outbound::default(),
            reading: true,
            cutting: true,
            last_progress: Instant::now(),
        }
    }

    /// Serves the connection until its peer closes it, its framing is lost, or `shutdown`; in each case the
    /// requests in flight are answered first.
    pub(crate) async fn serve(
        mut self,
        mut reader: impl AsyncRead + Unpin + Send,
        mut writer: impl AsyncWrite + Unpin + Send,
        shutdown: CancellationToken,
    ) {
        loop {
            self.cut();
            if !self.reading && self.requests.is_empty() && self.outbound.is_empty() {
                return;
            }
            let may_read = self.reading && self.has_room() && self.outbound.len() < OUTBOUND_LIMIT;
            let may_write = !self.outbound.is_empty();
            let may_stall = may_write || (may_read && self.decoder.is_mid_packet());
            let stalls_at = after(self.last_progress, self.exchange.settings().stall);
            // In this order, so that a run on virtual time repeats itself: what is done leaves before more is taken in.
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if self.reading || self.cutting => {
                    (self.reading, self.cutting) = (false, false);
                }
                sent = writer.write(self.outbound.octets()), if may_write => match sent {
                    // Nobody is left to answer.
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        self.outbound.sent(count);
                        self.last_progress = Instant::now();
                    }
                },
                Some(answered) = self.requests.join_next() => {
                    if let Ok(Some(reply)) = answered {
                        if self.outbound.is_empty() {
                            self.last_progress = Instant::now();
                        }
                        self.outbound.push(&reply);
                    }
                }
                received = reader.read(self.decoder.space()), if may_read => match received {
                    Ok(0) | Err(_) => self.reading = false,
                    Ok(count) => {
                        self.decoder.filled(count);
                        self.last_progress = Instant::now();
                    }
                },
                () = sleep_until(stalls_at), if may_stall => {
                    self.exchange.discard(&self.peer, None, Discard::Stalled);
                    return;
                }
            }
        }
    }

    /// Begins the requests that have arrived whole, as many as may be in flight.
    fn cut(&mut self) {
        while self.cutting && self.has_room() {
            match self.decoder.next_packet() {
                Ok(Some(octets)) => {
                    let Some(packet) = self.exchange.decode(&self.peer, octets) else {
                        continue;
                    };
                    let arrival = Arrival {
                        peer: self.peer.clone(),
                        key: packet.identifier(),
                        octets: Zeroizing::new(octets.to_vec()),
                        received_at: Instant::now(),
                    };
                    let exchange = Arc::clone(&self.exchange);
                    self.requests.spawn(async move { exchange.answer(arrival).await });
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
        self.requests.len() < self.exchange.settings().connection_in_flight.max(1)
    }
}

/// Replies on their way out.
#[derive(Default)]
struct Outbound {
    octets: Vec<u8>,
    sent: usize,
}

impl Outbound {
    fn push(&mut self, reply: &[u8]) {
        self.octets.extend_from_slice(reply);
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(self.sent..).unwrap_or_default()
    }

    fn sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
        if self.is_empty() {
            self.octets.clear();
            self.sent = 0;
        }
    }

    fn len(&self) -> usize {
        self.octets().len()
    }

    fn is_empty(&self) -> bool {
        self.octets().is_empty()
    }
}

/// Octets of replies that wait for the peer to read them, above which no more requests are read.
const OUTBOUND_LIMIT: usize = 64 * 1024;
