//! What packages ship beside the program: shell completions and manual pages.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::Cli;

/// Prints the completions for `shell`.
pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "otp-radiusd", &mut script);
    io::Write::write_all(&mut io::stdout(), &script).context("cannot write to standard output")
}

/// Writes `otp-radiusd.8` and `otp-radiusd-demo.8` to `directory`.
pub(crate) fn man(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let pages = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set())
        .cloned()
        .chain([command.clone()]);
    for page in pages {
        let name = page
            .get_display_name()
            .unwrap_or_else(|| page.get_name())
            .to_owned();
        let file = directory.join(format!("{name}.8"));
        let mut text = Vec::new();
        clap_mangen::Man::new(page)
            .section("8")
            .render(&mut text)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
