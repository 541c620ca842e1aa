//! What all listeners for connections do: accept, refuse what is too much, serve, and at the end wait.

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Discard, LiveSettings, Peer, RadiusService,
    exchange::{discard, look_up},
    settings::after,
    tasks::Tasks,
};

/// A listener's service and limits.
pub(crate) struct Acceptor<S> {
    /// For logs.
    listener: String,
    service: Arc<S>,
    settings: LiveSettings,
    shutdown: CancellationToken,
}

/// A connection that has just come.
pub(crate) struct Accepted<T> {
    pub(crate) stream: T,
    pub(crate) peer: Peer,
}

/// Accepts one connection from a listening socket. Dropping the future loses none.
pub(crate) trait Listen: Send + Sync + 'static {
    /// A connection.
    type Stream: Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Accepted<Self::Stream>>> + Send;
}

impl<S: RadiusService> Acceptor<S> {
    pub(crate) fn new(
        listener: String,
        service: Arc<S>,
        settings: impl Into<LiveSettings>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            listener,
            service,
            settings: settings.into(),
            shutdown,
        }
    }

    /// Serves each connection to `socket` by `serve` until shutdown, then stops listening, and gives the connections
    /// [`Settings::drain`](crate::Settings::drain) to end.
    pub(crate) async fn run<L: Listen, F: Future<Output = ()> + Send + 'static>(
        self,
        socket: L,
        serve: impl Fn(Accepted<L::Stream>, Arc<S>, LiveSettings, CancellationToken) -> F + Send,
    ) {
        let mut connections = Tasks::default();
        let accepting = self.accept(&socket, &mut connections, serve);
        self.shutdown.run_until_cancelled(accepting).await;
        // Who connects now learns at once that nobody listens.
        drop(socket);
        let unfinished = connections.finish(self.settings.get().drain).await;
        if unfinished > 0 {
            let listener = &self.listener;
            tracing::warn!(%listener, connections = unfinished, "connections did not finish before the end");
        }
    }

    /// Accepts for ever. It holds nothing across an await that would be lost when it is dropped.
    async fn accept<L: Listen, F: Future<Output = ()> + Send + 'static>(
        &self,
        socket: &L,
        connections: &mut Tasks,
        serve: impl Fn(Accepted<L::Stream>, Arc<S>, LiveSettings, CancellationToken) -> F,
    ) {
        loop {
            let accepted = match socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most likely no file descriptor is left: wait for connections to end.
                    let listener = &self.listener;
                    tracing::warn!(%listener, %error, "accepting a connection failed");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (source, settings) = (accepted.peer.ip(), self.settings.get());
            if !connections.has_room(source, 0, settings.connection_limits()) {
                discard(&*self.service, &accepted.peer, None, Discard::TooManyConnections);
                continue;
            }
            let (service, settings) = (Arc::clone(&self.service), self.settings.clone());
            connections.spawn(
                source,
                0,
                serve(accepted, service, settings, self.shutdown.clone()),
            );
        }
    }
}

/// The client at `peer`; discards the connection for `unknown`, on behalf of `presumed`, if there is none.
pub(crate) async fn admit<S: RadiusService>(
    service: &S,
    peer: &Peer,
    settings: &LiveSettings,
    presumed: Option<&S::Client>,
    unknown: Discard,
) -> Option<Arc<S::Client>> {
    let deadline = after(Instant::now(), settings.glance().deadline);
    let cause = match look_up(service, peer, None, deadline).await {
        Ok((_, client)) => return Some(client),
        Err(Discard::UnknownClient) => unknown,
        Err(other) => other,
    };
    discard(service, peer, presumed, cause);
    None
}
