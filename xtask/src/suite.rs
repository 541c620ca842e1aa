//! `cargo xtask test`: everything that has to hold before a change goes in.

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::machine;
use crate::outcome::{Finished, Totals, summary};
use crate::packages::REQUIRED;
use crate::sim;
use crate::step::{Ran, Step};

/// Makes the machine ready, runs the steps up to the first that fails, and closes with a table and the sum of all tests.
///
/// The exit code is that of the step that failed.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    machine::require_components()?;
    machine::provide_packages(&REQUIRED)?;
    let mut steps = steps(&crates_with_features()?);
    steps.push(sim::of_the_workspace()?);
    run_steps(&steps, &mut std::io::stdout())
}

fn steps(with_features: &[String]) -> Vec<Step> {
    let mut steps = vec![
        Step::new("formatting", "cargo fmt --all -- --check"),
        Step::new(
            "lints",
            "cargo clippy --workspace --all-targets --all-features -- -D warnings",
        ),
    ];
    if !with_features.is_empty() {
        let packages: String = with_features.iter().map(|name| format!(" -p {name}")).collect();
        let line = format!("cargo clippy --no-default-features --all-targets{packages} -- -D warnings");
        steps.push(Step::new("lints without features", &line));
    }
    steps.extend([
        Step::new("documentation", "cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"),
        // End-to-end tests start the programs of other packages, too.
        Step::new("programs", "cargo build --workspace --bins"),
        Step::new(
            "examples and benches",
            "cargo build --workspace --examples --benches",
        ),
        Step::new(
            "tests",
            "cargo test --workspace --lib --bins --tests --no-fail-fast",
        ),
        Step::new("doc tests", "cargo test --workspace --doc --no-fail-fast"),
    ]);
    steps
}

fn run_steps(steps: &[Step], out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut finished = Vec::new();
    let mut totals = Totals::default();
    let mut failure = None;
    for step in steps {
        let Ran {
            status,
            took,
            totals: counted,
        } = step.run(out)?;
        totals += counted;
        finished.push(Finished {
            name: step.name,
            succeeded: status.success(),
            took,
        });
        if !status.success() {
            // A step that a signal ended has no code.
            let code = status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1);
            failure = Some((step, status, code));
            break;
        }
    }
    write!(out, "\n{}", summary(&finished))?;
    if let Some((step, status, _)) = &failure {
        writeln!(out, "failed with {status}: {step}")?;
    } else if totals.passed == 0 {
        bail!("no test ran");
    }
    writeln!(out, "{totals}")?;
    Ok(failure.map_or(ExitCode::SUCCESS, |(_, _, code)| ExitCode::from(code)))
}

/// Library crates that have features of their own, and so a shape without them.
fn crates_with_features() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("crates").context("cannot read crates/")? {
        let path = entry?.path();
        let Ok(manifest) = fs::read_to_string(path.join("Cargo.toml")) else {
            continue;
        };
        if has_features(&manifest)
            && let Some(name) = path.file_name()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn has_features(manifest: &str) -> bool {
    manifest.lines().any(|line| line.trim_end() == "[features]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &'static str, script: &str) -> Step {
        Step::new(name, "sh -c").arg(script)
    }

    fn run(steps: &[Step]) -> (anyhow::Result<ExitCode>, String) {
        let mut out = Vec::new();
        let result = run_steps(steps, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    const ONE_PASSED: &str = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured'";

    #[test]
    fn sums_are_the_last_line() {
        let (code, out) = run(&[shell("a", ONE_PASSED), shell("b", ONE_PASSED)]);
        assert_eq!(code.unwrap(), ExitCode::SUCCESS);
        assert!(out.ends_with("\n2 passed, 0 failed\n"), "{out}");
    }

    #[test]
    fn the_first_failure_ends_the_run_and_gives_the_exit_code() {
        let (code, out) = run(&[
            shell("a", ONE_PASSED),
            shell("b", "exit 101"),
            shell("c", "echo never"),
        ]);
        assert_eq!(code.unwrap(), ExitCode::from(101));
        assert!(!out.contains("never"), "{out}");
        assert!(
            out.ends_with("failed with exit status: 101: sh -c 'exit 101'\n1 passed, 0 failed\n"),
            "{out}"
        );
        let (code, _) = run(&[shell("a", "kill -9 $$")]);
        assert_eq!(code.unwrap(), ExitCode::from(1));
    }

    #[test]
    fn a_run_without_tests_is_an_error() {
        let (code, _) = run(&[shell("a", "true")]);
        assert_eq!(code.unwrap_err().to_string(), "no test ran");
    }

    #[test]
    fn features_add_a_step() {
        assert!(has_features(
            "[package]\nname = \"x\"\n\n[features]\nserde = []\n"
        ));
        assert!(!has_features(
            "[dependencies]\nx = { version = \"1\", features = [\"y\"] }\n"
        ));
        assert!(
            !steps(&[])
                .iter()
                .any(|step| step.to_string().contains("--no-default-features"))
        );
        let with = steps(&["krad".to_owned(), "pskc".to_owned()]);
        assert!(with.iter().any(|step| {
            step.to_string()
                == "cargo clippy --no-default-features --all-targets -p krad -p pskc -- -D warnings"
        }));
    }
}
