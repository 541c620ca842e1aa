//! `cargo xtask fuzz`.

mod fuzzer;
mod options;
mod run;
mod status;
mod table;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};

use fuzzer::Fuzzers;
pub(crate) use options::Options;

use crate::machine::succeeds;
use crate::step::Step;

/// Builds the targets once, runs each of them for its time, findings or not, and closes with a table.
///
/// The exit code says whether there was a finding.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let all = targets(Path::new("fuzz/fuzz_targets"))?;
    for target in &options.targets {
        ensure!(
            all.contains(target),
            "no target {target}; there are: {}",
            all.join(", ")
        );
    }
    ensure!(
        succeeds("cargo", &["+nightly", "--version"]),
        "fuzzing needs a nightly toolchain; run: rustup toolchain install nightly --profile minimal"
    );
    ensure!(
        succeeds("cargo", &["+nightly", "fuzz", "--version"]),
        "fuzzing needs cargo-fuzz; run: cargo install --locked cargo-fuzz"
    );
    let fuzzers = Fuzzers::new(&host()?);
    let mut build = Step::new("fuzzers", &fuzzers.build_line());
    let chosen = match options.targets.as_slice() {
        [] => all,
        [only] => {
            build = build.arg(only);
            vec![only.clone()]
        }
        several => several.to_vec(),
    };
    let built = build.run(&mut std::io::stdout())?;
    ensure!(built.status.success(), "the fuzzers were not built");

    println!();
    let ended = run::run_all(&fuzzers, chosen, options, &mut std::io::stdout())?;
    print!("\n{}", table::table(&ended));
    let found = ended.iter().any(|ended| ended.finding.is_some());
    Ok(if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
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

/// The platform that the compiler runs on: sanitizers need it to be told.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .args(["+nightly", "-vV"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dictionary without a target would never be used, and neither would a length.
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
        for (target, _) in fuzzer::MAX_LENGTHS {
            assert!(all.iter().any(|name| name == target), "{target}");
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
