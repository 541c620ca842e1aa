//! A server that accepts every authentic Access-Request without looking at it.
//!
//! What it costs is the floor under everything that answers through `krad-tokio`: sockets, packets, digests, and the table
//! of duplicates.

use std::sync::Arc;

use anyhow::Context as _;
use krad::SharedSecret;
use krad_tokio::{
    AccessRequest, Answer, ClientTerms, DEFAULT_SOCKET_MODE, Discard, Peer, RadiusService, Settings,
    bind_tcp, bind_udp, bind_unix, serve_tcp, serve_udp, serve_unix,
};
use tokio_util::sync::CancellationToken;

use crate::load::Target;

/// Serves `listen` until `shutdown`; `bound` is told where, when requests can come.
///
/// # Errors
///
/// If nobody can listen there.
pub async fn serve(
    listen: Target,
    secret: &str,
    bound: impl FnOnce(Target),
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let settings = Settings::default();
    match listen {
        Target::Udp(address) => {
            let mut sockets = bind_udp(address, 1).context("cannot listen")?;
            let socket = sockets.pop().context("there is no socket")?;
            bound(Target::Udp(socket.local_addr()?));
            let terms = ClientTerms::network(SharedSecret::new(secret.as_bytes()));
            serve_udp(socket, Arc::new(AcceptAll(terms)), settings, shutdown).await;
        }
        Target::Tcp(address) => {
            let socket = bind_tcp(address).context("cannot listen")?;
            bound(Target::Tcp(socket.local_addr()?));
            let terms = ClientTerms::network(SharedSecret::new(secret.as_bytes()));
            serve_tcp(socket, Arc::new(AcceptAll(terms)), settings, shutdown).await;
        }
        Target::Tls(_) => anyhow::bail!("it has no certificates: udp://, tcp:// or unix:"),
        Target::Unix(path) => {
            let socket = bind_unix(&path, DEFAULT_SOCKET_MODE).context("cannot listen")?;
            bound(Target::Unix(path));
            let service = Arc::new(AcceptAll(ClientTerms::kdc_socket()));
            serve_unix(socket, "load", service, settings, shutdown).await;
        }
    }
    Ok(())
}

struct AcceptAll(ClientTerms);

impl RadiusService for AcceptAll {
    type Client = ();

    async fn client(&self, _: &Peer) -> Option<(ClientTerms, Arc<()>)> {
        Some((self.0.clone(), Arc::new(())))
    }

    async fn respond(&self, _: AccessRequest, _: Arc<()>) -> Answer {
        Answer::accept()
    }

    fn discarded(&self, _: &Peer, _: Option<&()>, _: &Discard) {}
}
