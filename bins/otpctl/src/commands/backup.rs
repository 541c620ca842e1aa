//! `otpctl backup`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use otp_store::{BackupProgress, BackupSummary, Store};
use serde_json::json;

use crate::{
    Exit,
    context::Context,
    failure::Failure,
    progress::Progress,
    text::{ago, count},
};

/// Write everything into one file, as of one moment, while the daemon works.
///
/// Secrets stay sealed, and the sealing key is NOT in the file: keep a copy of the key somewhere else. Without it the backup
/// opens nothing; with both, the tokens are anybody's.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl backup /srv/backup/otp-$(date +%F).backup
  otpctl backup - | ssh backup.example.com 'cat > otp.backup'
  otpctl restore --check /srv/backup/otp-2026-01-31.backup

A backup holds users, tokens, clients, failures and replay state. What was decided before is not in it: the configuration and the
logs are files of their own. It can be restored on SQLite and on PostgreSQL, whichever it came from.")]
pub(crate) struct Backup {
    /// File to write, with mode 0600; never overwritten. - writes to standard output, unless that is a terminal.
    file: PathBuf,
}

impl Backup {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let is_stream = self.file.as_os_str() == "-";
        if is_stream && context.io.stdout_is_terminal {
            return Err(Failure::usage("a backup is no text for a terminal")
                .with_remedy("name a file, or pipe standard output into a program"));
        }
        let store = context.store()?;
        let summary = if is_stream {
            let bar = bar(&store, context)?;
            let now = context.now();
            let out = BufWriter::with_capacity(1 << 16, &mut context.io.stdout);
            store.backup(now, out, |progress| bar.at(progress.done, progress.total))?
        } else {
            self.write(&store, context)?
        };
        let text = text(&summary);
        if is_stream {
            // Standard output belongs to the backup.
            context.note(text.trim_end());
        } else {
            let value = json!({ "backup": view(&summary), "file": self.file.display().to_string() });
            context.result(&value, &format!("Wrote {}: {text}", self.file.display()))?;
        }
        context.warn(&format!(
            "the sealing key {} is NOT in the backup, and nothing else opens it; keep a copy of {} apart from the backups",
            summary.key,
            store.paths().key_file.display()
        ));
        Ok(Exit::Ok)
    }

    fn write(&self, store: &Store, context: &Context) -> Result<BackupSummary, Failure> {
        let draft = Draft::create(&self.file)?;
        let bar = bar(store, context)?;
        let out = BufWriter::with_capacity(1 << 16, &draft.file);
        let summary = store.backup(context.now(), out, |progress: BackupProgress| {
            bar.at(progress.done, progress.total);
        })?;
        drop(bar);
        draft.keep()?;
        Ok(summary)
    }
}

fn bar(store: &Store, context: &Context) -> Result<Progress, Failure> {
    let stats = store.stats()?;
    let rows = stats.users.saturating_add(stats.tokens);
    Ok(Progress::of(
        context,
        usize::try_from(rows).unwrap_or(usize::MAX),
        "backing up",
    ))
}

pub(crate) fn view(summary: &BackupSummary) -> serde_json::Value {
    json!({
        "created_at": summary.created_at.0,
        "key": summary.key.to_string(),
        "users": summary.users,
        "tokens": summary.tokens,
        "clients": summary.clients,
        "rules": summary.rules,
    })
}

/// What a backup holds, in words.
pub(crate) fn contents(summary: &BackupSummary) -> String {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    format!(
        "{}, {} and {}",
        count(number(summary.users), "user"),
        count(number(summary.tokens), "token"),
        count(number(summary.clients), "client")
    )
}

fn text(summary: &BackupSummary) -> String {
    format!("{}.\n", contents(summary))
}

/// When a backup was made, in words.
pub(crate) fn age(summary: &BackupSummary, context: &Context) -> String {
    ago(summary.created_at, context.now())
}

/// A file that is taken away again unless it is kept.
struct Draft<'a> {
    path: &'a Path,
    file: File,
    is_kept: bool,
}

impl<'a> Draft<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::object(format!("{} exists and is not overwritten", path.display()))
                    .with_remedy("remove the file, or name another one")
            }
            _ => Failure::file("create", path, error),
        })?;
        Ok(Self {
            path,
            file,
            is_kept: false,
        })
    }

    /// Makes it durable, and its name with it.
    fn keep(mut self) -> Result<(), Failure> {
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        (&self.file)
            .flush()
            .and_then(|()| self.file.sync_all())
            .and_then(|()| File::open(parent)?.sync_all())
            .map_err(|error| Failure::file("write", self.path, error))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            // The error that led here is the one to report.
            let _ = fs::remove_file(self.path);
        }
    }
}
