//! The daemon: store, listeners, and how it ends.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use krad_tokio::{RadiusService, Settings, UnixSocket, bind_unix, serve_udp, serve_unix};
use otp_service::{Service, SystemClock};
use otp_store::{ClientRecord, ClientSource, MessageAuthenticatorRule, Store};
use rand::{TryRng as _, rngs::SysRng};
use tokio::{net::UdpSocket, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    config::{Config, Transport},
    radius::{KDC_CLIENT, Radius},
    report::{LogReporter, Reporter},
    shutdown,
};

/// How long requests in flight may take once the daemon is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let store = Store::open(&config.paths())?;
    store
        .check()
        .context("the store does not take a write, so nothing could be accepted")?;
    warn_of_exemptions(&store)?;
    let shutdown = shutdown::on_signal()?;
    let radius = radius(store, LogReporter)?;
    let listeners = Listeners::bind(&config).await?;
    listeners.announce();
    let watch = tokio::spawn(watch_clock(radius.service().clone()));
    info!(state = %config.state_dir.display(), version = env!("CARGO_PKG_VERSION"), "ready");
    listeners.serve(Arc::clone(&radius), &config, shutdown).await?;
    watch.abort();
    radius.discards().summarise();
    info!("stopped");
    Ok(())
}

/// Notices a clock that is set back while nobody asks for anything.
async fn watch_clock(service: Service) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every_second.tick().await;
        if let Err(cause) = service.watch_clock().await {
            // Requests say so loudly.
            debug!(
                error = &cause as &dyn std::error::Error,
                "the clock cannot be watched"
            );
        }
    }
}

/// The RADIUS side of a validation service on `store`.
pub(crate) fn radius<R: Reporter>(store: Store, reporter: R) -> anyhow::Result<Arc<Radius<R>>> {
    let service = Service::new(store, Arc::new(SystemClock));
    let run = SysRng
        .try_next_u32()
        .context("the operating system gives no randomness")?;
    Ok(Arc::new(Radius::new(service, reporter, run)))
}

/// A weakened client is named at every start, so that nobody forgets it.
pub(crate) fn warn_of_exemptions(store: &Store) -> anyhow::Result<()> {
    for client in store.clients()?.iter().filter(|client| is_weakened(client)) {
        warn!(
            client = client.name,
            "this client may leave Message-Authenticator out: its answers can be forged on the way (CVE-2024-3596)"
        );
    }
    Ok(())
}

/// Whether a client on a network may leave Message-Authenticator out.
pub(crate) fn is_weakened(client: &ClientRecord) -> bool {
    client.source != ClientSource::Unix && client.message_authenticator == MessageAuthenticatorRule::IfPresent
}

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
            let context = || format!("cannot listen on {transport}");
            match transport {
                Transport::Unix(path) => {
                    make_parent(path).with_context(context)?;
                    listeners
                        .unix
                        .push(bind_unix(path, config.socket_mode.0).with_context(context)?);
                }
                Transport::Udp(address) => {
                    listeners
                        .udp
                        .push(bind_udp_or_ipv4(*address).await.with_context(context)?);
                }
            }
        }
        Ok(listeners)
    }

    fn announce(&self) {
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

/// Makes the directory of a socket, as `/run` is empty after every boot.
fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.exists() => fs::create_dir_all(parent),
        _ => Ok(()),
    }
}

/// Binds `address`; all addresses of a machine without IPv6 are its IPv4 addresses.
async fn bind_udp_or_ipv4(address: SocketAddr) -> io::Result<UdpSocket> {
    match UdpSocket::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}
