//! UDP sockets for servers.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space,
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg,
        recvmsg, sendmmsg, sendmsg, setsockopt, sockopt,
    },
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

use super::{Batch, DatagramSocket, Outgoing, Route};

/// How many octets of requests may wait in the kernel, if it lets us have that many (`net.core.rmem_max`): some
/// thousands. Its own choice is less than two hundred, which clients exceed when all of them come back at once.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// A bound UDP socket whose replies leave from the address that the client asked, also when it is bound to all addresses of
/// the machine: a client takes no reply from another one.
#[derive(Debug)]
pub struct UdpListener {
    socket: UdpSocket,
    /// The kernel says for each datagram which address was asked.
    is_wildcard: bool,
}

/// Binds `sockets` UDP sockets, at least one, to the same address, with long queues in the kernel.
///
/// The kernel spreads clients over them by their addresses and ports (`SO_REUSEPORT`), so that a client stays with one socket
/// and its table of duplicates for as long as all of them are open. `[::]` receives what is sent to any address of the machine,
/// IPv6 and IPv4.
///
/// # Errors
///
/// If the address cannot be had: another program that has it keeps it, whatever it allows. It is no error if the kernel
/// grants shorter queues.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn bind_udp(address: SocketAddr, sockets: usize) -> io::Result<Vec<UdpListener>> {
    let first = new_socket(address)?;
    first.bind(&address.into())?;
    // The port that was chosen for port 0.
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    // From now on sockets of this user may join; before, the address had to be free.
    first.set_reuse_port(true)?;
    let mut bound = vec![UdpListener::new(first, address)?];
    for _ in 1..sockets {
        let next = new_socket(address)?;
        next.set_reuse_port(true)?;
        next.bind(&address.into())?;
        bound.push(UdpListener::new(next, address)?);
    }
    Ok(bound)
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // Whatever the machine's default is.
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

impl UdpListener {
    /// Takes a socket that somebody else bound, such as systemd.
    ///
    /// # Errors
    ///
    /// If the system does not say where it is bound, or lets nothing be set.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Self::new(socket.into(), address)
    }

    fn new(socket: Socket, address: SocketAddr) -> io::Result<Self> {
        if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
            tracing::debug!(%address, %error, "the kernel keeps its receive buffer");
        }
        let is_wildcard = address.ip().is_unspecified();
        match address {
            SocketAddr::V4(_) if is_wildcard => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) if is_wildcard => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
            _ => {}
        }
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            is_wildcard,
        })
    }

    /// Where it is bound.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Length of the queue in the kernel, in octets.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        SockRef::from(&self.socket).recv_buffer_size()
    }
}

/// An address of this machine that was asked, and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    V4(Ipv4Addr),
    /// With the interface, for an address that only has a meaning there.
    V6(Ipv6Addr, u32),
}

impl Local {
    fn v4(info: in_pktinfo) -> Self {
        Self::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
    }

    /// `None` for a group of receivers, from which nothing can be sent.
    fn v6(info: in6_pktinfo) -> Option<Self> {
        let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
        let interface = if address.is_unicast_link_local() {
            info.ipi6_ifindex
        } else {
            0
        };
        (!address.is_multicast()).then_some(Self::V6(address, interface))
    }

    /// Lends what tells the kernel to send from this address.
    fn with_control<T>(self, send: impl FnOnce(ControlMessage<'_>) -> T) -> T {
        match self {
            Self::V4(address) => send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(address.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            })),
            Self::V6(address, interface) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: interface,
            })),
        }
    }
}

impl DatagramSocket for UdpListener {
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Route)> {
        if !self.is_wildcard {
            let (length, source) = self.socket.recv_from(buffer).await?;
            return Ok((length, Route::from(source)));
        }
        let receiving = self.socket.async_io(Interest::READABLE, || {
            let mut control = cmsg_space!(in6_pktinfo);
            let mut pieces = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::empty();
            let message =
                recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut pieces, Some(&mut control), flags)?;
            let route = route(&message).ok_or(io::ErrorKind::AddrNotAvailable)?;
            Ok((message.bytes, route))
        });
        receiving.await
    }

    async fn send(&self, octets: &[u8], route: Route) -> io::Result<()> {
        let Some(local) = route.local else {
            return self.socket.send_to(octets, route.source).await.map(drop);
        };
        let target = SockaddrStorage::from(route.source);
        let sending = self.socket.async_io(Interest::WRITABLE, || {
            let (fd, pieces) = (self.socket.as_raw_fd(), [IoSlice::new(octets)]);
            local
                .with_control(|control| sendmsg(fd, &pieces, &[control], MsgFlags::empty(), Some(&target)))?;
            Ok(())
        });
        sending.await
    }

    async fn receive_batch(&self, batch: &mut Batch) -> io::Result<()> {
        let receiving = self.socket.async_io(Interest::READABLE, || {
            let (rooms, received) = batch.empty();
            let mut pieces: Vec<_> = rooms.map(|room| [IoSliceMut::new(room)]).collect();
            let control = self.is_wildcard.then(|| cmsg_space!(in6_pktinfo));
            // The kernel writes into them how much it has used: they serve once.
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(pieces.len(), control);
            let flags = MsgFlags::MSG_DONTWAIT;
            let messages = recvmmsg(self.socket.as_raw_fd(), &mut headers, &mut pieces, flags, None)?;
            // Each stays with its room, also one that cannot be answered.
            received.extend(messages.map(|message| match route(&message) {
                Some(route) => (message.bytes, route),
                None => NOTHING,
            }));
            Ok(())
        });
        receiving.await
    }

    async fn send_batch(&self, replies: &[Outgoing]) {
        let mut rest = replies;
        while let [(octets, route), ..] = rest {
            let alike = rest.iter().take_while(|(_, other)| other.local == route.local);
            let sent = match rest.get(..alike.take(SENT_TOGETHER).count()) {
                Some(several @ [_, _, ..]) => self.send_several(several, route.local).await,
                _ => self.send(octets, *route).await.map(|()| 1),
            };
            let sent = sent.unwrap_or_else(|error| {
                tracing::debug!(source = %route.source, %error, "sending a reply failed");
                1
            });
            rest = rest.get(sent.max(1)..).unwrap_or_default();
        }
    }
}

/// Replies that one call sends at most.
const SENT_TOGETHER: usize = 64;

impl UdpListener {
    /// Sends some of `replies` from the same address, the first at least, and tells how many; an error is about the first.
    async fn send_several(&self, replies: &[Outgoing], local: Option<Local>) -> io::Result<usize> {
        let sending = self.socket.async_io(Interest::WRITABLE, || {
            let pieces: Vec<_> = replies.iter().map(|(octets, _)| [IoSlice::new(octets)]).collect();
            let targets: Vec<_> = replies
                .iter()
                .map(|(_, route)| Some(SockaddrStorage::from(route.source)))
                .collect();
            let space = local.map(|local| match local {
                Local::V4(_) => cmsg_space!(in_pktinfo),
                Local::V6(..) => cmsg_space!(in6_pktinfo),
            });
            let mut headers = MultiHeaders::preallocate(replies.len(), space);
            let mut send = |control: &[ControlMessage<'_>]| {
                let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
                let sent = sendmmsg(fd, &mut headers, &pieces, &targets, control, flags);
                sent.map(Iterator::count)
            };
            let sent = match local {
                Some(local) => local.with_control(|control| send(&[control])),
                None => send(&[]),
            };
            Ok(sent?)
        });
        sending.await
    }
}

/// In the place of a datagram from an address that is none.
const NOTHING: (usize, Route) = (
    0,
    Route {
        source: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        local: None,
    },
);

/// The way of a message; `None` if it has come from nowhere.
fn route(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Route> {
    let source = message.address.as_ref().and_then(socket_address)?;
    // Whoever bound the socket may have asked for more than there is room for (`PassPacketInfo=`, `Timestamping=` of systemd). It is cut
    // off then, and the kernel chooses the address of the reply.
    let local = message
        .cmsgs()
        .into_iter()
        .flatten()
        .find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::v4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Local::v6(info),
            _ => None,
        });
    Some(Route { source, local })
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

impl Route {
    /// The address that was asked, if the socket says so.
    #[must_use]
    pub fn local(&self) -> Option<IpAddr> {
        self.local.map(|local| match local {
            Local::V4(address) => address.into(),
            Local::V6(address, _) => IpAddr::V6(address).to_canonical(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_thousand_requests_wait_in_the_kernel() {
        let bound = bind_udp((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
        let usual = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let usual = SockRef::from(&usual).recv_buffer_size().unwrap();
        for socket in &bound {
            let size = socket.receive_buffer().unwrap();
            assert!(size >= usual, "{size} octets");
            assert_eq!(socket.local_addr().unwrap(), bound[0].local_addr().unwrap());
        }
    }

    /// Sockets may share an address with each other, and with nobody who comes later.
    #[tokio::test]
    async fn an_address_that_somebody_has_is_refused() {
        for sockets in [1, 4] {
            let bound = bind_udp((Ipv4Addr::LOCALHOST, 0).into(), sockets).unwrap();
            assert_eq!(bound.len(), sockets);
            let taken = bind_udp(bound[0].local_addr().unwrap(), sockets).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
    }

    /// What waits comes by one call, in its order, with the way that each datagram came.
    #[tokio::test]
    async fn datagrams_that_wait_are_received_together() {
        for (bound, asked) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "127.0.0.2"),
            ("[::]:0", "127.0.0.3"),
            ("[::]:0", "::1"),
        ] {
            let listener = bind_udp(bound.parse().unwrap(), 1).unwrap().remove(0);
            let asked: IpAddr = asked.parse().unwrap();
            let target = SocketAddr::from((asked, listener.local_addr().unwrap().port()));
            let client =
                std::net::UdpSocket::bind((if asked.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
            for number in 0..5_u8 {
                client.send_to(&[number; 20], target).unwrap();
            }
            let mut batch = Batch::new(4);
            listener.receive_batch(&mut batch).await.unwrap();
            let received: Vec<_> = batch.datagrams().collect();
            let octets: Vec<_> = received.iter().map(|(octets, _)| octets.to_vec()).collect();
            assert_eq!(octets, [[0; 20], [1; 20], [2; 20], [3; 20]], "{bound}");
            for (_, route) in &received {
                assert_eq!(route.source().port(), client.local_addr().unwrap().port());
                assert!(
                    route.local().is_none_or(|local| local == asked),
                    "{bound}: {route:?}"
                );
                assert_eq!(route.local().is_none(), bound == "127.0.0.1:0");
            }
            listener.receive_batch(&mut batch).await.unwrap();
            assert_eq!(batch.datagrams().count(), 1, "the one that had no room");
        }
    }

    /// As systemd binds it with `PassPacketInfo=yes`, and with other things that nobody here has asked for.
    #[tokio::test]
    async fn a_socket_that_tells_more_than_there_is_room_for_is_heard() {
        for (bound, is_told) in [("127.0.0.1:0", false), ("0.0.0.0:0", true)] {
            let socket = std::net::UdpSocket::bind(bound).unwrap();
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).unwrap();
            if is_told {
                setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
            }
            let listener = UdpListener::from_std(socket).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            client.send_to(b"ask", ("127.0.0.1", port)).unwrap();
            let mut batch = Batch::new(4);
            listener.receive_batch(&mut batch).await.unwrap();
            let received: Vec<_> = batch.datagrams().collect();
            assert_eq!(
                received,
                [(&b"ask"[..], client.local_addr().unwrap().into())],
                "{bound}"
            );
        }
    }

    /// Each goes its way from the address that was asked, whatever becomes of the others.
    #[tokio::test]
    async fn replies_are_sent_together() {
        let listener = bind_udp("[::]:0".parse().unwrap(), 1).unwrap().remove(0);
        let port = listener.local_addr().unwrap().port();
        let clients: Vec<_> = ["127.0.0.1", "127.0.0.1", "127.0.0.5", "::1", "127.0.0.1"]
            .iter()
            .map(|asked| {
                let asked: IpAddr = asked.parse().unwrap();
                let own = if asked.is_ipv4() { "127.0.0.1" } else { "::1" };
                let client = std::net::UdpSocket::bind((own, 0)).unwrap();
                client
                    .set_read_timeout(Some(std::time::Duration::from_secs(5)))
                    .unwrap();
                client.send_to(b"ask", (asked, port)).unwrap();
                (asked, client)
            })
            .collect();
        let mut replies: Vec<Outgoing> = Vec::new();
        let mut batch = Batch::new(8);
        while replies.len() < clients.len() {
            listener.receive_batch(&mut batch).await.unwrap();
            replies.extend(batch.datagrams().map(|(_, route)| {
                let port = route.source().port();
                (Arc::from(port.to_string().as_bytes()), route)
            }));
        }
        // Nobody can be reached at port 0: neither at the beginning nor in the middle of what leaves together.
        let mut nobody: Outgoing = (Arc::from(&b"lost"[..]), replies[0].1);
        nobody.1.source.set_port(0);
        replies.insert(0, nobody.clone());
        replies.insert(2, nobody);
        listener.send_batch(&replies).await;
        for (asked, client) in clients {
            let mut buffer = [0; 64];
            let (length, source) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(
                buffer[..length],
                *client.local_addr().unwrap().port().to_string().as_bytes()
            );
            assert_eq!(source, SocketAddr::from((asked, port)));
        }
    }
}
