//! `cargo xtask planted`: plants one bug after the other in a copy of the workspace, and sees that the tests notice.
//!
//! A campaign that cannot fail proves nothing. Each file of `xtask/planted` holds campaigns, each with the bugs that it
//! must catch; a bug is a text in a source file and what replaces it. A campaign has to be green on the unchanged copy
//! first, with every test that a bug names among those that passed.

mod campaign;
mod output;
mod scratch;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::step::Step;
use campaign::{Campaign, Plant};
use output::Tests;
use scratch::Scratch;

/// Seconds after which the commands of a campaign are ended: a planted bug may keep a test from ever ending.
const PATIENCE: u32 = 1200;

/// The same on the unchanged copy, where everything that the campaign needs may have to be built first.
const PATIENCE_WITH_BUILD: u32 = 7200;

/// What became of a planted bug.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// These of the named tests failed.
    Caught(Vec<String>),
    /// The campaign passed all the same.
    Survived,
    /// The campaign failed, but none of the named tests did; these did.
    Elsewhere(Vec<String>),
    /// No test ran: the changed source does not compile, or the test program died.
    NoTest,
    /// The command had to be ended.
    Endless,
    /// Nothing was planted: the campaign fails, or does not run the named tests, without any bug.
    Red,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(tests) => write!(out, "caught by {}", tests.join(", ")),
            Self::Survived => out.write_str("NOT CAUGHT: every test passed"),
            Self::Elsewhere(tests) => {
                write!(out, "NOT CAUGHT by the named test, but by {}", tests.join(", "))
            }
            Self::NoTest => out.write_str("NOT TESTED: no test ended"),
            Self::Endless => write!(out, "NOT CAUGHT within {PATIENCE} s"),
            Self::Red => out.write_str("NOT PLANTED: the campaign is red on the unchanged copy"),
        }
    }
}

/// One line of the closing table.
struct Row {
    name: String,
    took: Duration,
    verdict: Verdict,
}

/// Plants every bug whose name, or whose campaign's name, contains `filter`.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<ExitCode> {
    let campaigns = campaign::chosen(
        campaign::load(Path::new("xtask/planted"))?,
        filter.unwrap_or_default(),
    );
    let count: usize = campaigns.iter().map(|campaign| campaign.plants.len()).sum();
    ensure!(
        count > 0,
        "no planted bug is called like that; see xtask/planted/*.toml"
    );
    let scratch = Scratch::fill(Path::new("target/planted"))?;
    let mut rows = Vec::new();
    for campaign in &campaigns {
        println!("\n{}: {}", campaign.name, campaign.command);
        let red = check_unchanged(&scratch, campaign).err();
        if let Some(error) = &red {
            println!("{error:#}");
        }
        for plant in &campaign.plants {
            let number = rows.len().saturating_add(1);
            print!("[{number}/{count}] {}: {} … ", plant.name, plant.bug);
            io::stdout().flush()?;
            let row = match red {
                None => try_plant(&scratch, campaign, plant)?,
                Some(_) => Row {
                    name: plant.name.clone(),
                    took: Duration::ZERO,
                    verdict: Verdict::Red,
                },
            };
            println!("{} ({:.0} s)", row.verdict, row.took.as_secs_f64());
            rows.push(row);
        }
    }
    print!("\n{}", table(&rows));
    let caught = rows
        .iter()
        .filter(|row| matches!(row.verdict, Verdict::Caught(_)))
        .count();
    println!("{caught} of {count} planted bugs caught");
    Ok(if caught == count {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Fails unless the campaign is green without any bug, and runs every test that is named.
fn check_unchanged(scratch: &Scratch, campaign: &Campaign) -> anyhow::Result<()> {
    let log = format!("{}.unchanged", campaign.name);
    let ran = execute(scratch, campaign, &log, PATIENCE_WITH_BUILD)?;
    println!(
        "unchanged: {} tests passed ({:.0} s)",
        ran.tests.passed.len(),
        ran.took.as_secs_f64()
    );
    ensure!(
        ran.succeeded,
        "{}: the campaign fails without any planted bug; see {}",
        campaign.name,
        scratch.log(&log).display()
    );
    let named = campaign.plants.iter().flat_map(|plant| &plant.caught_by);
    let missing: BTreeSet<&str> = named
        .map(String::as_str)
        .filter(|test| !ran.tests.passed.contains(*test))
        .collect();
    ensure!(
        missing.is_empty(),
        "{}: `{}` does not run the named tests {missing:?}",
        campaign.name,
        campaign.command
    );
    Ok(())
}

fn try_plant(scratch: &Scratch, campaign: &Campaign, plant: &Plant) -> anyhow::Result<Row> {
    let original = scratch.read(&plant.file)?;
    let planted = plant
        .apply(&original)
        .with_context(|| format!("{}: the plant needs care", plant.name))?;
    scratch.write(&plant.file, &planted)?;
    let ran = execute(scratch, campaign, &plant.name, PATIENCE);
    // Restored whatever came of it: the next plant, and the next run, begin with the unchanged copy.
    scratch.write(&plant.file, &original)?;
    let ran = ran?;
    Ok(Row {
        name: plant.name.clone(),
        took: ran.took,
        verdict: verdict(&ran, plant),
    })
}

fn verdict(ran: &Ran, plant: &Plant) -> Verdict {
    let caught: Vec<String> = plant
        .caught_by
        .iter()
        .filter(|test| ran.tests.failed.contains(*test))
        .cloned()
        .collect();
    match () {
        () if !caught.is_empty() => Verdict::Caught(caught),
        () if ran.timed_out => Verdict::Endless,
        () if ran.succeeded => Verdict::Survived,
        () if !ran.tests.failed.is_empty() => Verdict::Elsewhere(ran.tests.failed.iter().cloned().collect()),
        () => Verdict::NoTest,
    }
}

/// What running a campaign in the copy gave.
struct Ran {
    succeeded: bool,
    timed_out: bool,
    took: Duration,
    tests: Tests,
}

/// Runs the commands of a campaign up to the first that fails; what they print goes to the log.
fn execute(scratch: &Scratch, campaign: &Campaign, log: &str, patience: u32) -> anyhow::Result<Ran> {
    let path = scratch.log(log);
    let mut out = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut took = Duration::ZERO;
    let mut status = None;
    for words in campaign.commands() {
        let mut step = Step::new("planted", "env -C")
            .arg(scratch.tree().to_string_lossy())
            .arg(format!("CARGO_TARGET_DIR={}", scratch.build().display()))
            // Escape sequences would stand in the log, and a failure that is remembered would catch another bug.
            .arg("CARGO_TERM_COLOR=never")
            .arg("PROPTEST_DISABLE_FAILURE_PERSISTENCE=1")
            // It ends the processes that the command has started, too.
            .arg("timeout")
            .arg("--kill-after=10")
            .arg(patience.to_string());
        for word in words {
            step = step.arg(word);
        }
        let ran = step.run(&mut out)?;
        took = took.saturating_add(ran.took);
        status = Some(ran.status);
        if !ran.status.success() {
            break;
        }
    }
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Ran {
        succeeded: status.is_some_and(|status| status.success()),
        // As timeout(1) has it.
        timed_out: status.is_some_and(|status| matches!(status.code(), Some(124 | 137))),
        took,
        tests: Tests::from_output(&String::from_utf8_lossy(&text)),
    })
}

/// A table of the bugs, one line each.
fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    rows.iter()
        .map(|row| {
            format!(
                "{:width$}  {:5.0} s  {}\n",
                row.name,
                row.took.as_secs_f64(),
                row.verdict
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    fn plants() -> Vec<Plant> {
        let campaigns = campaign::load(&root().join("xtask/planted")).unwrap();
        campaigns
            .into_iter()
            .flat_map(|campaign| campaign.plants)
            .collect()
    }

    /// A plant whose text was edited away would go unseen until someone runs the whole command.
    #[test]
    fn every_plant_applies() {
        let plants = plants();
        assert!(plants.len() >= 24, "{} planted bugs", plants.len());
        for plant in plants {
            let source = fs::read_to_string(root().join(&plant.file))
                .unwrap_or_else(|error| panic!("{}: {error}", plant.file));
            plant
                .apply(&source)
                .unwrap_or_else(|error| panic!("{}: {error:#}", plant.name));
        }
    }

    /// The table of the documentation has a row for every plant, and no other.
    #[test]
    fn every_plant_is_documented() {
        let page = fs::read_to_string(root().join("docs/testing.md")).unwrap();
        let campaigns = campaign::load(&root().join("xtask/planted")).unwrap();
        let rows: Vec<String> = campaigns.iter().flat_map(Campaign::documentation).collect();
        let documented: Vec<&str> = page
            .lines()
            .skip_while(|line| *line != "## Planted bugs")
            .skip_while(|line| !line.starts_with("| --- "))
            .skip(1)
            .take_while(|line| line.starts_with("| "))
            .collect();
        assert!(documented == rows, "the table must be:\n{}", rows.join("\n"));
    }

    #[test]
    fn a_bug_is_caught_by_the_named_test_alone() {
        let plant = Plant {
            name: "x".into(),
            bug: "a bug".into(),
            file: "f".into(),
            find: "a".into(),
            replace: "b".into(),
            caught_by: vec!["a::one".into(), "a::two".into()],
        };
        let ran = |succeeded, timed_out, output| Ran {
            succeeded,
            timed_out,
            took: Duration::ZERO,
            tests: Tests::from_output(output),
        };
        let failed = |test: &str| format!("test {test} ... FAILED\n");
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (ran, expected) in [
            (
                ran(false, false, &failed("a::two")),
                Verdict::Caught(of(&["a::two"])),
            ),
            (
                ran(false, true, &failed("a::one")),
                Verdict::Caught(of(&["a::one"])),
            ),
            (
                ran(false, false, &failed("a::three")),
                Verdict::Elsewhere(of(&["a::three"])),
            ),
            (ran(true, false, "test a::one ... ok\n"), Verdict::Survived),
            (
                ran(false, false, "error[E0308]: mismatched types\n"),
                Verdict::NoTest,
            ),
            (
                ran(false, true, "test a::one has been running for over 60 seconds\n"),
                Verdict::Endless,
            ),
        ] {
            assert_eq!(verdict(&ran, &plant), expected);
        }
    }

    #[test]
    fn the_table_tells_what_caught_what() {
        let row = |name: &str, verdict| Row {
            name: name.into(),
            took: Duration::from_secs(7),
            verdict,
        };
        let rows = [
            row("long-name", Verdict::Caught(vec!["a::b".into()])),
            row("x", Verdict::Survived),
        ];
        assert_eq!(
            table(&rows),
            "long-name      7 s  caught by a::b\nx              7 s  NOT CAUGHT: every test passed\n"
        );
    }
}
