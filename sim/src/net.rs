//! The network of a run, and the ears on it.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use krad::StreamDecoder;
use krad_tokio::{DatagramSocket, Route};
use rand::{RngExt as _, rngs::StdRng};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc,
    time::sleep,
};

use crate::{disk::lock, history::History, plan::Plan};

type Datagram = (Vec<u8>, SocketAddr);

/// A network of datagrams that loses, repeats, delays and so reorders.
#[derive(Debug)]
pub(crate) struct Net {
    inboxes: HashMap<SocketAddr, mpsc::UnboundedSender<Datagram>>,
    loss: u32,
    repetition: u32,
    delay: Duration,
    rng: StdRng,
}

impl Net {
    pub(crate) fn new(plan: &Plan) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            inboxes: HashMap::new(),
            loss: plan.loss,
            repetition: plan.repetition,
            delay: plan.delay,
            rng: plan.rng(1),
        }))
    }

    /// From now on, everything arrives, once and at once.
    pub(crate) fn heal(&mut self) {
        (self.loss, self.repetition, self.delay) = (0, 0, Duration::from_millis(1));
    }

    /// A socket at `address`; whoever had it before hears nothing any more.
    pub(crate) fn bind(net: &Arc<Mutex<Self>>, address: SocketAddr) -> mpsc::UnboundedReceiver<Datagram> {
        let (sender, inbox) = mpsc::unbounded_channel();
        lock(net).inboxes.insert(address, sender);
        inbox
    }

    pub(crate) fn send(net: &Arc<Mutex<Self>>, from: SocketAddr, target: SocketAddr, octets: &[u8]) {
        let arrivals = lock(net).arrivals();
        for delay in arrivals {
            let (net, octets) = (Arc::clone(net), octets.to_vec());
            tokio::spawn(async move {
                sleep(delay).await;
                if let Some(inbox) = lock(&net).inboxes.get(&target) {
                    // Nobody at home: the datagram is lost.
                    let _ = inbox.send((octets, from));
                }
            });
        }
    }

    /// After how long a datagram arrives: never, once, or twice.
    fn arrivals(&mut self) -> Vec<Duration> {
        if self.rng.random_ratio(self.loss, 100) {
            return Vec::new();
        }
        let times = 1 + u32::from(self.rng.random_ratio(self.repetition, 100));
        (0..times).map(|_| self.takes()).collect()
    }

    fn takes(&mut self) -> Duration {
        let longest = u64::try_from(self.delay.as_micros()).unwrap_or(u64::MAX);
        // Most are quick, some take the whole time.
        let longest = if self.rng.random_ratio(3, 4) {
            longest / 10
        } else {
            longest
        };
        Duration::from_micros(self.rng.random_range(0..=longest))
    }
}

/// A daemon's socket; what it sends is written down.
pub(crate) struct SimSocket {
    address: SocketAddr,
    inbox: tokio::sync::Mutex<mpsc::UnboundedReceiver<Datagram>>,
    net: Arc<Mutex<Net>>,
    history: Arc<Mutex<History>>,
}

impl SimSocket {
    pub(crate) fn bind(net: &Arc<Mutex<Net>>, address: SocketAddr, history: &Arc<Mutex<History>>) -> Self {
        Self {
            address,
            inbox: tokio::sync::Mutex::new(Net::bind(net, address)),
            net: Arc::clone(net),
            history: Arc::clone(history),
        }
    }
}

impl DatagramSocket for SimSocket {
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Route)> {
        let Some((octets, from)) = self.inbox.lock().await.recv().await else {
            return std::future::pending().await;
        };
        let length = octets.len().min(buffer.len());
        for (place, octet) in buffer.iter_mut().zip(octets) {
            *place = octet;
        }
        lock(&self.history).arrived(
            Endpoint::Datagrams(from),
            buffer.get(..length).unwrap_or_default(),
        );
        Ok((length, from.into()))
    }

    async fn send(&self, octets: &[u8], route: Route) -> io::Result<()> {
        let target = route.source();
        lock(&self.history).answered(Endpoint::Datagrams(target), octets);
        Net::send(&self.net, self.address, target, octets);
        Ok(())
    }
}

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    /// A client's address.
    Datagrams(SocketAddr),
    /// A connection of a KDC's process.
    Connection(u64),
}

/// A daemon's end of a connection; what it reads and writes is written down.
pub(crate) struct Tap {
    stream: DuplexStream,
    endpoint: Endpoint,
    history: Arc<Mutex<History>>,
    requests: StreamDecoder,
    replies: StreamDecoder,
}

impl Tap {
    pub(crate) fn new(stream: DuplexStream, connection: u64, history: &Arc<Mutex<History>>) -> Self {
        Self {
            stream,
            endpoint: Endpoint::Connection(connection),
            history: Arc::clone(history),
            requests: StreamDecoder::new(),
            replies: StreamDecoder::new(),
        }
    }
}

/// The packets that `octets` complete.
pub(crate) fn packets(decoder: &mut StreamDecoder, mut octets: &[u8], mut each: impl FnMut(&[u8])) {
    while !octets.is_empty() {
        octets = decoder.push(octets);
        while let Ok(Some(packet)) = decoder.next_packet() {
            each(packet);
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            stream,
            endpoint,
            history,
            requests,
            ..
        } = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(stream).poll_read(context, buffer);
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        packets(requests, fresh, |packet| lock(history).arrived(*endpoint, packet));
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let Self {
            stream,
            endpoint,
            history,
            replies,
            ..
        } = self.get_mut();
        let polled = Pin::new(stream).poll_write(context, octets);
        if let Poll::Ready(Ok(count)) = &polled {
            let written = octets.get(..*count).unwrap_or_default();
            packets(replies, written, |packet| {
                lock(history).answered(*endpoint, packet)
            });
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
