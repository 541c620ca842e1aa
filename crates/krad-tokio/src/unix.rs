//! RADIUS over a UNIX stream socket, as a KDC speaks it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Discard, Peer, RadiusService, Settings, UnixSocket, connection::Connection, exchange::discard};

/// Serves RADIUS on a UNIX stream socket until `shutdown`, then stops listening, lets the requests in flight
/// finish within [`Settings::drain`], and closes the connections.
///
/// Connections are persistent and pipelined; replies leave as they are ready, and a connection stays open
/// after them. A packet that cannot be decoded or is not authentic is discarded alone; only a Length that no
/// packet can have ends the connection, because what follows it cannot be understood.
pub fn serve_unix<S: RadiusService>(
    socket: impl Into<UnixSocket>,
    name: impl Into<Arc<str>>,
    service: Arc<S>,
    settings: Settings,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let socket: UnixSocket = socket.into();
    let listener: Arc<str> = name.into();
    async move {
        let settings = Arc::new(settings);
        let mut connections = JoinSet::new();
        let accepting = accept(
            &socket,
            &listener,
            &service,
            &settings,
            &shutdown,
            &mut connections,
        );
        shutdown.run_until_cancelled(accepting).await;
        // A KDC that connects now learns at once that nobody listens.
        drop(socket);
        let finished = timeout(settings.drain, async {
            while connections.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!(%listener, connections = connections.len(), "connections did not finish before the end");
            connections.shutdown().await;
        }
    }
}

/// Number of the next connection to any UNIX socket of this process.
static ACCEPTED: AtomicU64 = AtomicU64::new(1);

/// Accepts for ever. It holds nothing across an await that would be lost when it is dropped.
async fn accept<S: RadiusService>(
    socket: &UnixSocket,
    listener: &Arc<str>,
    service: &Arc<S>,
    settings: &Arc<Settings>,
    shutdown: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    loop {
        let (reader, writer) = match socket.accept().await {
            Ok(stream) => stream.into_split(),
            Err(error) => {
                // Most likely no file descriptor is left: wait for connections to end.
                tracing::warn!(%listener, %error, "accepting a connection failed");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let connection = ACCEPTED.fetch_add(1, Ordering::Relaxed);
        let peer = Peer::Unix {
            listener: Arc::clone(listener),
            connection,
        };
        if connections.len() >= settings.connections {
            discard(&**service, &peer, None, Discard::TooManyConnections);
            continue;
        }
        let connection = Connection::new(peer, Arc::clone(service), Arc::clone(settings));
        connections.spawn(connection.serve(reader, writer, shutdown.clone()));
    }
}
