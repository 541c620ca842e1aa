//! Where packets come from.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::ClientCertificate;

/// Where a packet came from. `Display` is for logs: `udp 192.0.2.1:4711`, `unix kdc#3`, `tls 192.0.2.1:4711#7`.
///
/// Connections are counted from 1 over all listeners of the process: no two have the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// Source address and port of a datagram.
    Udp(SocketAddr),
    /// A connection to a UNIX stream socket.
    Unix {
        /// Name of the listener, as given to [`serve_unix`](crate::serve_unix).
        listener: Arc<str>,
        /// Which connection.
        connection: u64,
    },
    /// A TCP connection.
    Tcp {
        /// The client's end of it.
        address: SocketAddr,
        /// Which connection.
        connection: u64,
    },
    /// A TLS connection.
    Tls {
        /// The client's end of it.
        address: SocketAddr,
        /// Which connection.
        connection: u64,
        /// What the client proved to be. `None` only while the service is asked whether a handshake with this address is
        /// worth its while: no packet comes from a client without a certificate.
        certificate: Option<Arc<ClientCertificate>>,
    },
}

impl Peer {
    /// The client's address on a network; an IPv4 address as such, even if an IPv6 socket received it.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Udp(address) | Self::Tcp { address, .. } | Self::Tls { address, .. } => {
                Some(address.ip().to_canonical())
            }
            Self::Unix { .. } => None,
        }
    }

    /// A short fixed name of the transport, for the label of a counter.
    #[must_use]
    pub const fn transport(&self) -> &'static str {
        match self {
            Self::Udp(_) => "udp",
            Self::Unix { .. } => "unix",
            Self::Tcp { .. } => "tcp",
            Self::Tls { .. } => "tls",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.transport())?;
        match self {
            Self::Udp(address) => address.fmt(f),
            Self::Unix { listener, connection } => write!(f, "{listener}#{connection}"),
            Self::Tcp { address, connection }
            | Self::Tls {
                address, connection, ..
            } => write!(f, "{address}#{connection}"),
        }
    }
}
