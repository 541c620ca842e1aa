//! `cargo xtask bench`: runs the benchmarks, and makes the tables in the READMEs of them.

mod estimates;
mod host;
mod render;
mod tables;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};

use crate::machine;
use crate::packages::BENCHED;
use crate::step::Step;

use estimates::Estimates;
use host::Host;
pub(crate) use host::processor_name;
use render::{Rendered, render};
use tables::{TABLES, Table};

/// What to measure, and where the tables go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The name of a crate, or a part of the names of benchmarks.
    filter: Option<String>,
    /// Whether the tables go into the READMEs.
    write: bool,
}

impl Options {
    /// Reads `[--write] [FILTER]`.
    pub(crate) fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            filter: None,
            write: false,
        };
        for &argument in arguments {
            match argument {
                "--write" => options.write = true,
                _ if argument.starts_with('-') => bail!("unknown option {argument}"),
                _ if options.filter.is_some() => bail!("one filter at a time; without one, everything runs"),
                _ => options.filter = Some(argument.to_owned()),
            }
        }
        ensure!(
            !options.write || options.part_of_names().is_none(),
            "--write needs whole tables: name one of the crates {}, or none for all",
            names(&TABLES)
        );
        Ok(options)
    }

    /// The tables that may get new rows.
    fn tables(&self) -> Vec<&'static Table> {
        let named = |table: &&Table| self.filter.as_deref() == Some(table.package);
        match TABLES.iter().find(named) {
            Some(table) => vec![table],
            None => TABLES.iter().collect(),
        }
    }

    /// What goes to criterion as its filter: a filter that names no crate.
    fn part_of_names(&self) -> Option<&str> {
        let filter = self.filter.as_deref()?;
        (!TABLES.iter().any(|table| table.package == filter)).then_some(filter)
    }
}

fn names(tables: &[Table]) -> String {
    let names: Vec<&str> = tables.iter().map(|table| table.package).collect();
    names.join(", ")
}

/// Runs benchmarks, then shows the tables or writes them.
///
/// A goal that is missed is told, but no failure: it says as much about the machine as about the code.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    machine::provide_packages(&BENCHED)
        .context("for what needs no C library: cargo bench --package benches")?;
    #[expect(clippy::disallowed_methods, reason = "to be held against the times of files")]
    let begin = SystemTime::now();
    let tables = options.tables();
    let steps = steps(&tables, options.part_of_names());
    let mut out = std::io::stdout();
    for (number, step) in steps.iter().enumerate() {
        write!(out, "\n[{} of {}]", number.saturating_add(1), steps.len())?;
        let ran = step.run(&mut out)?;
        if !ran.status.success() {
            writeln!(out, "failed with {}: {step}", ran.status)?;
            return Ok(ExitCode::FAILURE);
        }
    }

    let estimates = Estimates::read(&criterion_home(|name| std::env::var_os(name)))?.since(begin);
    let host = Host::of_this_machine()?;
    let mut missed = 0_usize;
    for table in tables {
        let rendered = render(table, &estimates, &host);
        if rendered.measured == 0 {
            continue;
        }
        missed = missed.saturating_add(rendered.missed);
        if options.write {
            write_readme(table, &rendered)?;
            writeln!(out, "{}: written", readme(table).display())?;
        } else {
            writeln!(out, "\n# {}\n\n{}", table.package, rendered.text)?;
        }
    }
    if missed > 0 {
        writeln!(out, "goals missed: {missed}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles everything first, so that no compiler runs beside a measurement; then one step for each program.
fn steps(tables: &[&'static Table], filter: Option<&str>) -> Vec<Step> {
    let cargo = "cargo bench --package benches --features liboath,libkrb5,libpskc";
    let programs = tables
        .iter()
        .flat_map(|table| table.programs.iter().map(|program| (table.package, program)));
    let mut all = format!("{cargo} --no-run");
    let mut steps = Vec::new();
    for (package, program) in programs {
        all.push_str(" --bench ");
        all.push_str(program);
        let step = Step::new(package, &format!("{cargo} --bench {program} --"));
        steps.push(match filter {
            Some(filter) => step.arg(filter),
            None => step,
        });
    }
    steps.insert(0, Step::new("compile", &all));
    steps
}

/// Where criterion keeps what it measured: it follows these variables, too.
fn criterion_home(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let home = variable("CRITERION_HOME").map(PathBuf::from);
    home.unwrap_or_else(|| {
        let target = variable("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        Path::new(&target).join("criterion")
    })
}

fn readme(table: &Table) -> PathBuf {
    ["crates", table.package, "README.md"].iter().collect()
}

fn write_readme(table: &Table, rendered: &Rendered) -> anyhow::Result<()> {
    let path = readme(table);
    ensure!(
        rendered.unmeasured.is_empty(),
        "{} stays as it is; these were not measured: {}",
        path.display(),
        rendered.unmeasured.join("; ")
    );
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = between_markers(&text, &rendered.text).with_context(|| path.display().to_string())?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- /bench -->\n";

/// `text` with `table` between the markers, each of which it has once.
fn between_markers(text: &str, table: &str) -> anyhow::Result<String> {
    let parts = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| rest.split_once(END).map(|(old, after)| (before, old, after)))
        .filter(|parts| {
            [parts.0, parts.1, parts.2]
                .iter()
                .all(|part| !part.contains(BEGIN) && !part.contains(END))
        });
    let (before, _, after) = parts.with_context(|| {
        format!(
            "needs the lines {} and {}, each once, in this order",
            BEGIN.trim_end(),
            END.trim_end()
        )
    })?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = Options::parse(&["--write", "krad"]).unwrap();
        assert!(options.write);
        assert_eq!(options.part_of_names(), None);
        let packages: Vec<&str> = options.tables().iter().map(|table| table.package).collect();
        assert_eq!(packages, ["krad"]);

        let options = Options::parse(&["decode"]).unwrap();
        assert_eq!(options.part_of_names(), Some("decode"));
        assert_eq!(options.tables().len(), TABLES.len());
        assert_eq!(Options::parse(&[]).unwrap().part_of_names(), None);

        for (arguments, error) in [
            (&["--write", "decode"][..], "--write needs whole tables"),
            (&["--fast"], "unknown option --fast"),
            (&["a", "b"], "one filter at a time"),
        ] {
            let message = Options::parse(arguments).unwrap_err().to_string();
            assert!(message.starts_with(error), "{message}");
        }
    }

    #[test]
    fn everything_is_compiled_before_anything_is_measured() {
        let options = Options::parse(&["otp-core"]).unwrap();
        let lines: Vec<String> = steps(&options.tables(), Some("a b"))
            .iter()
            .map(Step::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "cargo bench --package benches --features liboath,libkrb5,libpskc --no-run \
                 --bench hotp --bench hotp_ratios",
                "cargo bench --package benches --features liboath,libkrb5,libpskc --bench hotp -- 'a b'",
                "cargo bench --package benches --features liboath,libkrb5,libpskc --bench hotp_ratios -- 'a b'",
            ]
        );
    }

    #[test]
    fn criterion_is_looked_for_where_it_writes() {
        let home = |set: &[(&str, &str)]| {
            criterion_home(|name| {
                let found = set.iter().find(|(set, _)| *set == name)?;
                Some(found.1.into())
            })
        };
        assert_eq!(home(&[]), Path::new("target/criterion"));
        let target = ("CARGO_TARGET_DIR", "/t");
        assert_eq!(home(&[target]), Path::new("/t/criterion"));
        assert_eq!(home(&[target, ("CRITERION_HOME", "/c")]), Path::new("/c"));
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = "# A\n\n<!-- bench -->\nold\n<!-- /bench -->\n\n## B\n";
        assert_eq!(
            between_markers(text, "new\n").unwrap(),
            "# A\n\n<!-- bench -->\nnew\n<!-- /bench -->\n\n## B\n"
        );
        let again = between_markers(&between_markers(text, "new\n").unwrap(), "old\n").unwrap();
        assert_eq!(again, text);
        for wrong in [
            "",
            "<!-- bench -->\n",
            "<!-- /bench -->\n<!-- bench -->\n",
            "<!-- bench -->\n<!-- /bench -->\n<!-- /bench -->\n",
            "<!-- bench -->\n<!-- bench -->\n<!-- /bench -->\n",
        ] {
            assert!(between_markers(wrong, "new\n").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_table_has_a_place_and_programs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for table in &TABLES {
            let text = fs::read_to_string(root.join(readme(table))).unwrap();
            assert!(between_markers(&text, "").is_ok(), "{}", table.package);
            for program in table.programs {
                let source = root.join(format!("benches/benches/{program}.rs"));
                assert!(source.is_file(), "{}", source.display());
            }
        }
    }
}
