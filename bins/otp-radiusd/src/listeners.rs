//! Where the daemon listens: looked at, bound, served.

use std::{
    fmt::Write as _,
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::{
        fs::FileTypeExt as _,
        net::{SocketAddr as UnixAddress, UnixStream},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use krad_tokio::{RadiusService, Settings, UnixSocket, bind_udp, bind_unix, serve_udp, serve_unix};
use tokio::{net::UdpSocket, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    config::{Config, Transport},
    radius::KDC_CLIENT,
};

/// How long requests in flight may take once the daemon is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Bound sockets, before they are served.
pub(crate) struct Listeners {
    unix: Vec<UnixSocket>,
    udp: Vec<UdpSocket>,
}

impl Listeners {
    /// Binds everything, or nothing and says which listener could not be had.
    pub(crate) async fn bind(config: &Config) -> anyhow::Result<Self> {
        let mut listeners = Self {
            unix: Vec::new(),
            udp: Vec::new(),
        };
        for transport in &config.listen {
            let bound = match transport {
                Transport::Unix(path) => make_parent(path)
                    .and_then(|()| bind_unix(path, config.socket_mode.0))
                    .map(|socket| listeners.unix.push(socket)),
                Transport::Udp(address) => {
                    bind_udp_or_ipv4(*address).map(|socket| listeners.udp.push(socket))
                }
            };
            bound
                .map_err(|error| explained(error, transport))
                .with_context(|| format!("cannot listen on {transport}"))?;
        }
        Ok(listeners)
    }

    pub(crate) fn announce(&self) {
        for path in self.unix.iter().filter_map(UnixSocket::path) {
            info!("listening on unix:{}", path.display());
        }
        for address in self.udp_addresses() {
            info!("listening on udp://{address}");
        }
    }

    /// The addresses of the UDP sockets, with the ports that were chosen for port 0.
    pub(crate) fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.udp
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// Serves all of them until `shutdown`, then lets requests in flight finish.
    pub(crate) async fn serve<S: RadiusService>(
        self,
        service: Arc<S>,
        config: &Config,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let settings = Settings {
            deadline: config.deadline_ms.duration(),
            drain: DRAIN,
            ..Settings::default()
        };
        let mut servers = JoinSet::new();
        for socket in self.unix {
            servers.spawn(serve_unix(
                socket,
                KDC_CLIENT,
                Arc::clone(&service),
                settings.clone(),
                shutdown.clone(),
            ));
        }
        for socket in self.udp {
            servers.spawn(serve_udp(
                socket,
                Arc::clone(&service),
                settings.clone(),
                shutdown.clone(),
            ));
        }
        while let Some(ended) = servers.join_next().await {
            // A listener that ends by itself takes the others with it: a supervisor restarts all of it.
            shutdown.cancel();
            ended.context("a listener failed")?;
        }
        Ok(())
    }
}

/// What stands against listening somewhere, for `--check`: nothing is made, and nothing that listens is disturbed.
pub(crate) fn probe(transport: &Transport) -> Result<Availability, anyhow::Error> {
    let probed = match transport {
        Transport::Unix(path) => probe_unix(path),
        Transport::Udp(address) => probe_udp(*address),
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

fn probe_udp(address: SocketAddr) -> io::Result<()> {
    match std::net::UdpSocket::bind(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port())).map(drop)
        }
        bound => bound.map(drop),
    }
}

/// The error with what to do about it, where its text alone leaves an administrator to search.
fn explained(error: io::Error, transport: &Transport) -> io::Error {
    let remedy = match (error.kind(), transport) {
        (io::ErrorKind::AddrInUse, Transport::Udp(address)) => format!(
            "another program has this port; `ss -lunp 'sport = :{}'` names it",
            address.port()
        ),
        (io::ErrorKind::AddrNotAvailable, Transport::Udp(_)) => {
            "no interface of this machine has this address; `ip address` shows them".to_owned()
        }
        (io::ErrorKind::PermissionDenied, Transport::Unix(path)) => format!(
            "this user may not make {}; start as root, let systemd make the directory (RuntimeDirectory=), or listen elsewhere",
            path.display()
        ),
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

/// Makes the directory of a socket, as `/run` is empty after every boot.
fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.exists() => fs::create_dir_all(parent),
        _ => Ok(()),
    }
}

/// Binds `address`; all addresses of a machine without IPv6 are its IPv4 addresses.
fn bind_udp_or_ipv4(address: SocketAddr) -> io::Result<UdpSocket> {
    match bind_udp(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            bind_udp((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}
