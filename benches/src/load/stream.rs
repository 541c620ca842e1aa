//! Connections: a UNIX socket, TCP, TLS.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

use super::Options;

/// The server's name in its certificate.
const SERVER: &str = "localhost";

/// An open connection.
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether octets wait that were written already.
    pub(super) fn holds_back(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.conn.wants_write())
    }

    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(true),
            Self::Tcp(stream) => stream.set_nonblocking(true),
            Self::Tls(stream) => stream.sock.set_nonblocking(true),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.sock.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(octets),
            Self::Tcp(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

pub(super) fn tcp(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What a client of TLS has.
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads `ca.pem`, `client.pem` and `client.key`.
    pub(super) fn read(options: &Options) -> anyhow::Result<Self> {
        let directory = options
            .certificates
            .as_deref()
            .context("a target on TLS needs --certificates")?;
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(&directory.join("ca.pem"))? {
            authorities.add(certificate)?;
        }
        let key = directory.join("client.key");
        let key = PrivateKeyDer::from_pem_file(&key).with_context(|| key.display().to_string())?;
        let config = ClientConfig::builder()
            .with_root_certificates(authorities)
            .with_client_auth_cert(certificates(&directory.join("client.pem"))?, key)?;
        Ok(Self(Arc::new(config)))
    }

    /// Connects, and shakes hands.
    pub(super) fn connect(&self, address: SocketAddr) -> anyhow::Result<Stream> {
        let client = ClientConnection::new(Arc::clone(&self.0), ServerName::try_from(SERVER)?)?;
        let mut stream = StreamOwned::new(client, tcp(address)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Stream::Tls(Box::new(stream)))
    }
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .with_context(|| file.display().to_string())
}
