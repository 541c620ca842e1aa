//! UDP sockets for servers.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// How many octets of requests may wait in the kernel, if it lets us have that many (`net.core.rmem_max`): some
/// thousands. Its own choice is less than two hundred, which clients exceed when all of them come back at once.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Binds a UDP socket whose queue in the kernel is long enough for many clients at once.
///
/// # Errors
///
/// If the address cannot be had. It is no error if the kernel grants a shorter queue.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
        tracing::debug!(%address, %error, "the kernel keeps its receive buffer");
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_thousand_requests_wait_in_the_kernel() {
        let socket = bind_udp((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let usual = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let size = |socket: &UdpSocket| socket2::SockRef::from(socket).recv_buffer_size().unwrap();
        assert!(size(&socket) >= size(&usual), "{} octets", size(&socket));
        // An address that another socket has is still refused.
        let taken = bind_udp(socket.local_addr().unwrap()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
