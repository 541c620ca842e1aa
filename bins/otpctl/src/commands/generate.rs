//! What packages ship beside the program: shell completions and manual pages.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::{Cli, Exit, context::Context, failure::Failure};

/// Print the completions for a shell.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

impl Completions {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "otpctl", &mut script);
        context.io.stdout.write_all(&script)?;
        Ok(Exit::Ok)
    }
}

/// Write the manual pages, one a command.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Man {
    /// Directory to write to.
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(&self, _context: &mut Context) -> Result<Exit, Failure> {
        std::fs::create_dir_all(&self.directory)
            .map_err(|error| Failure::file("create", &self.directory, error))?;
        clap_mangen::generate_to(Cli::command(), &self.directory)
            .map_err(|error| Failure::file("write the manual pages to", &self.directory, error))?;
        Ok(Exit::Ok)
    }
}
