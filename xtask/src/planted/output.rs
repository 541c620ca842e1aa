//! What test programs print about their tests.

use std::collections::BTreeSet;

/// The tests that ended, by their names with modules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: BTreeSet<String>,
    pub(crate) failed: BTreeSet<String>,
}

impl Tests {
    /// Reads the lines `test NAME ... ok` and `test NAME ... FAILED`, and the lists of failures that close a program's
    /// output: what the tests' own processes print may tear the former apart.
    pub(crate) fn from_output(output: &str) -> Self {
        let mut tests = Self::default();
        let mut in_failures = false;
        for line in output.lines() {
            let result = line
                .strip_prefix("test ")
                .and_then(|rest| rest.split_once(" ... "));
            if let Some((name, result)) = result {
                // Behind the name there may be a remark: how many inputs a corpus has, that a panic is expected.
                let (name, _) = name.split_once(' ').unwrap_or((name, ""));
                let set = match result {
                    "ok" => Some(&mut tests.passed),
                    "FAILED" => Some(&mut tests.failed),
                    _ => None,
                };
                if let Some(set) = set {
                    set.insert(name.to_owned());
                }
            }
            in_failures = line == "failures:" || (in_failures && !line.is_empty());
            if in_failures && let Some(name) = line.strip_prefix("    ") {
                tests.failed.insert(name.to_owned());
            }
        }
        // A name that another program of the same run reports as well counts as failed.
        tests.passed.retain(|name| !tests.failed.contains(name));
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_even_where_lines_are_torn() {
        let output = "running 4 tests\n\
                      test a::one ... ok\n\
                      test a::two ... FAILED\n\
                      test a::three ... krb5kdc: started\nFAILED\n\
                      test a::four ... ignored\n\
                      test a::five (7 inputs) ... ok\n\
                      test a::six - should panic ... ok\n\
                      \n\
                      failures:\n\
                      \n\
                      ---- a::two stdout ----\n    not a test\n\
                      \n\
                      failures:\n    a::three\n    a::two\n\
                      \n\
                      test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out\n    nor this\n";
        let tests = Tests::from_output(output);
        assert_eq!(
            tests.passed,
            ["a::one", "a::five", "a::six"].map(str::to_owned).into()
        );
        assert_eq!(tests.failed, ["a::three".to_owned(), "a::two".to_owned()].into());
    }
}
