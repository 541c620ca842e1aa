//! Fuzzers that were built, side by side.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::fuzzer::Fuzzers;
use super::options::Options;
use super::status::{Status, artifact};
use super::table::{Ended, Finding, grouped};

/// How often it is said how far the fuzzers have come.
const PROGRESS: Duration = Duration::from_secs(30);

enum Event {
    Started(String),
    Moved(String, Status),
    Ended(Ended),
}

struct Running {
    since: Instant,
    status: Status,
}

/// Runs each target for its time, findings or not; what it is at goes to `out`.
pub(super) fn run_all(
    fuzzers: &Fuzzers,
    targets: Vec<String>,
    options: &Options,
    out: &mut impl Write,
) -> anyhow::Result<Vec<Ended>> {
    let count = targets.len();
    let jobs = options.jobs.min(count);
    let waiting = Mutex::new(VecDeque::from(targets));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (events, received) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let events = events.clone();
            scope.spawn(move || {
                while let Some(target) = next() {
                    let ended = fuzzers
                        .command(&target, options.seconds)
                        .and_then(|fuzzer| watch(&target, fuzzer, &events));
                    let ended = ended.unwrap_or_else(|error| Ended {
                        target,
                        status: Status::default(),
                        finding: Some(Finding::Status(format!("{error:#}"))),
                        lines: Vec::new(),
                    });
                    // Nobody listens any more if nothing can be said any more.
                    if events.send(Event::Ended(ended)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(events);
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        let mut ended: Vec<Ended> = Vec::new();
        let mut said = now();
        loop {
            match received.recv_timeout(PROGRESS) {
                Ok(Event::Started(target)) => {
                    let number = ended.len().saturating_add(running.len()).saturating_add(1);
                    writeln!(out, "[{number:2}/{count}] {target} for {} s", options.seconds)?;
                    let status = Status::default();
                    running.insert(target, Running { since: now(), status });
                }
                Ok(Event::Moved(target, status)) => {
                    running
                        .entry(target)
                        .and_modify(|running| running.status = status);
                }
                Ok(Event::Ended(one)) => {
                    running.remove(&one.target);
                    writeln!(out, "        {}: {}", one.target, outcome(&one))?;
                    let mut lines = one.lines.iter();
                    lines.try_for_each(|line| writeln!(out, "          {line}"))?;
                    ended.push(one);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if said.elapsed() >= PROGRESS {
                said = now();
                let left = waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
                progress(out, &running, left, options)?;
            }
            out.flush()?;
        }
        ended.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(ended)
    })
}

/// Starts a fuzzer and tells what becomes of it.
fn watch(target: &str, mut fuzzer: Command, events: &Sender<Event>) -> anyhow::Result<Ended> {
    // Whether anybody listens is for `run_all` to care about.
    let say = |event| drop(events.send(event));
    say(Event::Started(target.to_owned()));
    let mut child = fuzzer
        .spawn()
        .with_context(|| format!("cannot start the fuzzer {target}"))?;
    let output = child.stderr.take().context("the fuzzer's output is a pipe")?;
    let (mut status, mut file) = (Status::default(), None);
    let (mut lines, mut in_trouble) = (VecDeque::new(), false);
    let (mut output, mut line) = (BufReader::new(output), Vec::new());
    while output.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        if let Some(path) = artifact(&text) {
            file = Some(path.to_owned());
        }
        if status.update(&text) {
            say(Event::Moved(target.to_owned(), status.clone()));
            continue;
        }
        // What comes before the trouble is of no interest, and what comes long after it is only its backtrace.
        in_trouble |= text.contains("panicked at ") || text.contains("ERROR: ");
        if !in_trouble && lines.len() == LINES_WITHOUT_TROUBLE {
            lines.pop_front();
        }
        if lines.len() < LINES {
            lines.push_back(text);
        }
    }
    let code = child.wait()?;
    let finding = match file {
        Some(file) => Some(Finding::Input(file)),
        None => (!code.success()).then(|| Finding::Status(code.to_string())),
    };
    Ok(Ended {
        target: target.to_owned(),
        status,
        lines: if finding.is_some() {
            lines.into()
        } else {
            Vec::new()
        },
        finding,
    })
}

/// How much of its output is kept of a fuzzer that found something, and of one that ended without a word.
const LINES: usize = 12;
const LINES_WITHOUT_TROUBLE: usize = 4;

fn outcome(ended: &Ended) -> String {
    let reached = format!(
        "{} executions, {} edges",
        grouped(ended.status.executions),
        grouped(ended.status.edges)
    );
    match &ended.finding {
        None => format!("{reached}, no finding"),
        Some(Finding::Input(file)) => format!("FOUND after {reached}: {file}"),
        Some(Finding::Status(status)) => format!("FAILED after {reached}: {status}"),
    }
}

fn progress(
    out: &mut impl Write,
    running: &BTreeMap<String, Running>,
    waiting: usize,
    options: &Options,
) -> std::io::Result<()> {
    let each = Duration::from_secs(options.seconds.into());
    let lefts: Vec<Duration> = running
        .values()
        .map(|running| each.saturating_sub(running.since.elapsed()))
        .collect();
    let now: Vec<String> = running
        .iter()
        .map(|(target, Running { since, status })| {
            let seconds = since.elapsed().as_secs();
            format!("{target} {seconds} s, {} executions", grouped(status.executions))
        })
        .collect();
    let minutes = time_left(&lefts, waiting, each, options.jobs)
        .as_secs()
        .div_ceil(60);
    writeln!(out, "        {}; about {minutes} min left", now.join("; "))
}

/// How long it takes until all have ended: each that waits follows on the one that ends first.
fn time_left(running: &[Duration], waiting: usize, each: Duration, jobs: usize) -> Duration {
    let mut slots = running.to_vec();
    slots.resize(jobs.max(running.len()).max(1), Duration::ZERO);
    for _ in 0..waiting {
        if let Some(first) = slots.iter_mut().min() {
            *first = first.saturating_add(each);
        }
    }
    slots.into_iter().max().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "tells people how far it has come")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_longest_row() {
        let seconds = Duration::from_secs;
        let left = |running: &[u64], waiting, jobs| {
            let running: Vec<Duration> = running.iter().copied().map(seconds).collect();
            time_left(&running, waiting, seconds(10), jobs).as_secs()
        };
        assert_eq!(left(&[7], 0, 1), 7);
        assert_eq!(left(&[7], 2, 1), 27);
        assert_eq!(left(&[7, 3], 3, 2), 23);
        assert_eq!(left(&[], 0, 2), 0);
    }

    /// Programs that behave like a fuzzer, and like one that ends before its time.
    #[test]
    #[cfg(unix)]
    fn what_a_fuzzer_says_is_told() {
        let (events, received) = mpsc::channel();
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stderr(Stdio::piped());
            watch("chap", command, &events).unwrap()
        };
        let good = run("printf '#8\\tpulse cov: 5 corp: 2/9b\\n' >&2");
        assert_eq!(
            (good.status.executions, good.status.edges, good.finding),
            (8, 5, None)
        );
        let bad = run(
            "seq 9 >&2; echo 'thread panicked at x:1:2:' >&2; seq 30 >&2; echo 'Test unit written to x/crash-1' >&2; exit 77",
        );
        assert_eq!(bad.finding, Some(Finding::Input("x/crash-1".to_owned())));
        assert_eq!(bad.lines.len(), 12);
        assert_eq!(bad.lines[4], "thread panicked at x:1:2:");
        let silent = run("exit 3");
        assert_eq!(silent.finding, Some(Finding::Status("exit status: 3".to_owned())));
        drop(events);
        let moves: Vec<u64> = received
            .iter()
            .filter_map(|event| match event {
                Event::Moved(_, status) => Some(status.executions),
                _ => None,
            })
            .collect();
        assert_eq!(moves, [8]);
    }
}
