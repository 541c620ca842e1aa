//! What was seen.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;

/// What a run has seen within its measured time.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// Seconds that were measured.
    pub seconds: f64,
    /// Access-Accepts.
    pub accepts: u64,
    /// Access-Rejects.
    pub rejects: u64,
    /// Other Codes, replies that are not authentic, repeated answers that differ from the first.
    pub wrong: u64,
    /// Requests without a reply.
    pub lost: u64,
    /// Accepts and Rejects per second.
    pub rate: f64,
    /// From sending, or from when it was due, to the reply.
    pub latencies: Latencies,
    /// Processor time of the server in microseconds per reply.
    pub server_cpu_micros: Option<f64>,
    /// Processor time of the load generator in microseconds per reply.
    pub own_cpu_micros: f64,
    /// Memory of the server afterwards, in KiB.
    pub server_resident_kib: Option<u64>,
}

/// Quantiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Latencies {
    /// Half of them are shorter.
    pub p50: f64,
    /// 99 of 100 are.
    pub p99: f64,
    /// 999 of 1000 are.
    pub p999: f64,
    /// None is longer.
    pub max: f64,
}

impl Latencies {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let micros = |nanos: u64| seconds(Duration::from_nanos(nanos)) * 1e6;
        let quantile = |quantile| micros(histogram.value_at_quantile(quantile));
        Self {
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: micros(histogram.max()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latencies { p50, p99, p999, max } = self.latencies;
        writeln!(
            f,
            "{:.0} replies/s for {:.1} s: {} Accept, {} Reject, {} wrong, {} lost",
            self.rate, self.seconds, self.accepts, self.rejects, self.wrong, self.lost
        )?;
        writeln!(
            f,
            "latency: p50 {p50:.0} µs, p99 {p99:.0} µs, p99.9 {p999:.0} µs, max {max:.0} µs"
        )?;
        write!(
            f,
            "processor time per reply: load generator {:.1} µs",
            self.own_cpu_micros
        )?;
        if let Some(server) = self.server_cpu_micros {
            write!(f, ", server {server:.1} µs")?;
        }
        if let Some(resident) = self.server_resident_kib {
            write!(f, "; server's memory {} MiB", resident / 1024)?;
        }
        writeln!(f)
    }
}

/// Seconds as a number that can be divided.
pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// `count` as a number that can be divided; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
