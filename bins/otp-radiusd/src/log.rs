//! The log on standard error; journald adds times and the unit by itself.

use std::{
    fmt,
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Json, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

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

/// The log of this process, which ends when this is dropped.
#[must_use = "the log ends with it"]
pub(crate) struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    is_json: Arc<AtomicBool>,
    _thread: LogThread,
}

impl Log {
    /// From now on, logs what `config` says, as it says; nothing changes if it cannot be had.
    pub(crate) fn set(&self, config: &LogConfig) -> anyhow::Result<()> {
        let filter = filter(config)?;
        self.filter.reload(filter).context("the log cannot be changed")?;
        self.is_json
            .store(config.format == LogFormat::Json, Ordering::Relaxed);
        Ok(())
    }
}

/// Sends events to standard error, until what is returned is dropped.
pub(crate) fn init(config: &LogConfig) -> anyhow::Result<Log> {
    let (filter, handle) = reload::Layer::new(filter(config)?);
    let (queue, thread) = LogQueue::start(std::io::stderr(), |lines| {
        tracing::warn!(
            lines,
            "lines of the log were lost: whoever reads standard error was too slow"
        );
    })
    .context("cannot start the thread of the log")?;
    let is_json = Arc::new(AtomicBool::new(config.format == LogFormat::Json));
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = Lines {
        is_json: Arc::clone(&is_json),
        is_journal,
        journal: Format::default().without_time().with_target(false),
        text: Format::default().with_target(false),
        json: Format::default().json().flatten_event(true).with_target(false),
    };
    let to_stderr = tracing_subscriber::fmt::layer()
        .event_format(lines)
        .with_ansi(!is_journal && std::io::stderr().is_terminal())
        .with_writer(move || queue.clone());
    tracing_subscriber::registry().with(filter).with(to_stderr).init();
    Ok(Log {
        filter: handle,
        is_json,
        _thread: thread,
    })
}

/// How an event becomes a line: it can be changed on the way.
struct Lines {
    is_json: Arc<AtomicBool>,
    /// It adds the time by itself.
    is_journal: bool,
    journal: Format<Full, ()>,
    text: Format<Full>,
    json: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.is_json.load(Ordering::Relaxed) {
            self.json.format_event(context, writer, event)
        } else if self.is_journal {
            self.journal.format_event(context, writer, event)
        } else {
            self.text.format_event(context, writer, event)
        }
    }
}
