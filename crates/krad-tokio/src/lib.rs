#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! | item | purpose |
//! | --- | --- |
//! | [`RadiusService`] | what the application supplies |
//! | [`AccessRequest`], [`Answer`], [`ClientTerms`], [`Peer`] | what it is given, and what it gives back |
//! | [`Discard`] | why a packet got no reply |
//! | [`serve_udp`], [`serve_unix`], [`serve_tcp`], [`serve_tls`], [`serve_stream`] | the listeners; [`Settings`] has their limits and times, [`LiveSettings`] changes them on the way |
//! | [`TlsFiles`], [`TlsTerms`] | certificates, authorities and versions of a TLS listener, which can be replaced while it serves |
//! | [`ClientCertificate`], [`Fingerprint`] | what a TLS client proved to be |
//! | [`client::Client`], [`client::Server`] | asking servers, with fall-over, as a KDC does |
//! | [`pool::Pool`] | asking servers as a proxy does: health by Status-Server, UDP, TCP, TLS, the caller's deadline |
//! | [`bind_udp`], [`UdpListener`] | UDP sockets that share an address, and answer from the one that was asked |
//! | [`DatagramSocket`], [`Batch`], [`Outgoing`] | what carries datagrams, many at a time |
//! | [`bind_tcp`] | a socket for TCP or TLS |
//! | [`bind_unix`], [`UnixSocket`] | a socket file that replaces a stale one and removes itself |
//! | [`duplicates`] | the table of duplicates, a pure data structure |
#![forbid(unsafe_code)]

mod acceptor;
pub mod client;
mod connection;
mod discard;
pub mod duplicates;
mod exchange;
mod peer;
pub mod pool;
mod service;
mod settings;
mod sync;
mod tasks;
mod tcp;
mod tls;
mod udp;
mod unix;
mod unix_socket;

pub use connection::serve_stream;
pub use discard::{Discard, HandshakeFailure};
pub use peer::Peer;
pub use service::{AccessRequest, Answer, ClientTerms, Proof, RadiusService};
pub use settings::{LiveSettings, Settings};
pub use tcp::{bind_tcp, serve_tcp};
pub use tls::{
    CertificateUnreadable, ClientCertificate, Fingerprint, FingerprintError, MinTls, TlsError, TlsFiles,
    TlsTerms, serve_tls,
};
pub use udp::{Batch, DatagramSocket, Outgoing, Route, UdpListener, bind_udp, serve_udp};
pub use unix::serve_unix;
pub use unix_socket::{DEFAULT_SOCKET_MODE, UnixSocket, bind_unix};
