//! What libFuzzer says while it runs.

/// How far a fuzzer has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Inputs that were run.
    pub(super) executions: u64,
    /// Edges of the control flow that any input has reached.
    pub(super) edges: u64,
    /// The inputs that are kept, and their size, as `90/12Kb`.
    pub(super) corpus: String,
}

impl Status {
    /// Takes a line such as `#12345 pulse  cov: 345 ft: 678 corp: 90/12Kb lim: 4096 exec/s: 1234 rss: 56Mb`, or the sum
    /// `stat::number_of_executed_units: 12345` at the end. Returns whether it was one.
    pub(super) fn update(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix("stat::") {
            if let Some(number) = rest.strip_prefix("number_of_executed_units:")
                && let Ok(number) = number.trim().parse()
            {
                self.executions = number;
            }
            return true;
        }
        let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once('\t')) else {
            return false;
        };
        let Ok(number) = number.parse() else { return false };
        self.executions = number;
        let mut words = rest.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "cov:" => {
                    self.edges = words
                        .next()
                        .and_then(|word| word.parse().ok())
                        .unwrap_or(self.edges)
                }
                "corp:" => words.next().unwrap_or_default().clone_into(&mut self.corpus),
                _ => {}
            }
        }
        true
    }
}

/// The file that a line says a finding was written to.
pub(super) fn artifact(line: &str) -> Option<&str> {
    line.split_once("Test unit written to ")
        .map(|(_, path)| path.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_libfuzzer_are_read() {
        let mut status = Status::default();
        assert!(!status.update("INFO: seed corpus: files: 3 min: 1b max: 9b total: 12b rss: 45Mb"));
        assert!(!status.update("#0 is no number of a frame: 0x55d0 in main"));
        assert_eq!(status, Status::default());
        assert!(
            status.update("#1024\tpulse  cov: 345 ft: 678 corp: 90/12Kb lim: 4096 exec/s: 512 rss: 56Mb")
        );
        let expected = Status {
            executions: 1024,
            edges: 345,
            corpus: "90/12Kb".to_owned(),
        };
        assert_eq!(status, expected);
        // Not every line has everything.
        assert!(status.update("#2048\tREDUCE ft: 679"));
        assert_eq!((status.executions, status.edges), (2048, 345));
        assert!(status.update("stat::number_of_executed_units: 3000"));
        assert!(status.update("stat::peak_rss_mb:              56"));
        assert_eq!((status.executions, status.corpus.as_str()), (3000, "90/12Kb"));
    }

    #[test]
    fn findings_name_their_file() {
        let line =
            "artifact_prefix='fuzz/artifacts/chap/'; Test unit written to fuzz/artifacts/chap/crash-0a1b";
        assert_eq!(artifact(line), Some("fuzz/artifacts/chap/crash-0a1b"));
        assert_eq!(artifact("Base64: AA=="), None);
    }
}
