//! Where the daemon listens: bound, served, changed.

use std::{
    fs::{self, Permissions},
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};

use anyhow::{Context as _, bail};
use krad_tokio::{
    LiveSettings, RadiusService, Settings, TlsTerms, UdpListener, UnixSocket, bind_tcp, bind_udp, bind_unix,
    serve_tcp, serve_tls, serve_udp, serve_unix,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    activation::{Passed, PassedSocket},
    clients::KDC_CLIENT,
    config::Config,
    probe::{explained, or_ipv4},
    transport::Transport,
};

/// How long requests in flight may take once the daemon is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A bound listener that is not served yet.
enum Bound {
    Unix(UnixSocket),
    /// Sockets of one address.
    Udp(Vec<UdpListener>),
    Tcp(TcpListener),
    Tls(TcpListener),
}

impl Bound {
    /// Where clients reach it, with the port that was chosen for port 0.
    fn place(&self, transport: &Transport) -> String {
        let scheme = match self {
            Self::Unix(_) => return transport.to_string(),
            Self::Udp(_) => "udp",
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
        };
        match self.address() {
            Some(address) => format!("{scheme}://{address}"),
            None => transport.to_string(),
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(sockets) => sockets.first()?.local_addr().ok(),
            Self::Tcp(socket) | Self::Tls(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// Bound sockets, before they are served.
pub(crate) struct Listeners {
    bound: Vec<(Transport, Bound)>,
    /// On what terms TLS is spoken, if a listener speaks it.
    tls: Option<TlsTerms>,
}

impl Listeners {
    /// Binds everything, or nothing and says which listener could not be had. `passed` is what systemd has bound.
    pub(crate) fn bind(config: &Config, passed: Passed) -> anyhow::Result<Self> {
        raise_descriptor_limit();
        Self::bind_all(&config.listen, config, passed)
    }

    fn bind_all(transports: &[Transport], config: &Config, mut passed: Passed) -> anyhow::Result<Self> {
        let tls = config.tls_terms()?;
        let mut bound = Vec::new();
        for transport in transports {
            let listeners = match transport {
                Transport::Systemd { name, tls } => adopted(&mut passed, name, *tls)?,
                _ => bind(transport, config)
                    .map_err(|error| explained(error, transport))
                    .with_context(|| format!("cannot listen on {transport}"))?
                    .into_iter()
                    .collect(),
            };
            bound.extend(listeners.into_iter().map(|bound| (transport.clone(), bound)));
        }
        for name in passed.names() {
            warn!(
                "systemd passes a socket {name:?} that no listener has; add \"systemd:{name}\" to `listen`"
            );
        }
        Ok(Self { bound, tls })
    }

    fn announce(&self) {
        for (transport, bound) in &self.bound {
            info!("listening on {}", bound.place(transport));
        }
    }

    /// The addresses of the UDP sockets, with the ports that were chosen for port 0.
    pub(crate) fn udp_addresses(&self) -> Vec<SocketAddr> {
        let udp = self.bound.iter().map(|(_, bound)| bound);
        udp.filter(|bound| matches!(bound, Bound::Udp(_)))
            .filter_map(Bound::address)
            .collect()
    }

    /// Serves all of them.
    pub(crate) fn serve<S: RadiusService>(self, service: Arc<S>, config: &Config) -> Serving<S> {
        let mut serving = Serving {
            service,
            settings: settings(config).into(),
            tls: None,
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
    tls: Option<Arc<TlsTerms>>,
    listeners: Vec<(Transport, CancellationToken)>,
    servers: JoinSet<()>,
}

impl<S: RadiusService> Serving<S> {
    fn begin(&mut self, listeners: Listeners) {
        listeners.announce();
        match (&self.tls, listeners.tls) {
            (Some(current), Some(new)) => current.replace(&new),
            (None, Some(new)) => self.tls = Some(Arc::new(new)),
            (_, None) => {}
        }
        for (transport, bound) in listeners.bound {
            let stop = CancellationToken::new();
            self.spawn(bound, &stop);
            self.listeners.push((transport, stop));
        }
    }

    fn spawn(&mut self, bound: Bound, stop: &CancellationToken) {
        let (service, settings) = (Arc::clone(&self.service), self.settings.clone());
        let (servers, stop) = (&mut self.servers, stop.clone());
        match (bound, &self.tls) {
            (Bound::Unix(socket), _) => {
                servers.spawn(serve_unix(socket, KDC_CLIENT, service, settings, stop));
            }
            (Bound::Udp(sockets), _) => {
                for socket in sockets {
                    let (service, settings) = (Arc::clone(&service), settings.clone());
                    servers.spawn(serve_udp(socket, service, settings, stop.clone()));
                }
            }
            (Bound::Tcp(socket), _) => {
                servers.spawn(serve_tcp(socket, service, settings, stop));
            }
            (Bound::Tls(socket), Some(terms)) => {
                servers.spawn(serve_tls(socket, Arc::clone(terms), service, settings, stop));
            }
            // Whoever binds a listener that speaks TLS has read its terms.
            (Bound::Tls(_), None) => {}
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
        Listeners::bind_all(&new, config, Passed::default())
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

/// The limits of each listener.
fn settings(config: &Config) -> Settings {
    Settings {
        deadline: config.deadline_ms.duration(),
        drain: DRAIN,
        connections: usize::from(config.limits.connections.get()),
        connections_per_source: usize::from(config.limits.connections_per_address.get()),
        idle: config.limits.idle_s.duration(),
        ..Settings::default()
    }
}

/// Binds a listener; one from systemd is bound already.
fn bind(transport: &Transport, config: &Config) -> io::Result<Option<Bound>> {
    Ok(Some(match transport {
        Transport::Unix(path) => {
            make_parent(path)?;
            Bound::Unix(bind_unix(path, config.socket_mode.0)?)
        }
        Transport::Udp(address) => {
            let sockets = match config.udp_sockets {
                Some(sockets) => sockets.get(),
                None => available_parallelism().map_or(1, usize::from),
            };
            Bound::Udp(or_ipv4(*address, |address| bind_udp(address, sockets))?)
        }
        Transport::Tcp(address) => Bound::Tcp(or_ipv4(*address, bind_tcp)?),
        Transport::Tls(address) => Bound::Tls(or_ipv4(*address, bind_tcp)?),
        Transport::Systemd { .. } => return Ok(None),
    }))
}

/// The permissions of a socket that stays.
fn set_mode(transport: &Transport, config: &Config) {
    let Transport::Unix(path) = transport else { return };
    let mode = Permissions::from_mode(config.socket_mode.0);
    if let Err(error) = fs::set_permissions(path, mode) {
        warn!(path = %path.display(), %error, "the permissions of the socket cannot be changed");
    }
}

/// Makes the directory of a socket, as `/run` is empty after every boot.
pub(crate) fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.exists() => fs::create_dir_all(parent),
        _ => Ok(()),
    }
}

/// The sockets of this name that systemd has bound.
fn adopted(passed: &mut Passed, name: &str, tls: bool) -> anyhow::Result<Vec<Bound>> {
    let found = passed.named(name);
    if found.is_empty() {
        let others = passed.names().collect::<Vec<_>>().join(", ");
        bail!(
            "systemd passes no socket {name:?} (others: {}); start the daemon through its .socket unit, whose FileDescriptorName= \
             is the name, or listen on an address",
            if others.is_empty() { "none" } else { &others }
        );
    }
    found
        .into_iter()
        .map(|socket| adopt(socket, tls).with_context(|| format!("cannot listen on systemd's {name:?}")))
        .collect()
}

fn adopt(socket: PassedSocket, tls: bool) -> anyhow::Result<Bound> {
    Ok(match socket {
        PassedSocket::Tcp(socket) => {
            socket.set_nonblocking(true)?;
            let socket = TcpListener::from_std(socket)?;
            if tls {
                Bound::Tls(socket)
            } else {
                Bound::Tcp(socket)
            }
        }
        _ if tls => bail!("TLS is spoken on TCP sockets alone (ListenStream= with a port)"),
        PassedSocket::Unix(socket) => {
            socket.set_nonblocking(true)?;
            Bound::Unix(UnixListener::from_std(socket)?.into())
        }
        PassedSocket::Udp(socket) => Bound::Udp(vec![UdpListener::from_std(socket)?]),
    })
}

/// Lets the daemon have as many files open as it may: each connection is one, and the usual limit of 1,024 is for programs
/// that use select(2).
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    match raised {
        Ok(limit) => debug!(limit, "open files"),
        Err(error) => debug!(%error, "the limit of open files stays as it is"),
    }
}
