//! `otpctl reload`.

use serde::Deserialize;
use serde_json::json;

use crate::{
    Exit,
    context::Context,
    daemon::{self, AdminSocket, Answer},
    failure::Failure,
};

/// Let the running daemon read its configuration again: all of it holds afterwards, or nothing has changed.
///
/// Listeners that stay keep their sockets and connections, new ones are there before old ones go: no request is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit status is 0 if the configuration holds, 1 if the daemon refuses it (it asks for a restart, or for what cannot be had), 4 if
the file cannot be used, 6 if no daemon can be reached. In all cases but the first nothing has changed.

Root and the daemon's user may do this. Without the socket there is the signal: systemctl kill --signal=HUP --kill-whom=main
otp-radiusd; its outcome is in the log alone.")]
pub(crate) struct Reload {
    #[command(flatten)]
    daemon: AdminSocket,
}

/// What the daemon says: one of the two.
#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    changes: Vec<String>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    causes: Vec<String>,
    remedy: String,
}

impl Reload {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let Answer { status, body } = self.daemon.post("/reload")?;
        let outcome: Outcome = serde_json::from_slice(&body)
            .map_err(|error| Failure::new(Exit::Io, error).with_remedy(daemon::OTHER_PROGRAM))?;
        if let Some(refusal) = outcome.error {
            let exit = if status == 422 { Exit::Data } else { Exit::No };
            return Err(
                Failure::new(exit, Chain::new(refusal.message, refusal.causes)).with_remedy(refusal.remedy)
            );
        }
        let text = if outcome.changes.is_empty() {
            "Reloaded: nothing has changed.\n".to_owned()
        } else {
            let lines = outcome.changes.iter().map(|change| format!("  {change}\n"));
            format!("Reloaded.\n{}", lines.collect::<String>())
        };
        context.result(&json!({ "changes": outcome.changes }), &text)?;
        Ok(Exit::Ok)
    }
}

/// Messages of another process as an error of this one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Chain {
    message: String,
    source: Option<Box<Self>>,
}

impl Chain {
    fn new(message: String, causes: Vec<String>) -> Self {
        let source = causes
            .into_iter()
            .rev()
            .fold(None, |source, message| Some(Box::new(Self { message, source })));
        Self { message, source }
    }
}
