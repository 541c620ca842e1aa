//! The way to a server: a UNIX stream socket, or a UDP socket for each address.

use std::{
    ffi::OsStr,
    future::{pending, poll_fn},
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    task::Poll,
    time::Duration,
};

use kdc_otp::Unreachable;
use kdc_otp_config::{MAX_SOCKET_PATH, Server};
use krad::{MAX_PACKET_LENGTH, StreamDecoder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    net::{UdpSocket, UnixStream, lookup_host},
    time::timeout,
};
use zeroize::Zeroizing;

/// A server that was found.
pub(super) enum Link {
    /// A stream, as long as it lasts.
    Unix(Option<UnixStream>, StreamDecoder),
    /// A connected socket for each address, in the order of the look-up.
    Udp(Vec<(SocketAddr, io::Result<UdpSocket>)>),
}

/// Something that a KDC does not act upon, and an admin wants to know.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the server closed the connection before it replied; the KDC waits all the same")]
    Closed,
    #[error("the connection failed ({0}); the KDC waits all the same")]
    Stream(io::Error),
    #[error("what the server sent is no sequence of RADIUS packets ({0})")]
    Framing(krad::FramingError),
    #[error("{0} cannot be reached ({1}); the KDC waits all the same")]
    Datagram(SocketAddr, io::Error),
}

impl Link {
    /// Finds a server as the KDC does; no longer than `limit`.
    pub(super) async fn to(server: &Server, limit: Duration) -> Result<Self, Unreachable> {
        let too_long = |_| Unreachable::Connect(io::ErrorKind::TimedOut);
        match server {
            Server::Unix(path) => {
                // The KDC cuts a path to what fits the socket's address.
                let path = path.get(..MAX_SOCKET_PATH).unwrap_or(path);
                let path = Path::new(OsStr::from_bytes(path));
                let stream = timeout(limit, UnixStream::connect(path))
                    .await
                    .map_err(too_long)?;
                let stream = stream.map_err(|error| Unreachable::Connect(error.kind()))?;
                Ok(Self::Unix(Some(stream), StreamDecoder::new()))
            }
            Server::Network(address) => {
                let addresses = timeout(limit, look_up(address)).await.map_err(too_long)??;
                let mut sockets = Vec::with_capacity(addresses.len());
                for address in addresses {
                    sockets.push((address, connect(address).await));
                }
                match sockets.first() {
                    // The KDC tries no other address then.
                    Some((_, Err(error))) => Err(Unreachable::Connect(error.kind())),
                    _ => Ok(Self::Udp(sockets)),
                }
            }
        }
    }

    /// How many addresses the server has.
    pub(super) fn addresses(&self) -> NonZeroUsize {
        let addresses = match self {
            Self::Unix(..) => 1,
            Self::Udp(sockets) => sockets.len(),
        };
        NonZeroUsize::new(addresses).unwrap_or(NonZeroUsize::MIN)
    }

    /// Sends a packet. `Err(Ok(_))` ends the login, `Err(Err(_))` is worth a note.
    pub(super) async fn send(
        &mut self,
        address: usize,
        octets: &[u8],
    ) -> Result<(), Result<Unreachable, Trouble>> {
        match self {
            Self::Unix(Some(stream), _) => stream
                .write_all(octets)
                .await
                .map_err(|error| Err(Trouble::Stream(error))),
            Self::Unix(None, _) => Ok(()),
            Self::Udp(sockets) => match sockets.get(address) {
                None => Ok(()),
                Some((_, Err(error))) => Err(Ok(Unreachable::Connect(error.kind()))),
                Some((to, Ok(socket))) => match socket.send(octets).await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Err(Trouble::Datagram(*to, error))),
                },
            },
        }
    }

    /// The next packet, and the address that it comes from. What was received is kept if this is dropped.
    pub(super) async fn receive(&mut self) -> (usize, Result<Zeroizing<Vec<u8>>, Trouble>) {
        match self {
            Self::Unix(stream, decoder) => (0, receive_stream(stream, decoder).await),
            Self::Udp(sockets) => receive_datagram(sockets).await,
        }
    }
}

async fn receive_stream(
    open: &mut Option<UnixStream>,
    decoder: &mut StreamDecoder,
) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    loop {
        let Some(stream) = open else {
            return pending().await;
        };
        let trouble = match decoder.next_packet() {
            Ok(Some(packet)) => return Ok(Zeroizing::new(packet.to_vec())),
            Ok(None) => match stream.read(decoder.space()).await {
                Ok(0) => Trouble::Closed,
                Ok(length) => {
                    decoder.filled(length);
                    continue;
                }
                Err(error) => Trouble::Stream(error),
            },
            Err(error) => Trouble::Framing(error),
        };
        *open = None;
        return Err(trouble);
    }
}

async fn receive_datagram(
    sockets: &[(SocketAddr, io::Result<UdpSocket>)],
) -> (usize, Result<Zeroizing<Vec<u8>>, Trouble>) {
    let mut buffer = Zeroizing::new([0; MAX_PACKET_LENGTH]);
    poll_fn(|context| {
        for (address, (from, socket)) in sockets.iter().enumerate() {
            let Ok(socket) = socket else { continue };
            let mut buffer = ReadBuf::new(buffer.as_mut_slice());
            match socket.poll_recv(context, &mut buffer) {
                Poll::Ready(Ok(())) => {
                    return Poll::Ready((address, Ok(Zeroizing::new(buffer.filled().to_vec()))));
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready((address, Err(Trouble::Datagram(*from, error))));
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

async fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// The addresses of `host[:service]`, divided at the last colon, as libkrad divides it.
async fn look_up(server: &[u8]) -> Result<Vec<SocketAddr>, Unreachable> {
    let server =
        str::from_utf8(server).map_err(|_| Unreachable::Lookup("its name is not text".to_owned()))?;
    let (host, service) = server.rsplit_once(':').unwrap_or((server, "radius"));
    let port = port_of(service)?;
    let found = lookup_host((host, port))
        .await
        .map_err(|error| Unreachable::Lookup(error.to_string()))?;
    let addresses: Vec<_> = found.collect();
    if host.is_empty() || addresses.is_empty() {
        return Err(Unreachable::Lookup("it has no address".to_owned()));
    }
    Ok(addresses)
}

fn port_of(service: &str) -> Result<u16, Unreachable> {
    if let Ok(port) = service.parse() {
        return Ok(port);
    }
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    find_service(&services, service)
        .ok_or_else(|| Unreachable::Lookup(format!("/etc/services has no service {service:?} on UDP")))
}

/// The port of a service, by its name or an alias (`services(5)`).
fn find_service(services: &str, wanted: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let (name, port) = (words.next()?, words.next()?.strip_suffix("/udp")?);
        let is_it = name == wanted || words.any(|alias| alias == wanted);
        is_it.then(|| port.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_name_and_alias() {
        let services = "# comment\nssh 22/tcp\ndatametrics 1645/tcp old-radius\ndatametrics\t1645/udp old-radius # x\n\
                        radius 1812/tcp\nradius 1812/udp\nbroken x/udp\n";
        for (name, expected) in [
            ("radius", Some(1812)),
            ("old-radius", Some(1645)),
            ("ssh", None),
            ("x", None),
            ("broken", None),
            ("", None),
        ] {
            assert_eq!(find_service(services, name), expected, "{name}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn servers_are_looked_up_as_libkrad_divides_their_names() {
        let found = look_up(b"127.0.0.1:1812").await.unwrap();
        assert_eq!(found, ["127.0.0.1:1812".parse().unwrap()]);
        for server in ["", ":1812", "[::1]:1812", "::1", "127.0.0.1:no-such-service"] {
            let error = look_up(server.as_bytes()).await.unwrap_err();
            assert!(matches!(error, Unreachable::Lookup(_)), "{server}: {error:?}");
        }
    }
}
