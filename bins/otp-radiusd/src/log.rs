//! The log on standard error; journald adds times and the unit by itself.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    config::{LogConfig, LogFormat, LogLevel},
    log_queue::{LogQueue, LogThread},
};

/// What is logged. `OTP_RADIUSD_LOG` overrides the level, in the syntax of `RUST_LOG`.
pub(crate) fn filter(config: &LogConfig) -> anyhow::Result<EnvFilter> {
    let level = match config.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    match std::env::var("OTP_RADIUSD_LOG") {
        Ok(directives) => EnvFilter::try_new(&directives).with_context(|| {
            format!("OTP_RADIUSD_LOG={directives:?} is no filter; write e.g. \"info,krad_tokio=debug\"")
        }),
        Err(_) => Ok(EnvFilter::new(level)),
    }
}

/// Sends events to standard error, until what is returned is dropped.
pub(crate) fn init(config: &LogConfig) -> anyhow::Result<LogThread> {
    let registry = tracing_subscriber::registry().with(filter(config)?);
    let (queue, thread) = LogQueue::start(std::io::stderr(), |lines| {
        tracing::warn!(
            lines,
            "lines of the log were lost: whoever reads standard error was too slow"
        );
    })
    .context("cannot start the thread of the log")?;
    let to_stderr = fmt::layer().with_writer(move || queue.clone()).with_target(false);
    match config.format {
        LogFormat::Json => registry.with(to_stderr.json().flatten_event(true)).init(),
        LogFormat::Text if std::env::var_os("JOURNAL_STREAM").is_some() => {
            registry.with(to_stderr.without_time().with_ansi(false)).init();
        }
        LogFormat::Text => registry
            .with(to_stderr.with_ansi(std::io::stderr().is_terminal()))
            .init(),
    }
    Ok(thread)
}
