//! A workspace of the packages as the registry would hand them out, to build them where nothing else is at hand.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::package::Package;

/// Writes the manifest of that workspace into `directory`, below which `cargo publish --dry-run` unpacks the packages,
/// and beside it the lock file of the tree.
pub(super) fn prepare(directory: &Path, packages: &[&Package]) -> anyhow::Result<()> {
    let write = |name: &str, text: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    write("Cargo.toml", manifest(packages).as_bytes())?;
    write(
        "Cargo.lock",
        &fs::read("Cargo.lock").context("cannot read Cargo.lock")?,
    )
}

/// The packages name each other by version alone. None is in the registry yet, so each is found here.
fn manifest(packages: &[&Package]) -> String {
    let mut members = String::new();
    let mut patches = String::new();
    for package in packages {
        let (name, place) = (&package.name, package.unpacked_name());
        // Writing into a string cannot fail.
        let _ = writeln!(members, "    \"package/{place}\",");
        let _ = writeln!(patches, "{name} = {{ path = \"package/{place}\" }}");
    }
    format!("[workspace]\nresolver = \"3\"\nmembers = [\n{members}]\n\n[patch.crates-io]\n{patches}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::package::Workspace;

    #[test]
    fn every_package_is_a_member_and_found_there() {
        let workspace = Workspace::load_from(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let packages: Vec<&Package> = workspace.published().collect();
        let manifest = manifest(&packages);
        let version = &packages[0].version;
        assert!(
            manifest.contains(&format!("\n    \"package/krad-{version}\",\n")),
            "{manifest}"
        );
        assert!(
            manifest.contains(&format!("\nkrad = {{ path = \"package/krad-{version}\" }}\n")),
            "{manifest}"
        );
        assert!(!manifest.contains("xtask"), "{manifest}");
    }
}
