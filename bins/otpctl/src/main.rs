//! `otpctl`: hands the machine's clock, randomness, streams and terminal to the library.

#![forbid(unsafe_code)]

use std::{
    env,
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::fd::AsFd,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use otp_service::SystemClock;
use otpctl::{Cli, Exit, Io, Terminal};
use rand::{rand_core::UnwrapErr, rngs::SysRng};

/// Says what is wrong with the command line; or prints the help, if that is what was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    // Without a command line that parses there is no option to ask but the words themselves.
    let is_json = env::args_os().any(|argument| argument == "--json");
    match Cli::refusal_as_json(error).filter(|_| is_json) {
        Some(line) => {
            // Where standard error is gone there is nobody to tell.
            let _ = writeln!(io::stderr(), "{line}");
            Exit::Usage.into()
        }
        None => error.exit(),
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let stdin: Box<dyn Read> = match io::stdin().as_fd().try_clone_to_owned() {
        // Not buffered: secrets are read octet by octet into memory that is wiped, and what follows the line stays for
        // the next program of a script.
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::stdin()),
    };
    // What the store has to say while it works (a full disk, a lock) belongs with the other diagnostics.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();
    let exit = otpctl::run(
        &cli,
        Io {
            stdin,
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            terminal: io::stdin().is_terminal().then(|| Box::new(Terminal) as _),
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            on_behalf_of: env::var("SUDO_USER").or_else(|_| env::var("DOAS_USER")).ok(),
            home: env::var_os("HOME").map(PathBuf::from),
            clock: Arc::new(SystemClock),
            // Without randomness from the kernel there is nothing safe left to do: it panics.
            rng: Box::new(UnwrapErr(SysRng)),
        },
    );
    // The last line may still be in the buffer.
    match io::stdout().flush() {
        Ok(()) => exit.into(),
        Err(_) if exit == Exit::Ok => Exit::Io.into(),
        Err(_) => exit.into(),
    }
}
