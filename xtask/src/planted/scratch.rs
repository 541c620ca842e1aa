//! A copy of the workspace, in which bugs may be planted.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The copy, its build directory, and the logs of what ran there.
///
/// It stays from run to run, so that only what has changed is built again.
pub(crate) struct Scratch {
    tree: PathBuf,
    build: PathBuf,
    logs: PathBuf,
    /// Locked: two runs would plant their bugs into each other's copy.
    _lock: File,
}

impl Scratch {
    /// Makes `directory/tree` a copy of the workspace as it is in the current directory: what git tracks, and what is new
    /// and not ignored. Files that are the same already keep their time of modification.
    pub(crate) fn fill(directory: &Path) -> anyhow::Result<Self> {
        let scratch = Self::create(&std::path::absolute(directory)?)?;
        scratch.copy(Path::new("."))?;
        Ok(scratch)
    }

    fn create(directory: &Path) -> anyhow::Result<Self> {
        let (tree, logs) = (directory.join("tree"), directory.join("log"));
        fs::create_dir_all(&tree)?;
        fs::create_dir_all(&logs)?;
        let lock = File::create(directory.join("lock"))?;
        lock.try_lock()
            .with_context(|| format!("another run has its copy in {}", directory.display()))?;
        Ok(Self {
            tree,
            build: directory.join("build"),
            logs,
            _lock: lock,
        })
    }

    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    pub(crate) fn build(&self) -> &Path {
        &self.build
    }

    /// Where the output of what is called `name` goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        self.logs.join(name + ".txt")
    }

    pub(crate) fn read(&self, file: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.tree.join(file)).with_context(|| format!("cannot read {file}"))
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        fs::write(self.tree.join(file), text).with_context(|| format!("cannot write {file} of the copy"))
    }

    fn copy(&self, from: &Path) -> anyhow::Result<()> {
        let names = listed(from)?;
        for name in &names {
            let (source, target) = (from.join(name), self.tree.join(name));
            let octets = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
            if fs::read(&target).is_ok_and(|present| present == octets) {
                continue;
            }
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            // With its permissions: there are scripts among them.
            fs::copy(&source, &target).with_context(|| format!("cannot write {}", target.display()))?;
            // A copy that kept an old time would pass for one that is built already.
            fs::write(&target, &octets)?;
        }
        remove_others(&self.tree, Path::new(""), &names)
    }
}

/// Removes the files below `tree` that are not in `names`: they were removed or renamed in the workspace.
fn remove_others(tree: &Path, below: &Path, names: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(tree.join(below))? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(tree, &name, names)?;
        } else if !names.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The files of the workspace, from its root.
fn listed(root: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start git, which lists the files of the workspace")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    let names = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    // What was deleted and not committed is listed all the same.
    Ok(names
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|name| root.join(name).is_file())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory for one test, below those of the build.
    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("xtask-planted-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_copy_is_the_workspace_without_what_is_ignored() {
        let place = directory("copy");
        let (from, to) = (place.join("from"), place.join("to"));
        fs::create_dir_all(from.join("src")).unwrap();
        for (name, text) in [
            (".gitignore", "/target\n"),
            ("src/new.rs", "new"),
            ("target", "built"),
            ("gone", "x"),
        ] {
            fs::write(from.join(name), text).unwrap();
        }
        let git = |arguments: &[&str]| {
            let done = Command::new("git")
                .arg("-C")
                .arg(&from)
                .args(arguments)
                .output()
                .unwrap();
            assert!(done.status.success(), "{done:?}");
        };
        git(&["init", "--quiet"]);
        git(&["add", "gone"]);
        let scratch = Scratch::create(&to).unwrap();
        scratch.copy(&from).unwrap();
        assert_eq!(scratch.read("src/new.rs").unwrap(), "new");
        assert!(scratch.read("target").is_err());
        assert_eq!(scratch.read("gone").unwrap(), "x");

        // The second time: what is gone goes, what was changed in the copy is put right, the rest keeps its time.
        let modified = |name: &str| {
            fs::metadata(scratch.tree().join(name))
                .unwrap()
                .modified()
                .unwrap()
        };
        let before = modified(".gitignore");
        fs::remove_file(from.join("gone")).unwrap();
        scratch.write("src/new.rs", "a bug").unwrap();
        scratch
            .write("src/regression.txt", "a failure that was remembered")
            .unwrap();
        scratch.copy(&from).unwrap();
        assert_eq!(scratch.read("src/new.rs").unwrap(), "new");
        assert!(scratch.read("gone").is_err() && scratch.read("src/regression.txt").is_err());
        assert_eq!(modified(".gitignore"), before);
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn a_copy_has_one_user_and_logs_with_plain_names() {
        let place = directory("lock");
        let scratch = Scratch::create(&place).unwrap();
        assert!(Scratch::create(&place).is_err());
        assert_eq!(
            scratch.log("RADIUS: codec.unchanged"),
            place.join("log/RADIUS--codec.unchanged.txt")
        );
        fs::remove_dir_all(place).unwrap();
    }
}
