//! What stands against listening somewhere, for `--check` and for messages.

use std::{
    fmt::Write as _,
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::{
        fs::FileTypeExt as _,
        net::{SocketAddr as UnixAddress, UnixStream},
    },
    path::Path,
};

use crate::transport::Transport;

/// What stands against listening somewhere: nothing is made, and nothing that listens is disturbed.
pub(crate) fn probe(transport: &Transport) -> Result<Availability, anyhow::Error> {
    let probed = match transport {
        Transport::Unix(path) => probe_unix(path),
        Transport::Udp(address) => probe_ip(*address, |address| std::net::UdpSocket::bind(address).map(drop)),
        Transport::Tcp(address) | Transport::Tls(address) => {
            probe_ip(*address, |address| std::net::TcpListener::bind(address).map(drop))
        }
        Transport::Systemd { .. } => return Ok(Availability::Passed),
    };
    match probed {
        Ok(()) => Ok(Availability::Free),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(Availability::InUse),
        Err(error) => {
            Err(anyhow::Error::from(explained(error, transport))
                .context(format!("cannot listen on {transport}")))
        }
    }
}

/// Whether a listener can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// It can.
    Free,
    /// A process listens there already: the daemon, if it runs.
    InUse,
    /// It comes from systemd when the daemon starts.
    Passed,
}

fn probe_unix(path: &Path) -> io::Result<()> {
    let address = UnixAddress::from_pathname(path)?;
    if let Some(directory) = path.ancestors().skip(1).find(|ancestor| ancestor.exists())
        && !directory.is_dir()
    {
        let message = format!("{} is not a directory", directory.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
    }
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !metadata.file_type().is_socket() {
        let message = format!("{} exists and is not a socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match UnixStream::connect_addr(&address) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        // Left behind by a daemon that was killed; the next one replaces it.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

fn probe_ip(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
    or_ipv4(address, bind)
}

/// Binds `address`; all addresses of a machine without IPv6 are its IPv4 addresses.
pub(crate) fn or_ipv4<T>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// The error with what to do about it, where its text alone leaves an administrator to search.
pub(crate) fn explained(error: io::Error, transport: &Transport) -> io::Error {
    let remedy = match (error.kind(), transport) {
        (io::ErrorKind::AddrInUse, Transport::Udp(address)) => in_use("-lunp", *address),
        (io::ErrorKind::AddrInUse, Transport::Tcp(address) | Transport::Tls(address)) => {
            in_use("-ltnp", *address)
        }
        (io::ErrorKind::AddrNotAvailable, _) if transport.address().is_some() => {
            "no interface of this machine has this address; `ip address` shows them".to_owned()
        }
        (io::ErrorKind::PermissionDenied, Transport::Unix(path)) => format!(
            "this user may not make {}; start as root, let systemd make the directory (RuntimeDirectory=), or listen elsewhere",
            path.display()
        ),
        (io::ErrorKind::PermissionDenied, _) => {
            "this user may not have a port below 1024; take another one, or let systemd bind it (systemd:NAME)"
                .to_owned()
        }
        (io::ErrorKind::InvalidInput, Transport::Unix(_)) => {
            "the path of a socket has at most 107 octets".to_owned()
        }
        _ => return error,
    };
    let mut text = error.to_string();
    // Writing to a string cannot fail.
    let _ = write!(text, ": {remedy}");
    io::Error::new(error.kind(), text)
}

fn in_use(options: &str, address: SocketAddr) -> String {
    let port = address.port();
    format!(
        "another program has this port, or another listener: `[::]` has the IPv4 addresses too. `ss {options} 'sport = :{port}'` names it"
    )
}
