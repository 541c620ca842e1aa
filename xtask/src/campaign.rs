//! Campaigns that `cargo xtask` runs: the end-to-end tests of their names, more of them than a test run has time for.
//!
//! What they see goes to the terminal and, a line for each campaign, into the ledger.

use std::{fs, io::Write as _, path::Path, process::ExitCode};

use anyhow::Context;

use crate::{bench, machine, packages::REQUIRED, step::Step};

/// One campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Campaign {
    /// Its command, and the module of the end-to-end tests.
    pub(crate) name: &'static str,
    /// What says how much of it.
    variable: &'static str,
    by_default: u32,
    /// Whether the programs are those that are released: where what counts is how much, or how long.
    is_of_release: bool,
}

/// All campaigns.
const CAMPAIGNS: [Campaign; 10] = [
    Campaign {
        name: "crash",
        variable: "CRASH_KILLS",
        by_default: 200,
        is_of_release: false,
    },
    Campaign {
        name: "order",
        variable: "ORDER_ACCEPTS",
        by_default: 5000,
        is_of_release: false,
    },
    Campaign {
        name: "disk",
        variable: "DISK_CALLS",
        by_default: 60,
        is_of_release: false,
    },
    Campaign {
        name: "full",
        variable: "FULL_ROUNDS",
        by_default: 500,
        is_of_release: false,
    },
    Campaign {
        name: "race",
        variable: "RACE_CODES",
        by_default: 10_000,
        is_of_release: false,
    },
    Campaign {
        name: "clock",
        variable: "CLOCK_JUMPS",
        by_default: 1000,
        is_of_release: false,
    },
    Campaign {
        name: "reload",
        variable: "RELOAD_RELOADS",
        by_default: 1000,
        is_of_release: false,
    },
    Campaign {
        name: "malformed",
        variable: "MALFORMED_PACKETS",
        by_default: 10_000_000,
        is_of_release: true,
    },
    Campaign {
        name: "idle",
        variable: "IDLE_CONNECTIONS",
        by_default: 10_000,
        is_of_release: true,
    },
    Campaign {
        name: "soak",
        variable: "SOAK_SECONDS",
        by_default: 1800,
        is_of_release: true,
    },
];

/// The campaign of this name.
pub(crate) fn named(name: &str) -> Option<Campaign> {
    CAMPAIGNS.into_iter().find(|campaign| campaign.name == name)
}

/// Every run appends to it.
const LEDGER: &str = "docs/reliability-ledger.csv";
const COLUMNS: &str = "commit,machine,campaign,seed,counts,seconds";

/// Runs a campaign `arguments` times over: `[COUNT] [--seed SEED]`.
pub(crate) fn run(campaign: Campaign, arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let (count, seed) = options(campaign, arguments)?;
    machine::provide_packages(&REQUIRED)?;
    let profile = if campaign.is_of_release { " --release" } else { "" };
    let build = Step::new("programs", &format!("cargo build --workspace --bins{profile}"));
    if !build.run(&mut std::io::stdout())?.status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let line = format!(
        "cargo test{profile} --package otp-radiusd --test e2e -- --nocapture {}::",
        campaign.name
    );
    let mut step = Step::new(campaign.name, &line).env(campaign.variable, count.to_string());
    if let Some(seed) = seed {
        step = step.env("CAMPAIGN_SEED", seed.to_string());
    }
    let recorded = record(step)?;
    Ok(if recorded.succeeded && recorded.lines > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What became of a step that writes lines for the ledger.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) succeeded: bool,
    /// How many it has written.
    pub(crate) lines: usize,
}

/// Runs a step whose campaigns append their lines to the file that `CAMPAIGN_LEDGER` names, and puts these lines into
/// the ledger.
pub(crate) fn record(step: Step) -> anyhow::Result<Recorded> {
    let lines = Path::new("target/campaign.csv");
    if lines.exists() {
        fs::remove_file(lines).with_context(|| format!("cannot remove {}", lines.display()))?;
    }
    let here = std::env::current_dir().context("there is no working directory")?;
    let step = step.env("CAMPAIGN_LEDGER", here.join(lines).display().to_string());
    let ran = step.run(&mut std::io::stdout())?;
    let seen = fs::read_to_string(lines).unwrap_or_default();
    append(&seen)?;
    Ok(Recorded {
        succeeded: ran.status.success(),
        lines: seen.lines().count(),
    })
}

fn options(campaign: Campaign, arguments: &[&str]) -> anyhow::Result<(u32, Option<u64>)> {
    let number = |text: &str| {
        text.parse()
            .with_context(|| format!("{text}: not a number; see `cargo xtask help`"))
    };
    match arguments {
        [] => Ok((campaign.by_default, None)),
        ["--seed", seed] => Ok((
            campaign.by_default,
            Some(seed.parse().context("--seed needs a number")?),
        )),
        [count] => Ok((number(count)?, None)),
        [count, "--seed", seed] => Ok((
            number(count)?,
            Some(seed.parse().context("--seed needs a number")?),
        )),
        _ => anyhow::bail!("cargo xtask {} [COUNT] [--seed SEED]", campaign.name),
    }
}

/// Appends lines of campaigns to the ledger, with the commit and the machine that they were seen on.
fn append(lines: &str) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let commit = machine::output("git", &["describe", "--always"])?;
    // The ledger itself changes with each campaign, and nothing that was tried with it.
    let but_the_ledger = format!(":!{LEDGER}");
    let status = [
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ".",
        &but_the_ledger,
    ];
    let changed = machine::output("git", &status)?;
    let dirty = if changed.is_empty() { "" } else { "-dirty" };
    let commit = format!("{}{dirty}", commit.trim());
    let machine = bench::processor_name().replace(',', ";");
    if !Path::new(LEDGER).exists() {
        fs::write(LEDGER, format!("{COLUMNS}\n")).with_context(|| format!("cannot write {LEDGER}"))?;
    }
    let mut ledger = fs::OpenOptions::new()
        .append(true)
        .open(LEDGER)
        .with_context(|| format!("cannot open {LEDGER}"))?;
    for line in lines.lines() {
        writeln!(ledger, "{commit},{machine},{line}")
            .with_context(|| format!("cannot append to {LEDGER}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_and_from_which_seed() {
        let crash = CAMPAIGNS[0];
        assert_eq!(options(crash, &[]).unwrap(), (200, None));
        assert_eq!(options(crash, &["1000"]).unwrap(), (1000, None));
        assert_eq!(options(crash, &["--seed", "7"]).unwrap(), (200, Some(7)));
        assert_eq!(options(crash, &["5", "--seed", "7"]).unwrap(), (5, Some(7)));
        for wrong in [
            &["x"][..],
            &["--seed"],
            &["--seed", "x"],
            &["1", "2"],
            &["1", "--seed"],
        ] {
            assert!(options(crash, wrong).is_err(), "{wrong:?}");
        }
    }

    /// Every line of the ledger has all columns, and numbers where numbers belong.
    #[test]
    fn the_ledger_can_be_read() {
        let ledger = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reliability-ledger.csv");
        let text = fs::read_to_string(ledger).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(COLUMNS));
        for line in lines {
            let [_, _, _, seed, counts, seconds] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("columns: {line}");
            };
            assert!(
                seed.parse::<u64>().is_ok() && seconds.parse::<u64>().is_ok(),
                "{line}"
            );
            for count in counts.split("; ") {
                let number = count.rsplit_once(": ").map(|(_, number)| number.parse::<u64>());
                assert!(matches!(number, Some(Ok(_))), "{count}: {line}");
            }
        }
    }

    /// Every campaign is a module of the end-to-end tests and reads the variable that says how much.
    #[test]
    fn campaigns_are_there() {
        for Campaign { name, variable, .. } in CAMPAIGNS {
            let file = format!(
                "{}/../bins/otp-radiusd/tests/e2e/{name}.rs",
                env!("CARGO_MANIFEST_DIR")
            );
            assert!(
                fs::read_to_string(file)
                    .unwrap()
                    .contains(&format!("\"{variable}\"")),
                "{name}"
            );
        }
    }
}
