//! What tools of this machine can ask without changing anything: metrics, and whether the daemon is alive and ready.

use std::{
    fmt,
    net::SocketAddr,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use krad_tokio::{UnixSocket, bind_tcp, bind_unix};
use otp_service::Service;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

use crate::{
    exposition,
    http::{Method, Response, Routes, Server, Status},
    listeners::make_parent,
    metrics::Metrics,
    radius::Radius,
};

/// The table `[metrics]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Where metrics can be had, beside the socket of administration; nowhere unless set.
    pub listen: Option<MetricsAddress>,
}

/// A place for metrics: on this machine, because nobody is asked who they are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MetricsAddress {
    /// An address of loopback.
    Tcp(SocketAddr),
    /// A UNIX stream socket that the daemon's group may use.
    Unix(std::path::PathBuf),
}

/// Text that is no place for metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricsAddressError {
    /// It is no address at all.
    #[error(
        "{0:?} is no place for metrics; write \"127.0.0.1:9812\" or \"unix:/run/otp-radiusd/metrics.socket\""
    )]
    Malformed(String),
    /// An address that others can reach.
    #[error(
        "{0} is no address of loopback, and metrics are shown to whoever asks; write \"127.0.0.1:9812\", and let a proxy with \
         authentication show them to other machines"
    )]
    Public(SocketAddr),
}

impl FromStr for MetricsAddress {
    type Err = MetricsAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(path.into()));
        }
        let address: SocketAddr = text
            .parse()
            .map_err(|_| MetricsAddressError::Malformed(text.to_owned()))?;
        match address.ip().to_canonical().is_loopback() {
            true => Ok(Self::Tcp(address)),
            false => Err(MetricsAddressError::Public(address)),
        }
    }
}

impl TryFrom<String> for MetricsAddress {
    type Error = MetricsAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether the store gives signs of life.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_silent: AtomicBool,
}

impl Health {
    pub(crate) fn set_alive(&self, is_alive: bool) {
        self.is_silent.store(!is_alive, Relaxed);
    }
}

/// Answers `/metrics`, `/livez` and `/readyz`. Clones answer the same.
#[derive(Clone)]
pub(crate) struct Endpoints {
    pub(crate) radius: Arc<Radius<Arc<Metrics>>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) shutdown: CancellationToken,
}

impl Endpoints {
    pub(crate) fn service(&self) -> &Service {
        self.radius.service()
    }

    /// Why no request should be sent here; `None` if it is ready for them.
    fn unready(&self) -> Option<&'static str> {
        if self.shutdown.is_cancelled() {
            Some("stopping")
        } else if !self.service().is_available() {
            Some("the store does not commit: nobody is accepted until it does")
        } else if self.health.is_silent.load(Relaxed) {
            Some("the store gives no sign of life")
        } else {
            None
        }
    }
}

impl Routes for Endpoints {
    async fn answer(&self, method: Method, path: &str) -> Option<Response> {
        let response = match path {
            "/metrics" => Response {
                status: Status::Ok,
                content_type: exposition::CONTENT_TYPE,
                body: self.metrics.expose(&self.radius),
            },
            "/upstreams" => Response {
                status: Status::Ok,
                content_type: "application/json",
                body: format!("{}\n", self.radius.upstreams().describe()),
            },
            // Whoever answers is alive.
            "/livez" => Response::text(Status::Ok, "ok"),
            "/readyz" => match self.unready() {
                None => Response::text(Status::Ok, "ok"),
                Some(why) => Response::text(Status::ServiceUnavailable, why),
            },
            _ => return None,
        };
        Some(match method {
            Method::Get => response,
            Method::Post => Response::text(Status::MethodNotAllowed, "GET, please"),
        })
    }
}

/// A bound place for metrics.
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// The daemon's group may ask: nothing in there is secret, but it is nobody else's business.
const MODE: u32 = 0o660;

/// Binds the place that `[metrics]` names, if it does.
pub(crate) fn bind(address: &MetricsAddress) -> anyhow::Result<Socket> {
    let bound = match address {
        MetricsAddress::Tcp(address) => bind_tcp(*address).map(Socket::Tcp),
        MetricsAddress::Unix(path) => make_parent(path)
            .and_then(|()| bind_unix(path, MODE))
            .map(Socket::Unix),
    };
    bound.with_context(|| format!("cannot show metrics at {address}"))
}

/// Answers until what is returned is dropped.
pub(crate) fn spawn(socket: Socket, endpoints: &Endpoints) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(serve(socket, endpoints.clone())))
}

async fn serve(socket: Socket, endpoints: Endpoints) {
    match &socket {
        Socket::Tcp(listener) => {
            if let Ok(address) = listener.local_addr() {
                info!("metrics at http://{address}/metrics");
            }
        }
        Socket::Unix(socket) => {
            if let Some(path) = socket.path() {
                info!("metrics at unix:{}", path.display());
            }
        }
    }
    let server = Server::new();
    loop {
        let accepted = match &socket {
            Socket::Tcp(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| server.serve(stream, endpoints.clone())),
            Socket::Unix(socket) => socket
                .accept()
                .await
                .map(|stream| server.serve(stream, endpoints.clone())),
        };
        if let Err(error) = accepted {
            warn!(%error, "the listener for metrics accepts no connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_stay_on_this_machine() {
        for text in [
            "127.0.0.1:9812",
            "[::1]:9812",
            "127.7.7.7:0",
            "unix:/run/otp-radiusd/metrics.socket",
        ] {
            assert_eq!(text.parse::<MetricsAddress>().unwrap().to_string(), text);
        }
        for (text, part) in [
            ("0.0.0.0:9812", "loopback"),
            ("[::]:9812", "loopback"),
            ("192.0.2.1:9812", "loopback"),
            ("localhost:9812", "127.0.0.1:9812"),
            ("unix:metrics.socket", "unix:/run/"),
            ("9812", "127.0.0.1:9812"),
        ] {
            let refused = text.parse::<MetricsAddress>().unwrap_err().to_string();
            assert!(refused.contains(part), "{refused}");
        }
    }
}
