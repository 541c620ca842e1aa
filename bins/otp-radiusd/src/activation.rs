//! Sockets that systemd has bound before it started the daemon (sd_listen_fds(3)).

use std::{
    env, io,
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixListener,
};

use anyhow::Context as _;
use listenfd::ListenFd;

/// The sockets that were passed, by name.
#[derive(Debug, Default)]
pub(crate) struct Passed(Vec<(String, PassedSocket)>);

/// A socket that was passed.
#[derive(Debug)]
pub(crate) enum PassedSocket {
    Unix(UnixListener),
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Passed {
    /// Takes over the sockets that the environment tells of, and removes what it says. Called before there are threads.
    ///
    /// # Errors
    ///
    /// If one of them is neither a stream socket of a UNIX domain, nor of TCP or UDP.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        let mut names = names.split(':');
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or(UNNAMED);
            let socket = classified(&mut passed, index)
                .with_context(|| format!("the socket {name:?} from systemd cannot be used"))?;
            sockets.push((name.to_owned(), socket));
        }
        Ok(Self(sockets))
    }

    /// All sockets of this name, which are gone from here then.
    pub(crate) fn named(&mut self, wanted: &str) -> Vec<PassedSocket> {
        let is_wanted = |(name, _): &mut (String, PassedSocket)| name == wanted;
        let found = self.0.extract_if(.., is_wanted);
        found.map(|(_, socket)| socket).collect()
    }

    /// The names of those that are left.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Finds out what a socket is by taking it for one thing after the other; a wrong one is left where it is.
fn classified(passed: &mut ListenFd, index: usize) -> io::Result<PassedSocket> {
    if let Ok(Some(socket)) = passed.take_unix_listener(index) {
        return Ok(PassedSocket::Unix(socket));
    }
    if let Ok(Some(socket)) = passed.take_udp_socket(index) {
        return Ok(PassedSocket::Udp(socket));
    }
    let socket = passed.take_tcp_listener(index)?.map(PassedSocket::Tcp);
    socket.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// What sd_listen_fds_with_names(3) calls a socket without a name.
const UNNAMED: &str = "unknown";
