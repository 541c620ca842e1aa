//! RADIUS over a UNIX stream socket, as a KDC speaks it.

use std::{io, sync::Arc};

use krad::radius11::Version;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::{
    LiveSettings, Peer, RadiusService, UnixSocket,
    acceptor::{Accepted, Acceptor, Listen},
    connection::{Connection, next_number},
};

/// Serves RADIUS on a UNIX stream socket until `shutdown`, then stops listening, lets the requests in flight
/// finish within [`Settings::drain`](crate::Settings::drain), and closes the connections.
///
/// Connections are persistent and pipelined; replies leave as they are ready, and a connection stays open
/// after them. A packet that cannot be decoded or is not authentic is discarded alone; only a Length that no
/// packet can have ends the connection, because what follows it cannot be understood.
pub fn serve_unix<S: RadiusService>(
    socket: impl Into<UnixSocket>,
    name: impl Into<Arc<str>>,
    service: Arc<S>,
    settings: impl Into<LiveSettings>,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let socket: UnixSocket = socket.into();
    let name: Arc<str> = name.into();
    let acceptor = Acceptor::new(format!("unix {name}"), service, settings, shutdown);
    let serve = |accepted: Accepted<UnixStream>, service, settings, shutdown| async move {
        let (reader, writer) = accepted.stream.into_split();
        let connection = Connection::new(accepted.peer, Version::Historic, service, settings);
        connection.serve(reader, writer, shutdown).await;
    };
    acceptor.run(Named { socket, name }, serve)
}

struct Named {
    socket: UnixSocket,
    name: Arc<str>,
}

impl Listen for Named {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<Accepted<UnixStream>> {
        let stream = self.socket.accept().await?;
        let peer = Peer::Unix {
            listener: Arc::clone(&self.name),
            connection: next_number(),
        };
        Ok(Accepted { stream, peer })
    }
}
