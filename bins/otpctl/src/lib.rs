#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod conditions;
mod context;
pub mod csv_import;
mod daemon;
mod exit;
mod failure;
mod io;
mod progress;
pub mod pskc_import;
mod qr;
mod reply;
mod secret;
mod text;
mod token_name;
mod trail;
mod utc;
mod values;
mod view;

pub use cli::Cli;
pub use exit::Exit;
pub use io::{Echo, Io, Prompt, Terminal};
pub use secret::SecretError;
pub use token_name::{Label, LabelError};

use context::Context;

/// Runs one command; whatever is said goes through `io`.
pub fn run(cli: &Cli, io: Io) -> Exit {
    let mut context = Context::new(&cli.global, io);
    match cli.command.run(&mut context) {
        Ok(exit) => exit,
        Err(failure) => context.report(&failure),
    }
}
