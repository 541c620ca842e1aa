//! `otpctl upstream`.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Exit,
    context::Context,
    daemon::{self, AdminSocket, Answer},
    failure::Failure,
    text,
};

/// Look at the RADIUS servers that decide on some users and realms.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(List),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::List(command) => command.run(context),
        }
    }
}

/// List the upstreams of the running daemon: their servers, whether these answer, and what they answered since the daemon has
/// known them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit status is 0 if a server of each upstream answers, 1 if there is one of which none does, 6 if no daemon can be reached.
Root and the daemon's user may do this.")]
pub(crate) struct List {
    #[command(flatten)]
    daemon: AdminSocket,
}

#[derive(Deserialize)]
struct Told {
    upstreams: Vec<Upstream>,
    realms: Vec<Realm>,
}

#[derive(Deserialize)]
struct Upstream {
    name: String,
    servers: Vec<Server>,
}

#[derive(Deserialize)]
struct Server {
    server: String,
    state: String,
    requests: u64,
    accepts: u64,
    rejects: u64,
    challenges: u64,
    unanswered: u64,
    unreachable: u64,
    discarded: u64,
}

#[derive(Deserialize)]
struct Realm {
    name: String,
    upstream: String,
}

const HEADERS: [&str; 9] = [
    "UPSTREAM",
    "SERVER",
    "STATE",
    "REQUESTS",
    "ACCEPT",
    "REJECT",
    "CHALLENGE",
    "NO ANSWER",
    "DISCARDED",
];

impl List {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let foreign =
            |error: serde_json::Error| Failure::new(Exit::Io, error).with_remedy(daemon::OTHER_PROGRAM);
        let Answer { body, .. } = self.daemon.get("/upstreams")?;
        let value: Value = serde_json::from_slice(&body).map_err(foreign)?;
        let told = Told::deserialize(&value).map_err(foreign)?;
        let rows = told.upstreams.iter().flat_map(|upstream| {
            upstream.servers.iter().map(|server| {
                [
                    upstream.name.clone(),
                    server.server.clone(),
                    server.state.clone(),
                    server.requests.to_string(),
                    server.accepts.to_string(),
                    server.rejects.to_string(),
                    server.challenges.to_string(),
                    server.unanswered.saturating_add(server.unreachable).to_string(),
                    server.discarded.to_string(),
                ]
            })
        });
        let mut shown = text::listing(context.out, HEADERS, rows);
        if !told.realms.is_empty() {
            let rows = told.realms.iter();
            let rows = rows.map(|realm| [realm.name.clone(), realm.upstream.clone()]);
            shown.push('\n');
            shown.push_str(&text::listing(context.out, ["REALM", "UPSTREAM"], rows));
        }
        context.result(&value, &shown)?;
        let answers = |upstream: &Upstream| upstream.servers.iter().any(|server| server.state != "dead");
        Ok(if told.upstreams.iter().all(answers) {
            Exit::Ok
        } else {
            Exit::No
        })
    }
}
