#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod activation;
mod admin;
mod check;
mod cli;
mod clients;
mod config;
mod daemon;
mod database;
mod demo;
mod endpoints;
mod exposition;
mod floods;
mod generate;
mod hardening;
mod http;
mod learning;
mod listeners;
mod log;
mod log_queue;
mod metrics;
mod probe;
mod radius;
mod reload;
mod reply;
mod report;
mod signals;
mod supervisor;
mod tls;
mod transport;
mod upstream;
mod usage;

use std::process::ExitCode;

use anyhow::Context as _;
pub use cli::Cli;
pub use clients::{KDC_CLIENT, RadiusClient};
pub use config::{Config, ConfigError, LimitsConfig, LogFormat, SocketPath};
pub use database::{DatabaseError, DatabaseUrl, PostgresqlConfig};
pub use endpoints::{MetricsAddress, MetricsAddressError, MetricsConfig};
pub use radius::Radius;
pub use report::{Decided, Reporter};
pub use tls::{CertificateRule, CertificateRuleError, CertificateRules, TlsConfig, TlsConfigError};
pub use transport::{Transport, TransportError};
pub use upstream::{UpstreamConfig, UpstreamConfigError};

/// Runs what the command line asks for and turns the outcome into an exit code: 0 done, 1 failed, with the reason on
/// standard error.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Some(cli::Command::Demo(demo)) => with_runtime(demo::run(demo)),
        Some(cli::Command::Completions { shell }) => generate::completions(shell),
        Some(cli::Command::Man { directory }) => generate::man(&directory),
        None => cli
            .options
            .configuration()
            .map_err(anyhow::Error::from)
            .and_then(|config| {
                if cli.check {
                    return check::run(&config);
                }
                // Before there are other threads.
                let passed = activation::Passed::take()?;
                // What it still holds is written before the reason of a failure.
                let log = log::init(&config.log)?;
                hardening::keep_memory_private();
                let read = move || cli.options.configuration();
                with_runtime(daemon::run(config, passed, Box::new(read), &log))
            }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What TOML has to say ends with a newline of its own.
            eprintln!("otp-radiusd: {}", format!("{error:#}").trim_end());
            ExitCode::FAILURE
        }
    }
}

fn with_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(work)
}
