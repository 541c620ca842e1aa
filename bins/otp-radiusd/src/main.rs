//! `otp-radiusd`: validates one-time passwords for Kerberos and RADIUS.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    otp_radiusd::run(otp_radiusd::Cli::parse())
}
