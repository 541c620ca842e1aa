//! From rows and medians to the text between the markers of a README.

use std::fmt::Write as _;

use super::estimates::Estimates;
use super::host::Host;
use super::tables::{Beside, Row, Table};

/// A table as a README shows it, and what is to say about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rendered {
    /// Markdown.
    pub(super) text: String,
    /// Rows with a time.
    pub(super) measured: usize,
    /// Goals that were missed.
    pub(super) missed: usize,
    /// Benchmarks without a time that this machine could have measured.
    pub(super) unmeasured: Vec<&'static str>,
}

/// Renders the rows for which there is anything to say.
pub(super) fn render(table: &Table, estimates: &Estimates, host: &Host) -> Rendered {
    let mut rendered = Rendered::default();
    let mut notes = Notes::default();
    let mut rows = String::new();
    for row in table.rows {
        let measured = rendered.row(row, estimates, host, &mut notes);
        rows.push_str(&measured.unwrap_or_default());
    }
    rendered.text = format!(
        "{}\n\n\
         | work | time | beside | its time | ratio | goal | |\n\
         | --- | ---: | --- | ---: | ---: | ---: | --- |\n\
         {rows}",
        circumstances(table, host)
    );
    rendered.text.push_str(&notes.text());
    rendered
}

/// What was measured how, and on what.
fn circumstances(table: &Table, host: &Host) -> String {
    let extensions = match host.extensions.as_slice() {
        [] => String::new(),
        extensions => format!(" with {}", extensions.join(", ")),
    };
    let libraries: String = table
        .libraries
        .iter()
        .filter_map(|library| {
            host.version(library)
                .map(|version| format!(", {library} {version}"))
        })
        .collect();
    format!(
        "`cargo xtask bench {}`, the medians of one run on {} cores of {}{extensions}; {}{libraries}.\n\
         Only ratios within the table say much: other machines have other times.",
        table.package, host.cores, host.model, host.compiler
    )
}

impl Rendered {
    /// One line of the table, and what it adds to the sums. Nothing if there is no time.
    fn row(&mut self, row: &Row, estimates: &Estimates, host: &Host, notes: &mut Notes) -> Option<String> {
        let Some(ours) = estimates.nanoseconds(row.bench) else {
            if row
                .needs
                .is_none_or(|extension| host.extensions.contains(&extension))
            {
                self.unmeasured.push(row.bench);
            }
            return None;
        };
        self.measured = self.measured.saturating_add(1);
        let mut cells = vec![row.work.to_owned(), time(ours)];
        let (mut result, mut reason) = ("", None);
        match row.beside.other() {
            None => cells.extend(std::iter::repeat_n(String::new(), 4)),
            Some(other) => {
                let Some(theirs) = estimates.nanoseconds(other.bench) else {
                    self.unmeasured.push(other.bench);
                    return None;
                };
                let (ratio, met) = judge(row, ours, theirs);
                cells.extend([other.work.to_owned(), time(theirs), ratio, goal(row)]);
                match met {
                    Some(true) => result = "met",
                    Some(false) => {
                        result = "**missed**";
                        reason = row.missed_because;
                        self.missed = self.missed.saturating_add(1);
                    }
                    None => {}
                }
            }
        }
        let marks: String = [row.note, reason]
            .into_iter()
            .flatten()
            .map(|note| format!(" ({})", notes.add(note)))
            .collect();
        cells.push(format!("{result}{marks}").trim_start().to_owned());
        Some(format!("| {} |\n", cells.join(" | ")))
    }
}

/// The ratio in words, and whether it reaches the goal, if there is one.
fn judge(row: &Row, ours: f64, theirs: f64) -> (String, Option<bool>) {
    match row.beside {
        Beside::Nothing => (String::new(), None),
        Beside::Floor(_) => {
            let ratio = ours / theirs;
            let met = row.goal.map(|most| ratio <= most);
            (format!("{} × its time", digits(ratio)), met)
        }
        Beside::Peer(_) => {
            let ratio = theirs / ours;
            let met = row.goal.map(|least| ratio >= least);
            (format!("{} × as fast", digits(ratio)), met)
        }
    }
}

fn goal(row: &Row) -> String {
    match (&row.beside, row.goal) {
        (Beside::Floor(_), Some(most)) => format!("≤ {most}"),
        (Beside::Peer(_), Some(least)) => format!("≥ {least}"),
        _ => String::new(),
    }
}

/// Footnotes in the order of their first mention.
#[derive(Default)]
struct Notes(Vec<&'static str>);

impl Notes {
    /// The number of a note, which is listed once.
    fn add(&mut self, note: &'static str) -> usize {
        let place = self.0.iter().position(|listed| *listed == note);
        let place = place.unwrap_or_else(|| {
            self.0.push(note);
            self.0.len().saturating_sub(1)
        });
        place.saturating_add(1)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (place, note) in self.0.iter().enumerate() {
            if place == 0 {
                text.push('\n');
            }
            let _ = writeln!(text, "{}. {note}", place.saturating_add(1));
        }
        text
    }
}

/// A time with three digits and the unit that suits it.
fn time(nanoseconds: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    // 999.6 ns are 1.00 µs, because three digits of them are 1000.
    let (unit, name) = units
        .into_iter()
        .find(|(unit, _)| nanoseconds >= unit * 0.9995)
        .unwrap_or((1.0, "ns"));
    format!("{} {name}", digits(nanoseconds / unit))
}

/// A number with three digits, or all of those before the point.
fn digits(number: f64) -> String {
    let decimals = match number {
        _ if number < 9.995 => 2,
        _ if number < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [Row; 5] = [
        Row::new("digest", "g/digest")
            .floor("the bare digest", "g/bare")
            .goal(1.3),
        Row::new("decode", "g/decode")
            .peer("another", "g/other")
            .goal(3.0)
            .missed_because("It is what it is."),
        Row::new("search", "g/wide")
            .needs("AVX-512")
            .peer("another", "g/other"),
        Row::new("encode", "g/encode").note("Nothing else encodes."),
        Row::new("decode twice", "g/twice")
            .peer("another", "g/other")
            .note("Nothing else encodes."),
    ];
    const TABLE: Table = Table {
        package: "krad",
        programs: &["radius"],
        libraries: &["libkrb5-dev", "none-dev"],
        rows: &ROWS,
    };

    fn rendered<const N: usize>(medians: [(&str, f64); N]) -> Rendered {
        render(&TABLE, &Estimates::from(medians), &Host::for_tests())
    }

    #[test]
    fn a_table_says_what_was_measured_and_which_goals_were_met() {
        let rendered = rendered([
            ("g/digest", 1249.6),
            ("g/bare", 1000.0),
            ("g/decode", 40.0),
            ("g/other", 100.0),
            ("g/encode", 2_500_000.0),
            ("g/twice", 50.0),
        ]);
        assert_eq!(
            rendered.text,
            "\
`cargo xtask bench krad`, the medians of one run on 4 cores of Processor 9000 with SHA-NI, AVX2; rustc 1.95.0, \
libkrb5-dev 1.20.1.
Only ratios within the table say much: other machines have other times.

| work | time | beside | its time | ratio | goal | |
| --- | ---: | --- | ---: | ---: | ---: | --- |
| digest | 1.25 µs | the bare digest | 1.00 µs | 1.25 × its time | ≤ 1.3 | met |
| decode | 40.0 ns | another | 100 ns | 2.50 × as fast | ≥ 3 | **missed** (1) |
| encode | 2.50 ms |  |  |  |  | (2) |
| decode twice | 50.0 ns | another | 100 ns | 2.00 × as fast |  | (2) |

1. It is what it is.
2. Nothing else encodes.
"
        );
        assert_eq!((rendered.measured, rendered.missed), (4, 1));
        assert!(rendered.unmeasured.is_empty(), "the processor has no AVX-512");
    }

    #[test]
    fn a_goal_that_is_met_needs_no_reason() {
        let rendered = rendered([
            ("g/decode", 30.0),
            ("g/other", 90.0),
            ("g/digest", 1.3),
            ("g/bare", 1.0),
        ]);
        assert!(
            rendered.text.contains("| 3.00 × as fast | ≥ 3 | met |\n"),
            "{}",
            rendered.text
        );
        assert!(
            rendered.text.contains("| 1.30 × its time | ≤ 1.3 | met |\n"),
            "{}",
            rendered.text
        );
        assert!(!rendered.text.contains("It is what it is"));
        assert_eq!(rendered.missed, 0);
        assert_eq!(rendered.unmeasured, ["g/encode", "g/twice"]);
    }

    #[test]
    fn what_has_no_time_is_told() {
        let rendered = rendered([("g/decode", 30.0), ("g/encode", 1.0)]);
        assert_eq!(rendered.unmeasured, ["g/digest", "g/other", "g/twice"]);
        assert_eq!(rendered.measured, 2);
        assert!(!rendered.text.contains("| decode |"), "{}", rendered.text);
    }

    #[test]
    fn times_have_three_digits() {
        for (nanoseconds, shown) in [
            (0.4, "0.40 ns"),
            (9.994, "9.99 ns"),
            (9.996, "10.0 ns"),
            (99.96, "100 ns"),
            (999.4, "999 ns"),
            (999.6, "1.00 µs"),
            (12_345.0, "12.3 µs"),
            (1_500_000.0, "1.50 ms"),
            (2e9, "2.00 s"),
            (1.5e12, "1500 s"),
        ] {
            assert_eq!(time(nanoseconds), shown);
        }
    }
}
