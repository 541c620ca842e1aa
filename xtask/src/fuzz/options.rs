//! The command line of `cargo xtask fuzz`.

use anyhow::{Context, bail};

/// What to fuzz, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Seconds for each target.
    pub(super) seconds: u32,
    /// How many targets run side by side.
    pub(super) jobs: usize,
    /// Which ones; all of them if none is named.
    pub(super) targets: Vec<String>,
}

impl Options {
    /// Reads `[--time SECONDS] [--jobs N] [TARGET…]`.
    pub(crate) fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            seconds: 60,
            jobs: 1,
            targets: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "--time" | "--jobs" => {
                    let text = arguments
                        .next()
                        .with_context(|| format!("{argument} needs a number"))?;
                    let number: u32 = text
                        .parse()
                        .ok()
                        .filter(|&number| number > 0)
                        .with_context(|| format!("{argument} {text}: not a number above zero"))?;
                    match argument {
                        "--time" => options.seconds = number,
                        _ => options.jobs = usize::try_from(number)?,
                    }
                }
                _ if argument.starts_with('-') => bail!("unknown option {argument}"),
                _ => options.targets.push(argument.to_owned()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = |seconds, jobs, targets: &[&str]| Options {
            seconds,
            jobs,
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        };
        for (arguments, expected) in [
            (&[][..], options(60, 1, &[])),
            (&["userstring"], options(60, 1, &["userstring"])),
            (&["--time", "5", "a", "b"], options(5, 1, &["a", "b"])),
            (&["a", "--jobs", "2", "--time", "5"], options(5, 2, &["a"])),
        ] {
            assert_eq!(Options::parse(arguments).unwrap(), expected);
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        for wrong in [
            &["--time"][..],
            &["--time", "x"],
            &["--time", "0"],
            &["--time", "-1"],
            &["--jobs", "0"],
            &["--jobs"],
            &["-x"],
        ] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
