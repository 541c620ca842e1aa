//! `cargo xtask sim`.

use std::process::ExitCode;

use crate::step::Step;

/// Passes `arguments` to the simulation, optimized: it is run for its many seeds.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let step = Step::new("simulation", "cargo run --release --package otp-sim --");
    let step = arguments.iter().fold(step, |step, argument| step.arg(*argument));
    let ran = step.run(&mut std::io::stdout())?;
    Ok(if ran.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
