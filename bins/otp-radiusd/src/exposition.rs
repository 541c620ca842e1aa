//! The text format that Prometheus reads (version 0.0.4).

use std::{
    fmt::{Display, Write as _},
    time::Duration,
};

use otp_store::Distribution;

/// What a `Content-Type` calls it.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text that grows family by family.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
    /// Of the family that was begun last.
    name: &'static str,
}

/// Names and values; the values are escaped.
pub(crate) type Labels<'a> = [(&'static str, &'a str)];

/// Writing to a string cannot fail.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => {{ let _ = write!($text, $($argument)*); }};
}

impl Exposition {
    /// Begins a counter; its name ends in `_total`.
    pub(crate) fn counter(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.family(name, "counter", help)
    }

    /// Begins a gauge.
    pub(crate) fn gauge(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.family(name, "gauge", help)
    }

    /// Begins a histogram.
    pub(crate) fn histogram(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> &mut Self {
        put!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self.name = name;
        self
    }

    /// A sample of the family.
    pub(crate) fn sample(&mut self, labels: &Labels<'_>, value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// Whole values of a histogram, each `unit` seconds, or each what it is.
    pub(crate) fn distribution(&mut self, labels: &Labels<'_>, seen: &Distribution, unit: Unit) -> &mut Self {
        for (bound, count) in seen.up_to() {
            self.line("_bucket", labels, Some(unit.show(bound).as_str()), count);
        }
        self.line("_bucket", labels, Some("+Inf"), seen.count());
        self.line("_sum", labels, None, unit.show(seen.sum));
        self.line("_count", labels, None, seen.count());
        self
    }

    fn line(&mut self, suffix: &str, labels: &Labels<'_>, bound: Option<&str>, value: impl Display) {
        put!(self.text, "{}{suffix}", self.name);
        let mut separator = '{';
        for (name, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            put!(self.text, "{separator}{name}=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        put!(self.text, " {value}\n");
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// What the values of a histogram are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Numbers of something.
    Count,
    /// They are shown in seconds.
    Microseconds,
}

impl Unit {
    fn show(self, value: u64) -> String {
        match self {
            Self::Count => value.to_string(),
            Self::Microseconds => Duration::from_micros(value).as_secs_f64().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use otp_store::Histogram;

    use super::*;

    #[test]
    fn families_have_help_type_and_samples() {
        let mut text = Exposition::default();
        text.counter("x_total", "How many x.")
            .sample(&[("client", "a\"b\\c\nd"), ("cause", "y")], 7);
        text.gauge("up", "Whether.").sample(&[], 1);
        let histogram = Histogram::new(&[500, 1_000_000]);
        for micros in [500, 501, 2_000_000] {
            histogram.record(micros);
        }
        text.histogram("d_seconds", "How long.").distribution(
            &[("transport", "udp")],
            &histogram.distribution(),
            Unit::Microseconds,
        );
        assert_eq!(
            text.into_text(),
            "# HELP x_total How many x.\n# TYPE x_total counter\n\
             x_total{client=\"a\\\"b\\\\c\\nd\",cause=\"y\"} 7\n\
             # HELP up Whether.\n# TYPE up gauge\nup 1\n\
             # HELP d_seconds How long.\n# TYPE d_seconds histogram\n\
             d_seconds_bucket{transport=\"udp\",le=\"0.0005\"} 1\n\
             d_seconds_bucket{transport=\"udp\",le=\"1\"} 2\n\
             d_seconds_bucket{transport=\"udp\",le=\"+Inf\"} 3\n\
             d_seconds_sum{transport=\"udp\"} 2.001001\n\
             d_seconds_count{transport=\"udp\"} 3\n"
        );
    }
}
