//! One command of a run: shown, timed, its output passed on as it comes.

use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::outcome::Totals;

/// A command with a name.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What it is for, in a word or two.
    pub(crate) name: &'static str,
    words: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

/// What running a [`Step`] gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    pub(crate) totals: Totals,
}

impl Step {
    /// The command `line`, whose words are separated by blanks.
    pub(crate) fn new(name: &'static str, line: &str) -> Self {
        Self {
            name,
            words: line.split_whitespace().map(str::to_owned).collect(),
            environment: Vec::new(),
        }
    }

    /// With one more argument, which may contain blanks.
    pub(crate) fn arg(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// With an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Runs the command; what it prints goes to `out` line by line, and closing lines of test binaries are counted.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<Ran> {
        writeln!(out, "\n== {}: {self}", self.name)?;
        out.flush()?;
        let (program, arguments) = self.words.split_first().context("a step has a command")?;
        #[expect(
            clippy::disallowed_methods,
            reason = "measures how long a step takes for people to read"
        )]
        let started = Instant::now();

        // One pipe for both streams keeps cargo's messages and the tests' output in order.
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let mut child = {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .envs(self.environment.iter().map(|(name, value)| (name, value)));
            if std::io::stdout().is_terminal() {
                command.env("CARGO_TERM_COLOR", "always");
            }
            command
                .stdin(Stdio::null())
                .stdout(writer.try_clone()?)
                .stderr(writer);
            command
                .spawn()
                .with_context(|| format!("cannot start {program}"))?
        }; // Our ends of the pipe are closed here: the reader sees the end when the child and its children are done.

        let mut totals = Totals::default();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            out.write_all(&line)?;
            out.flush()?;
            if let Some(counted) = Totals::from_line(&String::from_utf8_lossy(&line)) {
                totals += counted;
            }
            line.clear();
        }
        let status = child.wait()?;
        Ok(Ran {
            status,
            took: started.elapsed(),
            totals,
        })
    }
}

impl Step {
    /// Runs the command, which has to succeed.
    pub(crate) fn must(&self) -> anyhow::Result<()> {
        let ran = self.run(&mut std::io::stdout())?;
        ensure!(ran.status.success(), "failed with {}: {self}", ran.status);
        Ok(())
    }
}

/// The command as a shell takes it.
impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(out, "{name}={} ", quoted(value))?;
        }
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        out.write_str(&words.join(" "))
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_takes_it() {
        let step = Step::new("doc", "cargo doc --no-deps").env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(step.to_string(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
        assert_eq!(
            Step::new("x", "sh -c").arg("echo 'a'").to_string(),
            r"sh -c 'echo '\''a'\'''"
        );
    }

    #[test]
    fn output_is_passed_on_in_order_and_counted() {
        let script = "echo one; echo two >&2; \
                      echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured'; \
                      echo 'test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured'; printf three; exit 7";
        let mut out = Vec::new();
        let ran = Step::new("script", "sh -c").arg(script).run(&mut out).unwrap();
        assert_eq!(ran.status.code(), Some(7));
        assert_eq!(
            ran.totals,
            Totals {
                passed: 5,
                failed: 4,
                ignored: 1
            }
        );
        let shown = String::from_utf8(out).unwrap();
        let output: Vec<&str> = shown.lines().skip(2).collect();
        assert_eq!(output.len(), 5);
        assert_eq!([output[0], output[1], output[4]], ["one", "two", "three"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Step::new("x", "no-such-program-anywhere")
            .run(&mut Vec::new())
            .unwrap_err();
        assert_eq!(error.to_string(), "cannot start no-such-program-anywhere");
    }
}
