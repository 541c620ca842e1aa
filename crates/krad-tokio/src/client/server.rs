//! Where a server is, and the socket to it.

use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use krad::{Identifier, Remote, SharedSecret};

use super::connection::{Connection, Registration, Waiter};

/// A server to ask. Clones share one socket.
#[derive(Clone)]
pub struct Server {
    address: Address,
    remote: Remote,
    connection: Arc<Mutex<Option<Connection>>>,
}

#[derive(Debug, Clone)]
pub(super) enum Address {
    Udp(SocketAddr),
    Unix(PathBuf),
}

impl Server {
    /// A server on UDP. Its replies must carry a Message-Authenticator.
    #[must_use]
    pub fn udp(address: SocketAddr, secret: SharedSecret) -> Self {
        Self::new(Address::Udp(address), Remote::udp(secret))
    }

    /// A server on a UNIX stream socket, spoken to as a KDC does: without a secret.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Address::Unix(path.into()), Remote::unix())
    }

    fn new(address: Address, remote: Remote) -> Self {
        let connection = Arc::default();
        Self {
            address,
            remote,
            connection,
        }
    }

    /// Changes what is required of the server's replies, or what it is sent.
    ///
    /// ```
    /// # use krad::{LengthPolicy, Remote, SharedSecret};
    /// # use krad_tokio::client::Server;
    /// let secret = SharedSecret::new(b"a secret of this client alone");
    /// let server = Server::udp("192.0.2.1:1812".parse()?, secret)
    ///     .with_terms(Remote::dangerous_allow_missing_message_authenticator);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn with_terms(mut self, change: impl FnOnce(Remote) -> Remote) -> Self {
        self.remote = change(self.remote);
        self
    }

    pub(super) const fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Queues a packet on the connection, opening one if there is none; `None` if it cannot be queued.
    pub(super) fn send(&self, identifier: Identifier, octets: &[u8], waiter: Waiter) -> Option<Registration> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.as_ref().is_none_or(Connection::is_closed) {
            *connection = Some(Connection::open(self.address.clone()));
        }
        connection.as_ref()?.send(identifier, octets, waiter)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
