//! The files of `xtask/planted`: campaigns, and the bugs that they must catch.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    campaign: Vec<Campaign>,
}

/// Tests that are run together, and the bugs that they must notice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaign {
    /// What it is, in a few words.
    pub(crate) name: String,
    /// A command that has to succeed before, such as building a program that the tests start.
    pub(crate) prepare: Option<String>,
    /// The tests: `cargo test …`, or pages that are followed; its words are separated by blanks.
    pub(crate) command: String,
    #[serde(rename = "plant")]
    pub(crate) plants: Vec<Plant>,
}

/// A bug, as a change of one source file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plant {
    /// A short name without blanks, alone of its kind.
    pub(crate) name: String,
    /// What is wrong then, in half a sentence.
    pub(crate) bug: String,
    /// The file, from the root of the workspace.
    pub(crate) file: String,
    /// A text that occurs exactly once in it.
    pub(crate) find: String,
    /// What stands there instead.
    pub(crate) replace: String,
    /// Tests, with their modules, of which at least one must fail.
    pub(crate) caught_by: Vec<String>,
}

impl Plant {
    /// The source with the bug in it.
    ///
    /// # Errors
    ///
    /// If the text does not occur exactly once, so that it is not certain any more which bug this is.
    pub(crate) fn apply(&self, source: &str) -> anyhow::Result<String> {
        let count = source.matches(&self.find).count();
        ensure!(
            count == 1,
            "the text to find occurs {count} times in {}, not once: {}",
            self.file,
            self.find.trim()
        );
        Ok(source.replacen(&self.find, &self.replace, 1))
    }
}

/// How the command of a campaign begins.
const TEST: &str = "cargo test -p ";
const PAGES: &str = "cargo xtask peers ";

impl Campaign {
    /// The words of the commands, in order. A test program that fails does not keep the next one from running.
    pub(crate) fn commands(&self) -> Vec<Vec<&str>> {
        let prepare = self
            .prepare
            .as_deref()
            .map(|line| line.split_whitespace().collect());
        let mut test: Vec<&str> = self.command.split_whitespace().collect();
        if self.command.starts_with(TEST) {
            test.insert(test.len().min(2), "--no-fail-fast");
        }
        prepare.into_iter().chain([test]).collect()
    }

    /// The rows of the documentation's table.
    #[cfg(test)]
    pub(crate) fn documentation(&self) -> impl Iterator<Item = String> {
        self.plants.iter().map(|plant| {
            let tests: Vec<String> = plant.caught_by.iter().map(|test| format!("`{test}`")).collect();
            format!("| {} | {} | {} |", plant.bug, self.name, tests.join(", "))
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            [TEST, PAGES].iter().any(|start| self.command.starts_with(start)),
            "{}: the command must be `{TEST}…` or `{PAGES}…`",
            self.name
        );
        ensure!(!self.plants.is_empty(), "{}: there is no bug to catch", self.name);
        for plant in &self.plants {
            ensure!(
                !plant.name.is_empty()
                    && plant
                        .name
                        .bytes()
                        .all(|octet| octet.is_ascii_lowercase() || octet == b'-'),
                "{}: a name is made of lower-case letters and hyphens",
                plant.name
            );
            ensure!(
                !plant.find.is_empty() && plant.find != plant.replace,
                "{}: nothing is changed",
                plant.name
            );
            ensure!(!plant.caught_by.is_empty(), "{}: no test is named", plant.name);
        }
        Ok(())
    }
}

/// Reads every `*.toml` of `directory`, in the order of the names.
pub(crate) fn load(directory: &Path) -> anyhow::Result<Vec<Campaign>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut campaigns = Vec::new();
    for path in paths {
        let shown = path.display();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        campaigns.extend(parse(&text).with_context(|| format!("{shown} is wrong"))?);
    }
    let mut names = BTreeSet::new();
    for plant in campaigns.iter().flat_map(|campaign| &campaign.plants) {
        ensure!(
            names.insert(plant.name.as_str()),
            "two planted bugs are called {}",
            plant.name
        );
    }
    Ok(campaigns)
}

fn parse(text: &str) -> anyhow::Result<Vec<Campaign>> {
    let document: Document = toml::from_str(text)?;
    for campaign in &document.campaign {
        campaign.check()?;
    }
    Ok(document.campaign)
}

/// The campaigns whose name contains `filter`, whole, and the bugs of others whose name does.
pub(crate) fn chosen(campaigns: Vec<Campaign>, filter: &str) -> Vec<Campaign> {
    campaigns
        .into_iter()
        .filter_map(|mut campaign| {
            if !campaign.name.contains(filter) {
                campaign.plants.retain(|plant| plant.name.contains(filter));
            }
            (!campaign.plants.is_empty()).then_some(campaign)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "
        [[campaign]]
        name = 'codec'
        command = 'cargo test -p x'
        plant = [
            { name = 'a', bug = 'one', file = 'f', find = 'x', replace = 'y', caught_by = ['m::t', 'u'] },
            { name = 'b', bug = 'two', file = 'f', find = 'z', replace = '', caught_by = ['t'] },
        ]
        [[campaign]]
        name = 'store'
        prepare = 'cargo build -p y'
        command = 'cargo test -p y'
        plant = [{ name = 'c', bug = 'three', file = 'f', find = 'x', replace = 'y', caught_by = ['t'] }]
    ";

    #[test]
    fn a_text_that_occurs_once_is_replaced() {
        let campaigns = parse(DOCUMENT).unwrap();
        let plant = &campaigns[0].plants[0];
        assert_eq!(plant.apply("a x b").unwrap(), "a y b");
        for source in ["a b", "x x"] {
            let error = plant.apply(source).unwrap_err().to_string();
            assert!(error.starts_with("the text to find occurs "), "{error}");
        }
    }

    #[test]
    fn a_filter_chooses_campaigns_or_bugs() {
        let names = |filter| {
            let chosen = chosen(parse(DOCUMENT).unwrap(), filter);
            let plants = chosen.iter().flat_map(|campaign| &campaign.plants);
            plants.map(|plant| plant.name.clone()).collect::<String>()
        };
        assert_eq!(
            [names(""), names("codec"), names("b"), names("none")],
            ["abc", "ab", "b", ""]
        );
        assert_eq!(names("stor"), "c");
    }

    #[test]
    fn rows_name_bug_campaign_and_tests() {
        let campaigns = parse(DOCUMENT).unwrap();
        let rows: Vec<String> = campaigns[0].documentation().collect();
        assert_eq!(rows, ["| one | codec | `m::t`, `u` |", "| two | codec | `t` |"]);
    }

    #[test]
    fn every_test_program_runs() {
        let campaigns = parse(DOCUMENT).unwrap();
        assert_eq!(
            campaigns[0].commands(),
            [["cargo", "test", "--no-fail-fast", "-p", "x"]]
        );
        let [build, test] = &campaigns[1].commands()[..] else {
            panic!("two commands")
        };
        assert_eq!(build[..2], ["cargo", "build"]);
        assert_eq!(test[..3], ["cargo", "test", "--no-fail-fast"]);
        let pages = parse(&DOCUMENT.replacen("cargo test -p x", "cargo xtask peers kdc", 1)).unwrap();
        assert_eq!(pages[0].commands(), [["cargo", "xtask", "peers", "kdc"]]);
    }

    #[test]
    fn mistakes_in_a_file_are_refused() {
        for (from, to) in [
            ("cargo test -p x", "true"),
            ("name = 'a'", "name = 'A b'"),
            ("replace = 'y'", "replace = 'x'"),
            ("['m::t', 'u']", "[]"),
            ("bug = 'one'", "bugs = 'one'"),
        ] {
            assert!(parse(&DOCUMENT.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
