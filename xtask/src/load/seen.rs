//! What the load generator saw, and medians of it.

use std::fmt;

use serde::Deserialize;

/// The load generator's report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Seen {
    pub(super) accepts: u64,
    pub(super) rejects: u64,
    pub(super) wrong: u64,
    pub(super) lost: u64,
    /// Replies a second.
    pub(super) rate: f64,
    pub(super) latencies: Latencies,
    /// Microseconds of processor time per reply.
    pub(super) server_cpu_micros: Option<f64>,
    pub(super) own_cpu_micros: f64,
    pub(super) server_resident_kib: Option<u64>,
}

/// Quantiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Latencies {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latencies { p50, p99, .. } = self.latencies;
        write!(
            f,
            "{:.0} replies/s, p50 {p50:.0} µs, p99 {p99:.0} µs, server {:.1} µs of processor time each",
            self.rate,
            self.server_cpu_micros.unwrap_or_default()
        )?;
        for (number, what) in [
            (self.rejects, "rejected"),
            (self.wrong, "wrong"),
            (self.lost, "lost"),
        ] {
            if number > 0 {
                write!(f, ", {number} {what}")?;
            }
        }
        Ok(())
    }
}

/// The median of each figure by itself; what went wrong is summed up. `None` of nothing.
pub(super) fn median_of(rounds: &[Seen]) -> Option<Seen> {
    let of = |figure: fn(&Seen) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        median(&mut figures)
    };
    let sum = |count: fn(&Seen) -> u64| rounds.iter().map(count).fold(0, u64::saturating_add);
    Some(Seen {
        accepts: sum(|seen| seen.accepts),
        rejects: sum(|seen| seen.rejects),
        wrong: sum(|seen| seen.wrong),
        lost: sum(|seen| seen.lost),
        rate: of(|seen| seen.rate)?,
        latencies: Latencies {
            p50: of(|seen| seen.latencies.p50)?,
            p99: of(|seen| seen.latencies.p99)?,
            p999: of(|seen| seen.latencies.p999)?,
        },
        server_cpu_micros: of(|seen| seen.server_cpu_micros.unwrap_or_default()),
        own_cpu_micros: of(|seen| seen.own_cpu_micros)?,
        server_resident_kib: rounds.iter().filter_map(|seen| seen.server_resident_kib).max(),
    })
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(figures: &mut [f64]) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let upper = figures.get(figures.len() / 2)?;
    let lower = figures.get(figures.len().checked_sub(1)? / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A round with this rate.
    pub(in crate::load) fn seen(rate: f64) -> Seen {
        let json = format!(
            r#"{{"seconds": 5.0, "accepts": 10, "rejects": 0, "wrong": 0, "lost": 1, "rate": {rate},
                "latencies": {{"p50": 1000.0, "p99": 2000.0, "p999": 3000.0, "max": 4000.0}},
                "server_cpu_micros": 20.0, "own_cpu_micros": 4.0, "server_resident_kib": 2048}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [4.0, 1.0]), Some(2.5));
        assert_eq!(median(&mut [9.0, 1.0, 5.0]), Some(5.0));
        let rounds = [seen(10.0), seen(30.0), seen(20.0)];
        let median = median_of(&rounds).unwrap();
        assert_eq!((median.rate, median.accepts, median.lost), (20.0, 30, 3));
        assert_eq!(median_of(&[]), None);
        assert_eq!(
            median.to_string(),
            "20 replies/s, p50 1000 µs, p99 2000 µs, server 20.0 µs of processor time each, 3 lost"
        );
    }
}
