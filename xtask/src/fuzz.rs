//! `cargo xtask fuzz`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};

use crate::machine::succeeds;
use crate::step::Step;

/// What to fuzz, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    seconds: u32,
    target: Option<String>,
}

impl Options {
    /// Reads `[--time SECONDS] [TARGET]`.
    pub(crate) fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            seconds: 60,
            target: None,
        };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "--time" => {
                    let seconds = arguments.next().context("--time needs a number of seconds")?;
                    options.seconds = seconds
                        .parse()
                        .ok()
                        .filter(|&seconds| seconds > 0)
                        .with_context(|| format!("--time {seconds}: not a number of seconds"))?;
                }
                _ if argument.starts_with('-') => bail!("unknown option {argument}"),
                _ if options.target.is_some() => bail!("one target at a time; without one, all run in turn"),
                _ => options.target = Some(argument.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Fuzzes one target or all of them, up to the first finding.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let all = targets(Path::new("fuzz/fuzz_targets"))?;
    let chosen = match &options.target {
        Some(target) => {
            ensure!(
                all.contains(target),
                "no target {target}; there are: {}",
                all.join(", ")
            );
            vec![target.clone()]
        }
        None => all,
    };
    ensure!(
        succeeds("cargo", &["+nightly", "--version"]),
        "fuzzing needs a nightly toolchain; run: rustup toolchain install nightly --profile minimal"
    );
    ensure!(
        succeeds("cargo", &["+nightly", "fuzz", "--version"]),
        "fuzzing needs cargo-fuzz; run: cargo install --locked cargo-fuzz"
    );
    for target in chosen {
        let line = format!(
            "cargo +nightly fuzz run {target} -- -max_total_time={}",
            options.seconds
        );
        let ran = Step::new("fuzz", &line).run(&mut std::io::stdout())?;
        if !ran.status.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the targets in `directory`: one file each.
fn targets(directory: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = |seconds, target: Option<&str>| Options {
            seconds,
            target: target.map(str::to_owned),
        };
        assert_eq!(Options::parse(&[]).unwrap(), options(60, None));
        assert_eq!(
            Options::parse(&["userstring"]).unwrap(),
            options(60, Some("userstring"))
        );
        assert_eq!(
            Options::parse(&["--time", "5", "a"]).unwrap(),
            options(5, Some("a"))
        );
        assert_eq!(
            Options::parse(&["a", "--time", "5"]).unwrap(),
            options(5, Some("a"))
        );
    }

    #[test]
    fn wrong_options_are_refused() {
        for wrong in [
            &["--time"][..],
            &["--time", "x"],
            &["--time", "0"],
            &["--time", "-1"],
            &["-x"],
            &["a", "b"],
        ] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    /// A dictionary without a target would never be used.
    #[test]
    fn every_dictionary_has_a_target() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let all = targets(&fuzz.join("fuzz_targets")).unwrap();
        for entry in fs::read_dir(fuzz.join("dictionaries")).unwrap() {
            let path = entry.unwrap().path();
            assert!(
                all.contains(&path.file_stem().unwrap().to_string_lossy().into_owned()),
                "{path:?}"
            );
        }
    }

    /// Every target is built: each file is listed in the manifest, and nothing else is.
    #[test]
    fn the_manifest_lists_every_target() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        let mut listed: Vec<&str> = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
            .collect();
        listed.sort_unstable();
        assert_eq!(listed, targets(&fuzz.join("fuzz_targets")).unwrap());
    }
}
