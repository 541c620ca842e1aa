//! `cargo xtask sim`, and the simulation's share in `cargo xtask test`.

use std::process::ExitCode;

use anyhow::Context;

use crate::{campaign, step::Step};

/// Passes `arguments` to the simulation, optimized: it is run for its many seeds. What it saw goes into the ledger.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let step = Step::new("simulation", "cargo run --release --package otp-sim --");
    let step = arguments.iter().fold(step, |step, argument| step.arg(*argument));
    let recorded = campaign::record(step)?;
    Ok(if recorded.succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The program that `cargo build --workspace --bins` has put beside this one. `cargo run` would build much of it again,
/// because a package alone gets other features of its dependencies than the workspace does.
pub(crate) fn of_the_workspace() -> anyhow::Result<Step> {
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let program = here.with_file_name(format!("otp-sim{}", std::env::consts::EXE_SUFFIX));
    Ok(Step::new("simulation", "")
        .arg(program.to_string_lossy())
        .arg("--seeds")
        .arg("10000"))
}
