//! What is published, and whether its manifest and README say what a stranger asks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::readme;

/// The workspace, as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    manifest_path: PathBuf,
    description: Option<String>,
    license: Option<String>,
    readme: Option<PathBuf>,
    rust_version: Option<String>,
    keywords: Vec<String>,
    categories: Vec<String>,
    features: BTreeMap<String, Vec<String>>,
    metadata: Option<serde_json::Value>,
    publish: Option<Vec<String>>,
}

impl Workspace {
    /// Asks cargo about the workspace of the current directory.
    pub(super) fn load() -> anyhow::Result<Self> {
        Self::load_from(Path::new("."))
    }

    /// Asks cargo about the workspace around `directory`.
    pub(super) fn load_from(directory: &Path) -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version=1"])
            .current_dir(directory)
            .output()
            .context("cannot start cargo")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo metadata failed: {complaint}");
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")
    }

    /// What goes to the registry: libraries and programs, but no tools of the workspace's own.
    pub(super) fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_published())
    }

    /// The oldest compiler that all packages promise, with its patch level: `1.95.0`.
    pub(super) fn rust_version(&self) -> anyhow::Result<String> {
        let mut versions = self
            .published()
            .filter_map(|package| package.rust_version.as_deref());
        let version = versions.next().context("no package says its rust-version")?;
        ensure!(
            versions.all(|other| other == version),
            "packages promise different compilers"
        );
        let complete = version.split('.').count() >= 3;
        Ok(if complete {
            version.to_owned()
        } else {
            format!("{version}.0")
        })
    }

    /// What is missing, one line each.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for package in &self.packages {
            let directory = package.directory();
            let below = |name| directory.starts_with(self.workspace_root.join(name));
            if package.is_published() != (below("crates") || below("bins")) {
                complaints.push(format!(
                    "{}: what stands in crates/ and bins/ is published, all else has publish = false",
                    package.name
                ));
            }
        }
        for package in self.published() {
            let found = package.complaints();
            complaints.extend(
                found
                    .into_iter()
                    .map(|complaint| format!("{}: {complaint}", package.name)),
            );
        }
        complaints
    }
}

impl Package {
    fn is_published(&self) -> bool {
        // None: to any registry. An empty list is what `publish = false` becomes.
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }

    fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new(""))
    }

    /// Where cargo unpacks the package, below `package/` of a target directory.
    pub(super) fn unpacked_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// Each feature alone, and none (an empty name), if there are any.
    pub(super) fn feature_sets(&self) -> Vec<&str> {
        let names = self.features.keys().map(String::as_str);
        let names: Vec<&str> = names.filter(|name| *name != "default").collect();
        if names.is_empty() {
            names
        } else {
            [&[""], names.as_slice()].concat()
        }
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                complaints.push(what.to_owned());
            }
        };
        let text = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        demand(text(&self.description), "no description");
        demand(text(&self.rust_version), "no rust-version");
        demand(
            self.license.as_deref() == Some("MIT OR Apache-2.0"),
            "license is not \"MIT OR Apache-2.0\"",
        );
        for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
            demand(
                self.directory().join(file).is_file(),
                &format!("no {file} in its directory"),
            );
        }
        demand(
            (1..=5).contains(&self.categories.len()),
            "not one to five categories",
        );
        demand((1..=5).contains(&self.keywords.len()), "not one to five keywords");
        for keyword in &self.keywords {
            demand(
                is_keyword(keyword),
                &format!("the registry takes no keyword {keyword:?}"),
            );
        }
        let documented = self
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.pointer("/docs/rs/all-features"));
        demand(
            self.feature_sets().is_empty() || documented == Some(&serde_json::Value::Bool(true)),
            "docs.rs would not document all features: package.metadata.docs.rs.all-features = true",
        );
        match self.readme() {
            Some(readme) if self.directory().join("src/main.rs").exists() => {
                demand(
                    readme.starts_with(&format!("# {}\n", self.name)),
                    "README does not begin with its name",
                );
            }
            Some(readme) => complaints.extend(readme::complaints(&self.name, &self.feature_sets(), &readme)),
            None => demand(false, "no README"),
        }
        complaints
    }

    fn readme(&self) -> Option<String> {
        fs::read_to_string(self.directory().join(self.readme.as_ref()?)).ok()
    }
}

/// The registry's rule: up to 20 characters, ASCII letters, digits, `_`, `-` and `+`, the first one a letter or digit.
fn is_keyword(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+".contains(c);
    word.len() <= 20 && word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_those_that_the_registry_takes() {
        for good in ["otp", "krb5-conf", "2fa", "abcdefghijklmnopqrst"] {
            assert!(is_keyword(good), "{good}");
        }
        for bad in [
            "",
            "one-time password",
            "-otp",
            "abcdefghijklmnopqrstu",
            "otp.",
            "jeton-à-usage",
        ] {
            assert!(!is_keyword(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let bare = r#"{"packages": [{"name": "x", "version": "1.0.0", "manifest_path": "/w/crates/x/Cargo.toml",
            "description": " ", "license": "MIT", "readme": null, "rust_version": null, "keywords": ["a b"],
            "categories": [], "features": {"default": ["f"], "f": []}, "metadata": null, "publish": null},
            {"name": "tool", "version": "1.0.0", "manifest_path": "/w/tool/Cargo.toml", "description": null,
            "license": null, "readme": null, "rust_version": null, "keywords": [], "categories": [], "features": {},
            "metadata": null, "publish": null}], "workspace_root": "/w"}"#;
        let mut workspace: Workspace = serde_json::from_str(bare).unwrap();
        let complaints = workspace.complaints();
        assert!(
            complaints[0].starts_with("tool: what stands in crates/"),
            "{complaints:?}"
        );
        workspace.packages.truncate(1);
        assert_eq!(
            workspace.complaints(),
            [
                "x: no description",
                "x: no rust-version",
                "x: license is not \"MIT OR Apache-2.0\"",
                "x: no LICENSE-MIT in its directory",
                "x: no LICENSE-APACHE in its directory",
                "x: not one to five categories",
                "x: the registry takes no keyword \"a b\"",
                "x: docs.rs would not document all features: package.metadata.docs.rs.all-features = true",
                "x: no README",
            ]
        );
        assert_eq!(workspace.packages[0].feature_sets(), ["", "f"]);
        workspace.packages[0].publish = Some(Vec::new());
        assert_eq!(workspace.published().count(), 0);
    }
}
