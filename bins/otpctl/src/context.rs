//! What every command works with: its I/O, the global options, and the two ways of saying things.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use otp_store::{Location, Paths, Postgres, Store, StoreError};
use otp_validation::UnixTime;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Echo, Exit, Io,
    cli::{Color, Global},
    failure::Failure,
    io::read_line,
    text::{Paint, Tone, escape_lines},
};

/// A command's surroundings.
pub(crate) struct Context {
    pub(crate) io: Io,
    /// The files of the state.
    paths: Paths,
    database: Database,
    /// Whether results and diagnostics are JSON.
    pub(crate) json: bool,
    /// Colour of standard output.
    pub(crate) out: Paint,
    /// Colour of standard error.
    err: Paint,
}

/// The options that name a database.
struct Database {
    url: Option<String>,
    file: Option<PathBuf>,
    accept_lost_commits: bool,
}

impl Database {
    fn named(&self) -> Result<Option<Postgres>, Failure> {
        let mut database = match (&self.url, &self.file) {
            (None, None) => return Ok(None),
            (Some(url), _) => {
                let database: Postgres = url.parse()?;
                if database.has_password() {
                    return Err(
                        Failure::usage("the URL of the database holds a password").with_remedy(
                            "write the URL into a file with mode 0600 and name that with --database-file",
                        ),
                    );
                }
                database
            }
            (None, Some(file)) => Postgres::read(file)?,
        };
        database.accept_lost_commits = self.accept_lost_commits;
        Ok(Some(database))
    }
}

/// What the store says of its files, with what to do about those that cannot be seen.
pub(crate) fn of_the_state(error: StoreError) -> Failure {
    // The state belongs to the user who runs the daemon.
    let is_hidden =
        matches!(&error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
    let failure = Failure::from(error);
    if !is_hidden {
        return failure;
    }
    failure.with_remedy("run the command as the user who runs the daemon, e.g. sudo -u otp-radiusd otpctl …")
}

impl Context {
    pub(crate) fn new(global: &Global, io: Io) -> Self {
        let paths = Paths::new(&global.state_dir);
        let paths = match &global.key_file {
            Some(key_file) => paths.with_key_file(key_file),
            None => paths,
        };
        let paint = |is_terminal| {
            Paint::new(match global.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => is_terminal && !io.no_color && !global.json,
            })
        };
        let (out, err) = (paint(io.stdout_is_terminal), paint(io.stderr_is_terminal));
        Self {
            io,
            paths,
            database: Database {
                url: global.database.clone(),
                file: global.database_file.clone(),
                accept_lost_commits: global.accept_lost_commits,
            },
            json: global.json,
            out,
            err,
        }
    }

    /// Where the store is.
    pub(crate) fn location(&self) -> Result<Location, Failure> {
        Ok(Location {
            paths: self.paths.clone(),
            database: self.database.named()?,
        })
    }

    /// Opens the store.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        let store = Store::open(self.location()?).map_err(of_the_state)?;
        if let Some(person) = &self.io.on_behalf_of {
            store.on_behalf_of(person);
        }
        Ok(store)
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.io.clock.now()
    }

    /// Prints a result: `value` as one line of JSON, or else `text`.
    pub(crate) fn result(&mut self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        let stdout = &mut self.io.stdout;
        if self.json {
            // A generated secret may be part of it.
            let line = Zeroizing::new(serde_json::to_string(value).map_err(std::io::Error::from)?);
            writeln!(stdout, "{}", *line)?;
        } else {
            stdout.write_all(text.as_bytes())?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Says something that is no result, on standard error.
    pub(crate) fn note(&mut self, text: &str) {
        self.diagnose("note", Tone::Strong, text);
    }

    /// Warns of something that the command does all the same.
    pub(crate) fn warn(&mut self, text: &str) {
        self.diagnose("warning", Tone::Caution, text);
    }

    fn diagnose(&mut self, kind: &str, tone: Tone, text: &str) {
        let line = if self.json {
            json!({ kind: text }).to_string()
        } else {
            format!("{}: {}", self.err.paint(tone, kind), escape_lines(text))
        };
        // Where standard error is gone there is nobody to tell.
        let _ = writeln!(self.io.stderr, "{line}");
    }

    /// Reports a failure on standard error and returns its exit.
    pub(crate) fn report(&mut self, failure: &Failure) -> Exit {
        if failure.is_broken_pipe() {
            // Whoever read the results has seen enough.
            return failure.exit;
        }
        let messages = failure.messages();
        let stderr = &mut self.io.stderr;
        if self.json {
            let (message, causes) = messages
                .split_first()
                .map_or(("", &[][..]), |(first, rest)| (first, rest));
            let error = json!({
                "exit": failure.exit.name(),
                "message": message,
                "causes": causes,
                "remedy": failure.remedy,
            });
            let _ = writeln!(stderr, "{}", json!({ "error": error }));
            return failure.exit;
        }
        let mut lines = messages.iter().map(|message| escape_lines(message));
        let _ = writeln!(
            stderr,
            "{}: {}",
            self.err.paint(Tone::Bad, "error"),
            lines.next().unwrap_or_default()
        );
        for cause in lines {
            let _ = writeln!(stderr, "  because: {cause}");
        }
        if let Some(remedy) = &failure.remedy {
            let _ = writeln!(
                stderr,
                "  {} {}",
                self.err.paint(Tone::Strong, "try:"),
                escape_lines(remedy)
            );
        }
        failure.exit
    }

    /// Reads one answer: asked for on the terminal, or else the next line of standard input.
    pub(crate) fn ask(&mut self, question: &str, echo: Echo) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let answer = match &mut self.io.terminal {
            Some(terminal) => {
                let answer = terminal.ask(question, echo)?;
                Some(Zeroizing::new(answer.as_bytes().to_vec()))
            }
            None => read_line(&mut *self.io.stdin)?,
        };
        answer.ok_or_else(|| {
            Failure::data("standard input is empty").with_remedy(
                "give the secret or code as one line of standard input, or run the command on a terminal",
            )
        })
    }

    /// Reads a new secret: twice on a terminal, because a slip of the finger would not show.
    pub(crate) fn ask_new(&mut self, question: &str, again: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let answer = self.ask(question, Echo::Hidden)?;
        if self.io.terminal.is_some() && *self.ask(again, Echo::Hidden)? != *answer {
            return Err(Failure::data("the two entries differ").with_remedy("run the command again"));
        }
        Ok(answer)
    }

    /// As [`ask`](Self::ask), for what has to be text.
    pub(crate) fn ask_text(&mut self, question: &str, echo: Echo) -> Result<Zeroizing<String>, Failure> {
        let octets = self.ask(question, echo)?;
        match std::str::from_utf8(&octets) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(Failure::data("what was read is not text (UTF-8)")),
        }
    }
}
