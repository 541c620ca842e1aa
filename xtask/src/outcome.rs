//! What the test binaries said, and what became of the steps.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// Sums over test binaries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Totals {
    /// Reads the closing line of a test binary, colours included:
    /// `test result: ok. 16 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let line = without_escapes(line);
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let mut totals = Self::default();
        let mut known = 0;
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let field = match what {
                "passed" => &mut totals.passed,
                "failed" => &mut totals.failed,
                "ignored" => &mut totals.ignored,
                _ => continue,
            };
            *field = number.parse().ok()?;
            known += 1;
        }
        (known == 3).then_some(totals)
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)?;
        match self.ignored {
            0 => Ok(()),
            ignored => write!(out, ", {ignored} skipped"),
        }
    }
}

/// `line` without ANSI escape sequences such as `ESC [ 32 m`.
fn without_escapes(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            // The sequence ends with its first letter; the bracket before it is none.
            '\u{1b}' => {
                while characters
                    .next()
                    .is_some_and(|inner| !inner.is_ascii_alphabetic())
                {}
            }
            _ => plain.push(character),
        }
    }
    plain
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) name: &'static str,
    pub(crate) succeeded: bool,
    pub(crate) took: Duration,
}

/// A table of the steps, one line each.
pub(crate) fn summary(steps: &[Finished]) -> String {
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or_default();
    steps
        .iter()
        .map(|step| {
            let result = if step.succeeded { "ok" } else { "FAILED" };
            format!(
                "{:width$}  {result:6}  {:7.1} s\n",
                step.name,
                step.took.as_secs_f64()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_read() {
        let totals = |passed, failed, ignored| {
            Some(Totals {
                passed,
                failed,
                ignored,
            })
        };
        let rows = [
            (
                "test result: ok. 16 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
                totals(16, 0, 0),
            ),
            (
                "test result: FAILED. 15 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
                totals(15, 1, 2),
            ),
            (
                "test result: \u{1b}[32mok\u{1b}[m\u{1b}[0m. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
                totals(3, 0, 0),
            ),
            ("test result: ok. 3 passed; 0 failed", None),
            ("test result: ok. x passed; 0 failed; 0 ignored", None),
            ("test totals::tests::closing_lines ... ok", None),
            ("running 16 tests", None),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(Totals::from_line(line), expected, "{line:?}");
        }
    }

    #[test]
    fn totals_add_up() {
        let mut totals = Totals {
            passed: 1,
            failed: 2,
            ignored: 0,
        };
        assert_eq!(totals.to_string(), "1 passed, 2 failed");
        totals += Totals {
            passed: 10,
            failed: 20,
            ignored: 30,
        };
        assert_eq!(totals.to_string(), "11 passed, 22 failed, 30 skipped");
    }

    #[test]
    fn the_summary_is_aligned() {
        let steps = [
            Finished {
                name: "lints",
                succeeded: true,
                took: Duration::from_millis(1_250),
            },
            Finished {
                name: "documentation",
                succeeded: false,
                took: Duration::from_secs(75),
            },
        ];
        assert_eq!(
            summary(&steps),
            "lints          ok          1.2 s\ndocumentation  FAILED     75.0 s\n"
        );
    }
}
