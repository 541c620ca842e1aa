//! RADIUS over TCP (RFC 6613).

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
};

use krad::radius11::Version;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{
    Discard, LiveSettings, Peer, RadiusService,
    acceptor::{Accepted, Acceptor, Listen, admit},
    connection::{Connection, next_number},
};

/// Serves RADIUS on TCP until `shutdown`, then stops listening, lets the requests in flight finish within
/// [`Settings::drain`](crate::Settings::drain), and closes the connections.
///
/// Passwords are hidden as on UDP and no better: on a network that others can listen to, take TLS. A connection from an
/// address of no client is closed before anything is read. A packet that cannot be decoded or is not authentic is
/// discarded alone, and the connection goes on; RFC 6613 §2.6.4 closes it, which would let one bad packet of a proxy take
/// the requests of its other clients along. Only a Length that no packet can have ends the connection.
pub fn serve_tcp<S: RadiusService>(
    listener: TcpListener,
    service: Arc<S>,
    settings: impl Into<LiveSettings>,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let acceptor = Acceptor::new(name("tcp", &listener), service, settings, shutdown);
    acceptor.run(
        Tcp(listener),
        |accepted, service: Arc<S>, settings, shutdown| async move {
            let unknown = Discard::UnknownClient;
            if admit(&*service, &accepted.peer, &settings, None, unknown)
                .await
                .is_none()
            {
                return;
            }
            let (reader, writer) = accepted.stream.into_split();
            let connection = Connection::new(accepted.peer, Version::Historic, service, settings);
            connection.serve(reader, writer, shutdown).await;
        },
    )
}

/// Listens on TCP. `[::]` takes connections to all addresses of the machine, IPv6 and IPv4.
///
/// # Errors
///
/// If the address cannot be had.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // Whatever the machine's default is.
        socket.set_only_v6(false)?;
    }
    // Connections of a predecessor that linger in the kernel do not keep its successor out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

pub(crate) fn name(transport: &str, listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(address) => format!("{transport} {address}"),
        Err(_) => transport.to_owned(),
    }
}

struct Tcp(TcpListener);

impl Listen for Tcp {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Accepted<TcpStream>> {
        let (stream, address) = accept(&self.0).await?;
        let peer = Peer::Tcp {
            address,
            connection: next_number(),
        };
        Ok(Accepted { stream, peer })
    }
}

/// Accepts a connection whose replies leave at once: each one is a packet that somebody waits for.
pub(crate) async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept().await?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "replies may leave late");
    }
    Ok((stream, address))
}
