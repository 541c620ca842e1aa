//! The project's own commands: `cargo xtask test` and friends. `cargo xtask help` lists them.
#![forbid(unsafe_code)]

mod bench;
mod campaign;
mod check;
mod deb;
mod failover;
mod fuzz;
mod guest;
mod load;
mod machine;
mod outcome;
mod packages;
mod peers;
mod planted;
mod portable;
mod sim;
mod step;
mod suite;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

/// What `cargo xtask help` prints.
const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test                             everything that has to hold before a change goes in: formatting, lints,
                                   documentation, unit, property, integration and end-to-end tests, doc tests;
                                   installs the Debian packages that the tests need
  bench [--write] [FILTER]         run all benchmarks, those of the crate FILTER, or those whose names contain FILTER, beside
                                   the C libraries that do the same; show the crates' tables, or write them into their READMEs
  fuzz [--time SECONDS] [--jobs N] [TARGET…]
                                   fuzz the targets, or all there are, for SECONDS each (default 60), N of them side
                                   by side (default 1); needs a nightly toolchain and cargo-fuzz
  planted [FILTER]                 plant the bugs whose names contain FILTER, one at a time, in a copy of the workspace,
                                   and see that the tests notice each
  crash [N]                        kill the daemon under load N times (default 200), also between commit and answer
  order [N]                        see N Accepts (default 5000) leave after the sync that covers them, by strace
  failover [N]                     let the primary of a PostgreSQL cluster fail N times (default 12) under two daemons; needs
                                   root; appended, too
  full [N]                         fill the file system and free it N times (default 500) while the daemon serves; appended, too
  race [N]                         give N codes (default 10000) to two daemons at once, on PostgreSQL and on one file; appended, too
  clock [N]                        let the daemon's clock jump N times (default 1000), by libfaketime; appended, too
  reload [N]                       change the configuration N times (default 1000) under load; appended, too
  malformed [N]                    send N packets (default 10000000) that are wrong in every way beside traffic that is valid;
                                   appended, too
  idle [N]                         open N idle connections on TLS (default 10000) and log in beside them; appended, too
  soak [SECONDS]                   let the daemon work for so long (default 1800) and see that nothing grows; appended, too
  disk [N]                         make the first N calls (default 60) of each kind to the disk fail, one in each run;
  sim [--seeds N] [--seed SEED] …  run the daemon on N seeds (default 10000) of an imagined world, or one of them twice;
                                   sim, crash, order and disk append what they saw to docs/reliability-ledger.csv
  load [--users N] [--seconds S] [--rounds N] [--window N] [--lanes N] [--transport udp|tcp|tls|unix]
       [--work otp|password+otp]
                                   put a load on otp-radiusd, on Debian's FreeRADIUS with everything in memory and on a
                                   server that accepts everything, in turns, and print rates, latencies and processor
                                   times beside the goals of docs/performance.md; with --transports, on each transport; with
                                   --proxies, beside radsecproxy and FreeRADIUS as proxies of another server; with
                                   --scale, on otp-radiusd alone with 1,000, 100,000 and 1,000,000 tokens
  check                            what has to hold before a release: licences and sources of dependencies, each feature
                                   alone, no_std, documentation as docs.rs builds it, every package packed and built
                                   from its archive with its tests, and with its oldest dependencies; needs cargo-deny
                                   and a nightly toolchain
  deb [--try] [--profile NAME]     build the Debian package of both programs with cargo-deb, which is installed if it is not there;
                                   with --try, as root, install, use, update, remove and purge it in a Debian of its own
  static [--profile NAME]          build both programs with musl, so that each is one file that needs no library, and try them
  peers [--profile NAME] [PAGE…]   as root, build the Debian package and follow the pages of docs/use, or those whose names
                                   contain PAGE, command by command, each on a Debian of its own where systemd runs: with
                                   a KDC, sshd, OpenVPN, FreeRADIUS, radsecproxy …; tshark judges what the daemon sends
  help                             this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    // Every command line that is shown can be repeated from the root of the workspace.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask stands in the workspace")?;
    std::env::set_current_dir(root).with_context(|| format!("cannot enter {}", root.display()))?;

    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test"] => suite::run(),
        ["bench", rest @ ..] => bench::run(&bench::Options::parse(rest)?),
        ["fuzz", rest @ ..] => fuzz::run(&fuzz::Options::parse(rest)?),
        ["planted"] => planted::run(None),
        ["planted", filter] => planted::run(Some(filter)),
        ["load", rest @ ..] => load::run(&load::Options::parse(rest)?),
        ["check"] => check::run(),
        ["peers", rest @ ..] => peers::run(&peers::Options::parse(rest)?),
        ["deb", rest @ ..] => deb::run(&deb::Options::parse(rest)?),
        ["static", rest @ ..] => portable::run(rest),
        ["sim", rest @ ..] => sim::run(rest),
        ["failover", rest @ ..] => failover::run(rest),
        [name, rest @ ..] if let Some(campaign) = campaign::named(name) => campaign::run(campaign, rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        [command, ..] => bail!("unknown command or arguments: {command}; see `cargo xtask help`"),
    }
}
