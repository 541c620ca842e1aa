//! `otpctl key`.

use otp_store::{KeyId, KeyStatus, Store};
use serde_json::json;

use crate::{Exit, context::Context, failure::Failure, progress::Progress};

/// Look at the sealing key, or put a new one in its place.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Status(Status),
    Rotate(Rotate),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Status(command) => command.run(context),
            Self::Rotate(command) => command.run(context),
        }
    }
}

/// Show which sealing key the database needs, and which the key file holds.
///
/// The exit status is 1 if a rotation was begun and has not come to its end.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {}

impl Status {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let status = store.key_status()?;
        let file = store.paths().key_file.display().to_string();
        let prepared = status.prepared();
        let mut text = format!(
            "needed      {}\nin the file {} ({file})\n",
            status.current,
            list(&status)
        );
        if let Some(prepared) = prepared {
            text.push_str(&format!(
                "prepared    {prepared}: give every machine a copy of the file, then otpctl key rotate --commit\n"
            ));
        }
        let value = json!({
            "current": status.current.to_string(),
            "in_file": status.in_file.iter().map(KeyId::to_string).collect::<Vec<_>>(),
            "prepared": prepared.map(|key| key.to_string()),
            "other_records": status.other_records,
            "key_file": file,
        });
        context.result(&value, &text)?;
        if !status.is_unfinished() {
            return Ok(Exit::Ok);
        }
        context.warn(&format!(
            "a rotation has not come to its end: {} records are sealed with another key; run otpctl key rotate --commit",
            status.other_records
        ));
        Ok(Exit::No)
    }
}

fn list(status: &KeyStatus) -> String {
    let ids: Vec<_> = status.in_file.iter().map(KeyId::to_string).collect();
    ids.join(" and ")
}

/// Put a new sealing key in the place of the present one, and seal everything anew, while the daemon works.
///
/// Nobody who logs in notices. A rotation that is interrupted goes on when the command is run again; until it ends, the key
/// file holds both keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl key rotate

On a database that several machines share, on one of them:
  otpctl key rotate --prepare     write the new key beside the present one
  (copy the key file to every other machine; its daemon reads it when it needs to)
  otpctl key rotate --commit      seal everything anew; then the same on the others, to take the old key out of their files

Keep a copy of the new key apart from the backups, and the old one as long as there are backups of its time: each is opened by the
key of its own time alone.")]
pub(crate) struct Rotate {
    /// Write the new key beside the present one, and leave everything else for later.
    #[arg(long, conflicts_with = "commit")]
    prepare: bool,
    /// Seal everything with the key that was prepared, and take the old one out of the key file.
    #[arg(long)]
    commit: bool,
}

impl Rotate {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        if store.is_shared() && !self.prepare && !self.commit {
            return Err(
                Failure::usage("other machines may use this database, and each needs the new key first").with_remedy(
                    "otpctl key rotate --prepare, copy the key file to every machine, then otpctl key rotate --commit",
                ),
            );
        }
        if self.prepare {
            return prepare(&store, context);
        }
        if !self.commit && !store.key_status()?.is_unfinished() {
            store.prepare_key(&mut context.io.rng)?;
        }
        commit(&store, context)
    }
}

fn prepare(store: &Store, context: &mut Context) -> Result<Exit, Failure> {
    let prepared = store.prepare_key(&mut context.io.rng)?;
    let file = store.paths().key_file.display().to_string();
    let text = format!(
        "The new key {prepared} stands beside the present one in {file}; nothing is sealed with it yet.\n\
         \n\
         Next:\n  \
         copy {file} to every machine that uses this database, and apart from the backups\n  \
         otpctl key rotate --commit\n"
    );
    let value = json!({ "prepared": prepared.to_string(), "key_file": file });
    context.result(&value, &text)?;
    Ok(Exit::Ok)
}

fn commit(store: &Store, context: &mut Context) -> Result<Exit, Failure> {
    let steps = usize::try_from(store.stats()?.tokens).unwrap_or(usize::MAX);
    let bar = Progress::of(context, steps, "sealing anew");
    let rotated = store.rotate_key(&mut context.io.rng, |progress| {
        bar.at(progress.resealed, progress.total)
    });
    drop(bar);
    let rotation = rotated?;
    let text = match rotation.forgotten {
        Some(old) => format!(
            "Everything is sealed with key {} now ({} records were sealed anew); {old} has left {}.\n\
             Keep a copy of the new key apart from the backups, and of the old one as long as there are backups of its time.\n",
            rotation.current,
            rotation.resealed,
            store.paths().key_file.display()
        ),
        None => format!(
            "Everything is sealed with key {} now ({} records were sealed anew).\n",
            rotation.current, rotation.resealed
        ),
    };
    let value = json!({
        "current": rotation.current.to_string(),
        "forgotten": rotation.forgotten.map(|key| key.to_string()),
        "resealed": rotation.resealed,
    });
    context.result(&value, &text)?;
    if store.is_shared() {
        context.note("run otpctl key rotate --commit on the other machines, too: it takes the old key out of their files");
    }
    Ok(Exit::Ok)
}
