//! Where packets come from.

use std::{fmt, net::SocketAddr, sync::Arc};

/// Where a packet came from. `Display` is for logs: `udp 192.0.2.1:4711`, `unix kdc#3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// Source address and port of a datagram.
    Udp(SocketAddr),
    /// A connection to a UNIX stream socket.
    Unix {
        /// Name of the listener, as given to [`serve_unix`](crate::serve_unix).
        listener: Arc<str>,
        /// Which connection, counted from 1 over all UNIX listeners of the process: no two have the same number.
        connection: u64,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp {address}"),
            Self::Unix { listener, connection } => write!(f, "unix {listener}#{connection}"),
        }
    }
}
