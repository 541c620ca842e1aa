//! `otpctl db`.

use otp_store::{DatabaseStatus, Store};
use serde_json::{Map, Value, json};

use crate::{
    Exit,
    context::{Context, of_the_state},
    failure::Failure,
};

/// Look at the database, or bring its tables up to this version.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Status(Status),
    Migrate(Migrate),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Status(command) => command.run(context),
            Self::Migrate(command) => command.run(context),
        }
    }
}

/// Show what keeps the rows: engine, schema, what durability rests on, standbys.
///
/// The exit status is 1 if there is something to do about it.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {}

impl Status {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let location = context.location()?;
        let status = Store::status(&location).map_err(of_the_state)?;
        context.result(&json!({ "database": view(&status) }), &text(&status))?;
        let mut exit = Exit::Ok;
        let mut find = |context: &mut Context, finding: &str| {
            exit = Exit::No;
            context.warn(finding);
        };
        match status.schema {
            None => find(context, "there is no store in this database; run otpctl init"),
            Some(found) if found < status.newest_schema => find(
                context,
                "the tables are those of an older version; run otpctl db migrate while no older version of the daemon runs",
            ),
            Some(found) if found > status.newest_schema => find(
                context,
                "the tables are those of a newer version of this program; install that again",
            ),
            Some(_) => {}
        }
        if status
            .replication
            .is_some_and(|replication| replication.may_lose_commits())
        {
            find(
                context,
                "there are standbys, but a commit waits for none of them: what was accepted may be forgotten when one takes \
                 over; replicate synchronously (Patroni: synchronous_mode and synchronous_mode_strict)",
            );
        }
        Ok(exit)
    }
}

fn view(status: &DatabaseStatus) -> Value {
    let durability: Map<_, _> = status
        .durability
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let replication = status.replication.as_ref().map(|replication| {
        let standbys: Vec<_> = replication
            .standbys
            .iter()
            .map(|standby| {
                json!({ "name": standby.name, "state": standby.state, "sync_state": standby.sync_state })
            })
            .collect();
        json!({
            "waits_for": replication.waits_for,
            "slots": replication.slots,
            "standbys": standbys,
            "may_lose_commits": replication.may_lose_commits(),
        })
    });
    json!({
        "engine": status.engine.to_string(),
        "version": status.version,
        "place": status.place,
        "server": status.server,
        "schema": status.schema,
        "newest_schema": status.newest_schema,
        "durability": durability,
        "replication": replication,
    })
}

fn text(status: &DatabaseStatus) -> String {
    let durability: Vec<_> = status
        .durability
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let schema = status
        .schema
        .map_or_else(|| "none".to_owned(), |number| number.to_string());
    let mut lines = vec![
        ("engine", format!("{} {}", status.engine, status.version)),
        ("place", status.place.clone()),
    ];
    lines.extend(status.server.iter().map(|server| ("server", server.clone())));
    lines.push((
        "schema",
        format!("{schema} (this program works on {})", status.newest_schema),
    ));
    lines.push(("durability", durability.join(", ")));
    lines.extend(
        status
            .replication
            .iter()
            .map(|replication| ("standbys", replication.to_string())),
    );
    lines
        .into_iter()
        .map(|(name, value)| format!("{name:<11} {value}\n"))
        .collect()
}

/// Bring the tables of an older version up to this one.
///
/// There is no way back: an older version refuses what it does not know. Make a backup first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Stop the daemon, migrate, start the new version. On a database that several machines share, stop all of them: a daemon of an
older version accepts nobody once the tables are newer.")]
pub(crate) struct Migrate {}

impl Migrate {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let location = context.location()?;
        let (from, to) = Store::migrate(&location).map_err(of_the_state)?;
        let text = if from == to {
            format!("The tables are of schema {to} already; nothing was changed.\n")
        } else {
            format!("Migrated the tables from schema {from} to {to}.\n")
        };
        context.result(&json!({ "from": from, "to": to }), &text)?;
        Ok(Exit::Ok)
    }
}
