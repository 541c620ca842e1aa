//! The last thing that is said: what each target did.

use super::status::Status;

/// What became of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) target: String,
    pub(super) status: Status,
    pub(super) finding: Option<Finding>,
    /// What the fuzzer said about a finding.
    pub(super) lines: Vec<String>,
}

/// Why a fuzzer ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// The file of the input that did it.
    Input(String),
    /// It ended without a word about an input, with this status.
    Status(String),
}

/// A table of the targets, and the commands that reproduce what was found.
pub(super) fn table(ended: &[Ended]) -> String {
    let head = ["target", "executions", "edges", "corpus", "findings"].map(str::to_owned);
    let rows = ended.iter().map(|ended| {
        let Status {
            executions,
            edges,
            corpus,
        } = &ended.status;
        let findings = match &ended.finding {
            None => "none".to_owned(),
            Some(Finding::Input(file)) => file.rsplit('/').next().unwrap_or_default().to_owned(),
            Some(Finding::Status(status)) => status.clone(),
        };
        [
            ended.target.clone(),
            grouped(*executions),
            grouped(*edges),
            corpus.clone(),
            findings,
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let widths = rows.iter().fold([0; 4], |mut widths: [usize; 4], row| {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
        widths
    });
    let [target, executions, edges, corpus] = widths;
    let mut text: String = rows
        .iter()
        .map(|[a, b, c, d, e]| format!("{a:target$}  {b:>executions$}  {c:>edges$}  {d:>corpus$}  {e}\n"))
        .collect();
    for ended in ended {
        if let Some(Finding::Input(file)) = &ended.finding {
            text += &format!(
                "to see it again: cargo +nightly fuzz run {} {file}\n",
                ended.target
            );
        }
    }
    text
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len().abs_diff(index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_with_the_command_that_shows_them() {
        let status = |executions| Status {
            executions,
            edges: 34,
            corpus: "90/12Kb".to_owned(),
        };
        let ended = [
            Ended {
                target: "chap".to_owned(),
                status: status(1_234_567),
                finding: None,
                lines: Vec::new(),
            },
            Ended {
                target: "a".to_owned(),
                status: status(12),
                finding: Some(Finding::Input("fuzz/artifacts/a/crash-0a1b".to_owned())),
                lines: vec!["thread panicked".to_owned()],
            },
        ];
        assert_eq!(
            table(&ended),
            "target  executions  edges   corpus  findings\n\
             chap     1,234,567     34  90/12Kb  none\n\
             a               12     34  90/12Kb  crash-0a1b\n\
             to see it again: cargo +nightly fuzz run a fuzz/artifacts/a/crash-0a1b\n"
        );
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
