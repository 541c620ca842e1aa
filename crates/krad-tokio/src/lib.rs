#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod client;
mod connection;
mod discard;
pub mod duplicates;
mod exchange;
mod peer;
mod service;
mod settings;
mod udp;
mod unix;
mod unix_socket;

pub use connection::serve_stream;
pub use discard::Discard;
pub use peer::Peer;
pub use service::{AccessRequest, Answer, ClientTerms, RadiusService};
pub use settings::Settings;
pub use udp::{DatagramSocket, serve_udp};
pub use unix::serve_unix;
pub use unix_socket::{DEFAULT_SOCKET_MODE, UnixSocket, bind_unix};
