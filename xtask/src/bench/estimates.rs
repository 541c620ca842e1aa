//! What criterion measured, from the files that it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use serde_json::Value;

/// Medians by the full name of the benchmark, `group/function`.
#[derive(Debug, Default)]
pub(super) struct Estimates(BTreeMap<String, Estimate>);

#[derive(Debug, Clone, Copy)]
struct Estimate {
    nanoseconds: f64,
    measured: SystemTime,
}

impl Estimates {
    /// Reads every pair of `new/benchmark.json` and `new/estimates.json` below `directory`.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut estimates = Self::default();
        estimates.collect(directory)?;
        Ok(estimates)
    }

    fn collect(&mut self, directory: &Path) -> anyhow::Result<()> {
        let entries =
            fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if !path.is_dir() {
                continue;
            }
            if path.ends_with("new") && path.join("estimates.json").is_file() {
                self.insert(&path).with_context(|| path.display().to_string())?;
            } else {
                self.collect(&path)?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, directory: &Path) -> anyhow::Result<()> {
        let file = directory.join("estimates.json");
        let measured = fs::metadata(&file)?.modified()?;
        let nanoseconds = median(&fs::read_to_string(file)?)?;
        let name = full_id(&fs::read_to_string(directory.join("benchmark.json"))?)?;
        let estimate = Estimate {
            nanoseconds,
            measured,
        };
        // Two directories can have the name of one benchmark, if criterion changed how it makes them.
        let entry = self.0.entry(name).or_insert(estimate);
        if entry.measured < measured {
            *entry = estimate;
        }
        Ok(())
    }

    /// Those that were measured at `begin` or later.
    pub(super) fn since(mut self, begin: SystemTime) -> Self {
        self.0.retain(|_, estimate| estimate.measured >= begin);
        self
    }

    /// The median of a benchmark.
    pub(super) fn nanoseconds(&self, bench: &str) -> Option<f64> {
        self.0.get(bench).map(|estimate| estimate.nanoseconds)
    }
}

/// The median of an `estimates.json`, in nanoseconds: it bears the few rounds in which the machine did something else.
fn median(json: &str) -> anyhow::Result<f64> {
    let json: Value = serde_json::from_str(json)?;
    json.pointer("/median/point_estimate")
        .and_then(Value::as_f64)
        .filter(|nanoseconds| nanoseconds.is_finite() && *nanoseconds > 0.0)
        .context("there is no median in it")
}

/// The name of the benchmark of a `benchmark.json`. Directories have names that were cut and cleaned.
fn full_id(json: &str) -> anyhow::Result<String> {
    let json: Value = serde_json::from_str(json)?;
    json.get("full_id")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .context("there is no full_id in it")
}

#[cfg(test)]
impl<const N: usize> From<[(&str, f64); N]> for Estimates {
    fn from(medians: [(&str, f64); N]) -> Self {
        let measured = SystemTime::UNIX_EPOCH;
        let estimate = |nanoseconds| Estimate {
            nanoseconds,
            measured,
        };
        Self(
            medians
                .map(|(name, nanoseconds)| (name.to_owned(), estimate(nanoseconds)))
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// As criterion 0.8 writes them, less what is not read.
    const ESTIMATES: &str = r#"{"mean":{"confidence_interval":{"confidence_level":0.95,"lower_bound":28987.8,
        "upper_bound":29916.5},"point_estimate":29459.6,"standard_error":236.4},
        "median":{"point_estimate":30921.5},"slope":null}"#;
    const BENCHMARK: &str = r#"{"group_id":"a group","function_id":"x: 1/2","value_str":null,"throughput":null,
        "full_id":"a group/x: 1/2","directory_name":"a group/x_ 1_2","title":"a group/x: 1/2"}"#;

    #[test]
    fn medians_and_names_are_read() {
        assert_eq!(median(ESTIMATES).unwrap(), 30921.5);
        assert_eq!(full_id(BENCHMARK).unwrap(), "a group/x: 1/2");
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"median":{"point_estimate":"1"}}"#,
            r#"{"median":{"point_estimate":0}}"#,
            r#"{"median":{"point_estimate":-1.5}}"#,
            r#"{"full_id":1}"#,
        ] {
            assert!(median(wrong).is_err() && full_id(wrong).is_err(), "{wrong}");
        }
    }

    /// A directory as criterion leaves it, which goes away with the value.
    struct Left(std::path::PathBuf);

    impl Left {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("xtask-bench-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, directory: &str, median: &str) {
            let directory = self.0.join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(
                directory.join("estimates.json"),
                ESTIMATES.replace("30921.5", median),
            )
            .unwrap();
            fs::write(directory.join("benchmark.json"), BENCHMARK).unwrap();
        }
    }

    impl Drop for Left {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_newest_of_what_was_left_counts() {
        let left = Left::new("newest");
        left.write("a group/x_ 1_2/new", "1.5");
        left.write("a group/x_ 1_2/base", "7.5");
        fs::create_dir_all(left.0.join("report")).unwrap();
        fs::write(left.0.join("report/index.html"), "").unwrap();
        let estimates = Estimates::read(&left.0).unwrap();
        assert_eq!(estimates.nanoseconds("a group/x: 1/2"), Some(1.5));
        assert_eq!(estimates.nanoseconds("a group/x_ 1_2"), None);

        let newest = left.0.join("a group/x, renamed/new");
        left.write("a group/x, renamed/new", "2.5");
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let file = fs::File::options()
            .append(true)
            .open(newest.join("estimates.json"))
            .unwrap();
        file.set_modified(later).unwrap();
        let read = || Estimates::read(&left.0).unwrap();
        assert_eq!(read().nanoseconds("a group/x: 1/2"), Some(2.5));
        assert_eq!(read().since(later).nanoseconds("a group/x: 1/2"), Some(2.5));
        let too_late = later + Duration::from_secs(1);
        assert_eq!(read().since(too_late).nanoseconds("a group/x: 1/2"), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let left = Left::new("named");
        left.write("a/new", "0");
        let error = format!("{:#}", Estimates::read(&left.0).unwrap_err());
        assert!(error.contains("a/new") && error.contains("no median"), "{error}");
        let error = Estimates::read(&left.0.join("none")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read "), "{error}");
    }
}
