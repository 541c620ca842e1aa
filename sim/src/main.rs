//! Runs seeds one after the other, on all cores, and says what held.
#![forbid(unsafe_code)]

use std::{
    env,
    fs::OpenOptions,
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use otp_sim::{Checked, Control, Plan, Violation, run};

const HELP: &str = "\
Usage: otp-sim [--seeds N] [--first SEED] [--control NAME]
       otp-sim --seed SEED [--control NAME]

  --seeds N        how many seeds to run (default 10000)
  --first SEED     the first of them (default 0)
  --seed SEED      run this one twice, show its plan, and see that both runs were the same
  --control NAME   put a defect in, to see that it is noticed: acknowledges-early, does-not-compare, forgets-verdicts

A run of many seeds appends what it saw, as a line, to the file that the environment variable CAMPAIGN_LEDGER names.
";

struct Options {
    first: u64,
    seeds: u64,
    only: Option<u64>,
    control: Control,
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| match options.only {
        Some(seed) => replay(seed, options.control),
        None => campaign(&options),
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("otp-sim: {error:#}");
        ExitCode::from(2)
    })
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options {
        first: 0,
        seeds: 10_000,
        only: None,
        control: Control::Sound,
    };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> anyhow::Result<u64> {
            let text = arguments
                .next()
                .with_context(|| format!("{argument} needs a number"))?;
            text.parse()
                .with_context(|| format!("{argument} {text}: not a number"))
        };
        match argument.as_str() {
            "--seeds" => options.seeds = number()?,
            "--first" => options.first = number()?,
            "--seed" => options.only = Some(number()?),
            "--control" => {
                let name = arguments.next().context("--control needs a name")?;
                let known = Control::DEFECTS
                    .into_iter()
                    .find(|control| control.name() == name);
                options.control = known.with_context(|| format!("--control {name}: unknown\n\n{HELP}"))?;
            }
            "--help" | "-h" => {
                print!("{HELP}");
                std::process::exit(0);
            }
            _ => bail!("unknown argument {argument}\n\n{HELP}"),
        }
    }
    Ok(options)
}

/// One seed, twice.
fn replay(seed: u64, control: Control) -> anyhow::Result<ExitCode> {
    println!("{:#?}", Plan::of(seed));
    let (one, other) = (run(seed, control)?, run(seed, control)?);
    match &one.verdict {
        Ok(checked) => print!("{checked}"),
        Err(violation) => println!("VIOLATION  {violation}"),
    }
    if one.fingerprint != other.fingerprint {
        println!(
            "NOT REPEATABLE  {:016x} and {:016x}",
            one.fingerprint, other.fingerprint
        );
        return Ok(ExitCode::FAILURE);
    }
    println!("both runs the same: {:016x}", one.fingerprint);
    Ok(if one.verdict.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Many seeds, up to the first violation.
fn campaign(options: &Options) -> anyhow::Result<ExitCode> {
    let end = options.first.saturating_add(options.seeds);
    let (next, stop) = (AtomicU64::new(options.first), AtomicBool::new(false));
    let totals = Mutex::new(Checked::default());
    let found: Mutex<Option<(u64, Violation)>> = Mutex::new(None);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let shows_progress = std::io::stderr().is_terminal();
    #[expect(clippy::disallowed_methods, reason = "how long it took, for people to read")]
    let started = Instant::now();
    let work = || -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            match run(seed, options.control)?.verdict {
                Ok(checked) => {
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    *totals += checked;
                    if shows_progress && totals.runs.is_multiple_of(100) {
                        eprint!("\r{} of {} seeds", totals.runs, options.seeds);
                        let _ = std::io::stderr().flush();
                    }
                }
                Err(violation) => {
                    stop.store(true, Ordering::Relaxed);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    // The smallest of those that were found at once.
                    if found.as_ref().is_none_or(|(known, _)| seed < *known) {
                        *found = Some((seed, violation));
                    }
                }
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        anyhow::Ok(())
    })?;
    if shows_progress {
        eprintln!();
    }
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    print!("{totals}");
    if options.control == Control::Sound {
        let violations = u64::from(found.is_some());
        record(&ledger_line(
            options.first,
            &totals,
            violations,
            started.elapsed(),
        ))?;
    }
    match found {
        None => {
            println!("no violation");
            Ok(ExitCode::SUCCESS)
        }
        Some((seed, violation)) => {
            println!("VIOLATION  seed {seed}: {violation}");
            println!("again: cargo xtask sim --seed {seed}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Campaign, first seed, counts, seconds: as every campaign says it.
fn ledger_line(first: u64, totals: &Checked, violations: u64, took: Duration) -> String {
    let counts: Vec<String> = totals
        .counts()
        .into_iter()
        .chain([("violations", violations)])
        .map(|(what, count)| format!("{what}: {count}"))
        .collect();
    format!("simulation,{first},{},{}", counts.join("; "), took.as_secs())
}

/// Appends a line to the file that `CAMPAIGN_LEDGER` names, if any.
fn record(line: &str) -> anyhow::Result<()> {
    let Some(path) = env::var_os("CAMPAIGN_LEDGER") else {
        return Ok(());
    };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .with_context(|| format!("cannot append to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_four_columns() {
        let totals = Checked {
            runs: 7,
            ..Checked::default()
        };
        let line = ledger_line(3, &totals, 0, Duration::from_millis(1999));
        let columns: Vec<&str> = line.split(',').collect();
        assert_eq!(columns.len(), 4, "{line}");
        assert_eq!([columns[0], columns[1], columns[3]], ["simulation", "3", "1"]);
        assert!(columns[2].starts_with("runs: 7; ") && columns[2].ends_with("; violations: 0"));
    }
}
