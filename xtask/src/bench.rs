//! `cargo xtask bench`.

use std::process::ExitCode;

use crate::step::Step;

/// Runs the benchmarks whose names contain `filter`.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<ExitCode> {
    let step = Step::new("benchmarks", "cargo bench --package benches --bench * --");
    let step = match filter {
        Some(filter) => step.arg(filter),
        None => step,
    };
    let ran = step.run(&mut std::io::stdout())?;
    Ok(if ran.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
