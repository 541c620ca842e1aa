//! A TCP or TLS connection to one server (RFC 6613, RFC 6614, RFC 9765).

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use krad::{
    MessageAuthenticatorRule, SharedSecret, StreamDecoder,
    radius11::{TokenCounter, Version},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use super::{
    counters::Counters,
    datagram::refuse,
    link::{Codec, Commands, Table},
    tls::ClientTls,
};

/// How long it may take to connect, handshake included.
const CONNECTING: Duration = Duration::from_secs(5);
/// How many packets wait for a server that does not read. Who would send more waits.
const MOST_UNSENT: usize = 256;
/// How long after a first failure the next connection is made; after each further one twice as long …
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is spoken on a stream.
#[derive(Clone)]
pub(super) struct StreamTerms {
    pub(super) address: SocketAddr,
    pub(super) secret: SharedSecret,
    pub(super) rule: MessageAuthenticatorRule,
    /// For TLS: the terms, and the name that the certificate has to have.
    pub(super) tls: Option<(Arc<ClientTls>, ServerName<'static>)>,
}

/// When the next connection may be made.
#[derive(Debug, Default)]
pub(super) struct Backoff(Mutex<Pause>);

#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn permits(&self, now: Instant) -> bool {
        self.lock().until.is_none_or(|until| now >= until)
    }

    /// The last attempt failed; `lot` (any number) spreads those who lost the same server at the same time.
    fn failed(&self, now: Instant, lot: u32) {
        let mut pause = self.lock();
        let doubled = SHORTEST_PAUSE.checked_mul(1_u32.checked_shl(pause.failures).unwrap_or(u32::MAX));
        let longest = doubled.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        // Between three and five quarters of it.
        let quarter = longest.checked_div(4).unwrap_or_default();
        let jitter = quarter
            .saturating_mul(2)
            .mul_f64(f64::from(lot) / f64::from(u32::MAX));
        let wait = quarter.saturating_mul(3).saturating_add(jitter);
        pause.failures = pause.failures.saturating_add(1);
        pause.until = now.checked_add(wait);
    }

    fn connected(&self) {
        *self.lock() = Pause::default();
    }

    /// The next connection may be made at once: the server has another address, or gave a sign of life.
    pub(super) fn end(&self) {
        self.connected();
    }

    /// Nothing is left half done under the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Pause> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, sends and receives until the connection breaks or nobody has the link any more.
pub(super) async fn run(
    terms: StreamTerms,
    tokens: TokenCounter,
    lot: u32,
    commands: Commands,
    counters: Arc<Counters>,
    backoff: Arc<Backoff>,
) {
    let address = terms.address;
    let connecting = timeout(CONNECTING, connect(&terms)).await;
    let connected = connecting.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    let (stream, version) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            backoff.failed(Instant::now(), lot);
            counters.failed_connection(address, &error);
            refuse(commands);
            return;
        }
    };
    backoff.connected();
    let codec = match version {
        Version::Historic => Codec::historic(terms.secret, terms.rule),
        Version::Radius11 => Codec::Radius11(tokens),
    };
    tracing::debug!(%address, ?version, "connected to a RADIUS server");
    let mut connection = Connection {
        table: Table::new(codec),
        unsent: VecDeque::new(),
        written: 0,
        is_flushed: true,
    };
    let mut commands = commands;
    let ended = connection.serve(stream, &mut commands, &counters, address).await;
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "the connection to a RADIUS server ended");
    }
    // First closed, then told: whoever asks again because of it asks on another connection.
    refuse(commands);
    connection.table.unreachable();
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(terms: &StreamTerms) -> io::Result<(Box<dyn Stream>, Version)> {
    let stream = TcpStream::connect(terms.address).await?;
    // Packets are small, and each has somebody waiting.
    stream.set_nodelay(true)?;
    match &terms.tls {
        None => Ok((Box::new(stream), Version::Historic)),
        Some((tls, name)) => {
            let (stream, version) = tls.connect(name.clone(), stream).await?;
            Ok((Box::new(stream), version))
        }
    }
}

struct Connection {
    table: Table,
    /// Whole packets, each wiped when it is sent: over RADIUS/1.1, passwords are in the clear inside TLS.
    unsent: VecDeque<Zeroizing<Vec<u8>>>,
    /// How many octets of the first one are sent already.
    written: usize,
    /// What was written may still wait in TLS.
    is_flushed: bool,
}

impl Connection {
    async fn serve(
        &mut self,
        stream: impl Stream,
        commands: &mut Commands,
        counters: &Counters,
        address: SocketAddr,
    ) -> io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut decoder = StreamDecoder::new();
        loop {
            let rest = self.unsent.front().and_then(|packet| packet.get(self.written..));
            let has_room = self.unsent.len() < MOST_UNSENT;
            let has_work = rest.is_some() || !self.is_flushed;
            let writing = async {
                match rest {
                    Some(rest) => writer.write(rest).await.map(Some),
                    None => writer.flush().await.map(|()| None),
                }
            };
            tokio::select! {
                received = reader.read(decoder.space()) => {
                    let count = received?;
                    if count == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    decoder.filled(count);
                    let lost = |error| io::Error::new(ErrorKind::InvalidData, error);
                    while let Some(packet) = decoder.next_packet().map_err(lost)? {
                        if let Err(discard) = self.table.arrived(packet) {
                            counters.discarded(discard, address);
                        }
                    }
                }
                command = commands.recv(), if has_room => match command {
                    Some(command) => {
                        if let Some(octets) = self.table.command(command) {
                            self.unsent.push_back(Zeroizing::new(octets.to_vec()));
                        }
                    }
                    None => return Ok(()),
                },
                written = writing, if has_work => match written? {
                    None => self.is_flushed = true,
                    Some(0) => return Err(ErrorKind::WriteZero.into()),
                    Some(count) => self.wrote(count),
                },
            }
        }
    }

    fn wrote(&mut self, count: usize) {
        self.is_flushed = false;
        self.written = self.written.saturating_add(count);
        if self
            .unsent
            .front()
            .is_some_and(|packet| self.written >= packet.len())
        {
            self.unsent.pop_front();
            self.written = 0;
        }
    }
}
