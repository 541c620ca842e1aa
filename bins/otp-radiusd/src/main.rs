//! `otp-radiusd`: validates one-time passwords for Kerberos and RADIUS.

use std::process::ExitCode;

use clap::Parser as _;

/// musl's has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    otp_radiusd::run(otp_radiusd::Cli::parse())
}
