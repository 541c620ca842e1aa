//! Where the daemon listens: looked at, bound, served.

use std::{
    fmt::Write as _,
    fs::{self, Permissions},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{SocketAddr as UnixAddress, UnixStream},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use krad_tokio::{
    LiveSettings, RadiusService, Settings, UnixSocket, bind_udp, bind_unix, serve_udp, serve_unix,
};
use tokio::{net::UdpSocket, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{Config, Transport},
    radius::KDC_CLIENT,
};

/// How long requests in flight may take once the daemon is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A bound socket that is not served yet.
enum Bound {
    Unix(UnixSocket),
    Udp(UdpSocket),
}

impl Bound {
    /// Where clients reach it, with the port that was chosen for port 0.
    fn place(&self, transport: &Transport) -> String {
        match self {
            Self::Udp(socket) => match socket.local_addr() {
                Ok(address) => format!("udp://{address}"),
                Err(_) => transport.to_string(),
            },
            Self::Unix(_) => transport.to_string(),
        }
    }

    fn udp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// Bound sockets, before they are served.
pub(crate) struct Listeners(Vec<(Transport, Bound)>);

impl Listeners {
    /// Binds everything, or nothing and says which listener could not be had.
    pub(crate) fn bind(config: &Config) -> anyhow::Result<Self> {
        Self::bind_all(&config.listen, config)
    }

    fn bind_all(transports: &[Transport], config: &Config) -> anyhow::Result<Self> {
        let bound = transports
            .iter()
            .map(|transport| Ok((transport.clone(), bind(transport, config)?)));
        bound.collect::<anyhow::Result<_>>().map(Self)
    }

    fn announce(&self) {
        for (transport, bound) in &self.0 {
            info!("listening on {}", bound.place(transport));
        }
    }

    /// The addresses of the UDP sockets, with the ports that were chosen for port 0.
    pub(crate) fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.0
            .iter()
            .filter_map(|(_, bound)| bound.udp_address())
            .collect()
    }

    /// Serves all of them.
    pub(crate) fn serve<S: RadiusService>(self, service: Arc<S>, config: &Config) -> Serving<S> {
        let mut serving = Serving {
            service,
            settings: settings(config).into(),
            listeners: Vec::new(),
            servers: JoinSet::new(),
        };
        serving.begin(self);
        serving
    }
}

/// Listeners that are served.
pub(crate) struct Serving<S> {
    service: Arc<S>,
    settings: LiveSettings,
    listeners: Vec<(Transport, CancellationToken)>,
    servers: JoinSet<()>,
}

impl<S: RadiusService> Serving<S> {
    fn begin(&mut self, listeners: Listeners) {
        listeners.announce();
        for (transport, bound) in listeners.0 {
            let stop = CancellationToken::new();
            let (service, settings) = (Arc::clone(&self.service), self.settings.clone());
            match bound {
                Bound::Unix(socket) => {
                    let server = serve_unix(socket, KDC_CLIENT, service, settings, stop.clone());
                    self.servers.spawn(server);
                }
                Bound::Udp(socket) => {
                    self.servers
                        .spawn(serve_udp(socket, service, settings, stop.clone()));
                }
            }
            self.listeners.push((transport, stop));
        }
    }

    /// Where it listens, as it was configured.
    pub(crate) fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.listeners.iter().map(|(transport, _)| transport)
    }

    /// Binds what `config` has and nobody serves here yet. Nothing is served by that, and dropping it undoes it.
    pub(crate) fn bind_new(&self, config: &Config) -> anyhow::Result<Listeners> {
        let served: Vec<_> = self.transports().collect();
        let new: Vec<_> = config
            .listen
            .iter()
            .filter(|transport| !served.contains(transport))
            .cloned()
            .collect();
        Listeners::bind_all(&new, config)
    }

    /// Serves `new` ones, too, and no longer those that `config` does not have: these finish what is in flight. The others
    /// keep their sockets and connections. Everything that happens from now on happens as `config` says.
    pub(crate) fn change(&mut self, new: Listeners, config: &Config) {
        self.settings.set(settings(config));
        self.begin(new);
        let (kept, dropped): (Vec<_>, Vec<_>) = std::mem::take(&mut self.listeners)
            .into_iter()
            .partition(|(transport, _)| config.listen.contains(transport));
        self.listeners = kept;
        for (transport, stop) in dropped {
            info!("no longer listening on {transport}");
            stop.cancel();
        }
        for transport in self.transports() {
            set_mode(transport, config);
        }
    }

    /// Waits until a listener ends that nobody stopped. To be dropped and called again at will.
    ///
    /// # Errors
    ///
    /// Always: a listener that ends by itself takes the others with it, and a supervisor restarts all of it.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.servers.join_next().await {
                Some(Err(panic)) => return anyhow::Error::new(panic).context("a listener failed"),
                // One of those that were dropped.
                Some(Ok(())) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Stops listening, and waits until the requests in flight are answered.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        for (_, stop) in &self.listeners {
            stop.cancel();
        }
        let mut outcome = Ok(());
        while let Some(ended) = self.servers.join_next().await {
            outcome = outcome.and(ended.context("a listener failed"));
        }
        outcome
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        deadline: config.deadline_ms.duration(),
        drain: DRAIN,
        ..Settings::default()
    }
}

fn bind(transport: &Transport, config: &Config) -> anyhow::Result<Bound> {
    let bound = match transport {
        Transport::Unix(path) => make_parent(path)
            .and_then(|()| bind_unix(path, config.socket_mode.0))
            .map(Bound::Unix),
        Transport::Udp(address) => bind_udp_or_ipv4(*address).map(Bound::Udp),
    };
    bound
        .map_err(|error| explained(error, transport))
        .with_context(|| format!("cannot listen on {transport}"))
}

/// The permissions of a socket that stays.
fn set_mode(transport: &Transport, config: &Config) {
    let Transport::Unix(path) = transport else { return };
    let mode = Permissions::from_mode(config.socket_mode.0);
    if let Err(error) = fs::set_permissions(path, mode) {
        warn!(path = %path.display(), %error, "the permissions of the socket cannot be changed");
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
pub(crate) fn make_parent(path: &Path) -> io::Result<()> {
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
