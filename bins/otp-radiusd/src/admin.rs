//! The socket of administration: HTTP on a UNIX socket that belongs to root and to the daemon's user.
//!
//! Not a signal: whoever asks for something is told what became of it. Metrics can be had here, too.

use std::time::Duration;

use anyhow::Context as _;
use krad_tokio::{UnixSocket, bind_unix};
use serde_json::json;
use tracing::{info, warn};

use crate::{
    config::Config,
    endpoints::Endpoints,
    http::{Method, Response, Routes, Server, Status},
    listeners::make_parent,
    reload::{Changes, ReloadError, Reloader},
};

/// Nobody but the daemon's user, and root.
const MODE: u32 = 0o600;

/// Binds the socket. Where nobody asked for a place of its own, not having it is worth a warning, no more: logins work
/// without it.
pub(crate) fn bind(config: &Config) -> anyhow::Result<Option<UnixSocket>> {
    let path = config.admin_socket();
    let bound = make_parent(path).and_then(|()| bind_unix(path, MODE));
    match (bound, &config.admin_socket) {
        (Ok(socket), _) => Ok(Some(socket)),
        (Err(error), Some(_)) => {
            Err(error).with_context(|| format!("cannot make the socket of administration {}", path.display()))
        }
        (Err(error), None) => {
            warn!(
                path = %path.display(),
                %error,
                "no socket of administration: otpctl reload cannot be answered (SIGHUP can). Another daemon may have it: name \
                 another place with `admin_socket`"
            );
            Ok(None)
        }
    }
}

/// Answers for as long as it is not dropped.
pub(crate) async fn serve(socket: UnixSocket, reloader: Reloader, endpoints: Endpoints) {
    if let Some(path) = socket.path() {
        info!("administered at unix:{}", path.display());
    }
    let server = Server::new();
    loop {
        match socket.accept().await {
            Ok(stream) => {
                let by = match stream.peer_cred() {
                    Ok(peer) => format!("uid {}", peer.uid()),
                    Err(_) => "somebody".to_owned(),
                };
                let admin = Admin {
                    reloader: reloader.clone(),
                    endpoints: endpoints.clone(),
                    by,
                };
                server.serve(stream, admin);
            }
            Err(error) => {
                warn!(%error, "the socket of administration accepts no connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Admin {
    reloader: Reloader,
    endpoints: Endpoints,
    by: String,
}

impl Routes for Admin {
    async fn answer(&self, method: Method, path: &str) -> Option<Response> {
        match (method, path) {
            (Method::Post, "/reload") => Some(reloaded(self.reloader.reload(self.by.as_str()).await)),
            (Method::Get, "/reload") => Some(Response::text(Status::MethodNotAllowed, "POST, please")),
            _ => self.endpoints.answer(method, path).await,
        }
    }
}

/// What became of a reload, for a program.
fn reloaded(outcome: Result<Changes, ReloadError>) -> Response {
    let (status, value) = match outcome {
        Ok(changes) => (Status::Ok, json!({ "changes": changes })),
        Err(refused) => {
            let status = match refused {
                ReloadError::Config(_) => Status::UnprocessableContent,
                ReloadError::Stopping => Status::ServiceUnavailable,
                _ => Status::Conflict,
            };
            let causes: Vec<_> = sources(&refused)
                .map(|cause| cause.to_string().trim_end().to_owned())
                .collect();
            let error =
                json!({ "message": refused.to_string(), "causes": causes, "remedy": refused.remedy() });
            (status, json!({ "error": error }))
        }
    };
    Response {
        status,
        content_type: "application/json",
        body: format!("{value}\n"),
    }
}

/// What is beneath an error.
fn sources(error: &dyn std::error::Error) -> impl Iterator<Item = &dyn std::error::Error> {
    std::iter::successors(error.source(), |error| error.source())
}
