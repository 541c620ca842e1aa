//! Sockets: one source port or one connection each, non-blocking, with batches in both directions.

use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use anyhow::{Context as _, bail};
use krad::{MAX_PACKET_LENGTH, StreamDecoder};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use super::{
    Options, Target,
    stream::{Stream, Tls, tcp},
};

/// Datagrams that are handed to the kernel in one call.
const BATCH: usize = 64;

/// One source port, or one connection.
pub(super) enum Lane {
    Udp(UdpSocket),
    Connection {
        stream: Stream,
        decoder: StreamDecoder,
        /// What the socket has not taken yet.
        outbound: Vec<u8>,
    },
}

/// Opens as many lanes as `options` ask for.
pub(super) fn connect(options: &Options) -> anyhow::Result<Vec<Lane>> {
    let tls = match options.target {
        Target::Tls(_) => Some(Tls::read(options)?),
        _ => None,
    };
    (0..options.lanes)
        .map(|_| {
            let lane = match (&options.target, &tls) {
                (Target::Udp(address), _) => Lane::udp(*address).map_err(Into::into),
                (Target::Unix(path), _) => UnixStream::connect(path)
                    .map_err(Into::into)
                    .and_then(|stream| Lane::connection(Stream::Unix(stream))),
                (Target::Tls(address), Some(tls)) => tls.connect(*address).and_then(Lane::connection),
                (Target::Tcp(address) | Target::Tls(address), _) => {
                    tcp(*address).and_then(|stream| Lane::connection(Stream::Tcp(stream)))
                }
            };
            lane.with_context(|| format!("cannot connect to {:?}", options.target))
        })
        .collect()
}

impl Lane {
    fn udp(server: SocketAddr) -> io::Result<Self> {
        let any = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(Self::Udp(socket))
    }

    fn connection(stream: Stream) -> anyhow::Result<Self> {
        stream.set_nonblocking()?;
        Ok(Self::Connection {
            stream,
            decoder: StreamDecoder::new(),
            outbound: Vec::new(),
        })
    }

    /// What to poll for the next reply.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Connection { stream, .. } => stream.as_fd(),
        }
    }

    /// Whether something waits until the socket takes more.
    pub(super) fn is_blocked(&self) -> bool {
        matches!(self, Self::Connection { outbound, stream, .. } if !outbound.is_empty() || stream.holds_back())
    }

    /// Sends `packets`. A datagram that the kernel has no room for is lost, as on a network.
    pub(super) fn send(&mut self, packets: &[&[u8]]) -> anyhow::Result<()> {
        match self {
            Self::Udp(socket) => {
                for batch in packets.chunks(BATCH) {
                    send_datagrams(socket, batch)?;
                }
            }
            Self::Connection { outbound, stream, .. } if stream.is_tls() => {
                // A record each.
                for packet in packets {
                    outbound.extend_from_slice(packet);
                    write_from(outbound, stream)?;
                }
                self.flush()?;
            }
            Self::Connection { outbound, .. } => {
                for packet in packets {
                    outbound.extend_from_slice(packet);
                }
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what waits to be written.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let Self::Connection { stream, outbound, .. } = self else {
            return Ok(());
        };
        write_from(outbound, stream)?;
        match stream.flush() {
            Err(error) if !is_for_later(&error) => Err(error).context("cannot send"),
            _ => Ok(()),
        }
    }

    /// Hands every packet that has come to `take`.
    pub(super) fn receive(&mut self, mut take: impl FnMut(&[u8])) -> anyhow::Result<()> {
        let mut buffer = [0; MAX_PACKET_LENGTH];
        match self {
            Self::Udp(socket) => loop {
                match socket.recv(&mut buffer) {
                    Ok(length) => take(buffer.get(..length).unwrap_or_default()),
                    // The server's port was closed for a moment: what was sent is lost.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(error) if is_for_later(&error) => return Ok(()),
                    Err(error) => return Err(error).context("cannot receive"),
                }
            },
            Self::Connection { stream, decoder, .. } => loop {
                match stream.read(decoder.space()) {
                    Ok(0) => bail!("the server closed a connection"),
                    Ok(count) => decoder.filled(count),
                    Err(error) if is_for_later(&error) => return Ok(()),
                    Err(error) => return Err(error).context("cannot receive"),
                }
                while let Some(packet) = decoder.next_packet()? {
                    take(packet);
                }
            },
        }
    }
}

/// Writes as much of `outbound` as is taken.
fn write_from(outbound: &mut Vec<u8>, stream: &mut Stream) -> anyhow::Result<()> {
    while !outbound.is_empty() {
        match stream.write(outbound) {
            Ok(count) => drop(outbound.drain(..count)),
            Err(error) if is_for_later(&error) => break,
            Err(error) => return Err(error).context("cannot send"),
        }
    }
    Ok(())
}

fn send_datagrams(socket: &UdpSocket, packets: &[&[u8]]) -> anyhow::Result<()> {
    let slices: Vec<[IoSlice<'_>; 1]> = packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        packets.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<MMsgHdr<'_>> = slices
        .iter()
        .zip(&mut controls)
        .map(|(slice, control)| MMsgHdr::new(slice, control))
        .collect();
    let mut rest = messages.as_mut_slice();
    while !rest.is_empty() {
        match sendmmsg(socket, rest, SendFlags::empty()) {
            Ok(sent) => rest = rest.get_mut(sent..).unwrap_or_default(),
            Err(error) => match io::Error::from(error) {
                error if error.kind() == io::ErrorKind::ConnectionRefused => {}
                error if is_for_later(&error) => return Ok(()),
                error => return Err(error).context("cannot send"),
            },
        }
    }
    Ok(())
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
