//! `cargo xtask check`: what has to hold before a release and is too slow, or changes too seldom, to be asked of every
//! change.

mod package;
mod readme;
mod unpacked;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::machine::succeeds;
use crate::outcome::{Finished, summary};
use crate::step::Step;
use package::{Package, Workspace};

/// A directory for builds of its own: the programs that a packaged crate builds do not replace those of the tree.
const TARGET_DIRECTORY: &str = "target/check";

/// A target that has `core` and `alloc` but no `std`.
const NO_STD_TARGET: &str = "x86_64-unknown-none";

/// Crates that build without `std`, and the features that keep it so.
const NO_STD: [(&str, &[&str]); 1] = [("otp-core", &["rand"])];

/// Looks at the manifests and READMEs of what is published, then runs the steps up to the first that fails.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load()?;
    let complaints = workspace.complaints();
    ensure!(complaints.is_empty(), "not ready:\n{}", complaints.join("\n"));
    let packages: Vec<&Package> = workspace.published().collect();
    println!("== manifests: {} packages to publish", packages.len());

    let oldest = workspace.rust_version()?;
    let compiler = compiler_version()?;
    require_tools(&oldest, &compiler)?;
    unpacked::prepare(Path::new(TARGET_DIRECTORY), &packages)?;
    run_steps(&steps(&packages, &oldest, &compiler))
}

fn steps(packages: &[&Package], oldest: &str, compiler: &str) -> Vec<Step> {
    let in_target = |name, line: &str| Step::new(name, &format!("{line} --target-dir {TARGET_DIRECTORY}"));
    let chosen: String = packages
        .iter()
        .map(|package| format!(" -p {}", package.name))
        .collect();
    let mut steps = vec![
        Step::new("dependencies", "cargo deny check licenses bans sources"),
        // It is no member, so nothing else notices when its versions are those of another day.
        Step::new(
            "versions of the fuzz targets",
            "cargo tree --manifest-path fuzz/Cargo.toml --locked --depth 0",
        ),
    ];
    if !is_version(compiler, oldest) {
        let line = format!("cargo +{oldest} check --workspace --all-targets --all-features");
        steps.push(in_target("oldest compiler", &line));
    }
    for package in packages {
        for features in package.feature_sets() {
            let name = &package.name;
            let line = format!(
                "cargo clippy --lib -p {name} --no-default-features{}",
                listed(&[features])
            );
            let step = in_target("features", &line);
            steps.push(step.arg("--").arg("-D").arg("warnings"));
        }
    }
    for (package, features) in NO_STD {
        for features in [&[][..], features] {
            let line = format!(
                "cargo build -p {package} --no-default-features --target {NO_STD_TARGET}{}",
                listed(features)
            );
            steps.push(in_target("without std", &line));
        }
    }
    let unpacked = format!("--manifest-path {TARGET_DIRECTORY}/Cargo.toml --workspace --all-features");
    steps.extend([
        // As docs.rs builds it.
        in_target("documentation", &format!("cargo doc --no-deps --all-features{chosen}"))
            .env("RUSTDOCFLAGS", "-D warnings --cfg docsrs"),
        in_target("packages", "cargo publish --workspace --dry-run --allow-dirty"),
        in_target("tests of the packages", &format!("cargo test --no-run {unpacked}")),
        // Each dependency as old as its requirement says, what it needs itself as new as there is.
        Step::new(
            "oldest dependencies",
            &format!(
                "cargo +nightly generate-lockfile -Z direct-minimal-versions --manifest-path {TARGET_DIRECTORY}/Cargo.toml"
            ),
        ),
        in_target("with the oldest dependencies", &format!("cargo check {unpacked}")),
    ]);
    steps
}

/// The option that turns `features` on; none at all for no feature.
fn listed(features: &[&str]) -> String {
    let features: Vec<&str> = features.iter().copied().filter(|name| !name.is_empty()).collect();
    if features.is_empty() {
        String::new()
    } else {
        format!(" --features {}", features.join(","))
    }
}

fn run_steps(steps: &[Step]) -> anyhow::Result<ExitCode> {
    let mut finished = Vec::new();
    let mut failed = None;
    for (number, step) in (1..).zip(steps) {
        println!("\n({number} of {})", steps.len());
        let ran = step.run(&mut std::io::stdout())?;
        finished.push(Finished {
            name: step.name,
            succeeded: ran.status.success(),
            took: ran.took,
        });
        if !ran.status.success() {
            failed = Some(format!("failed with {}: {step}", ran.status));
            break;
        }
    }
    print!("\n{}", summary(&finished));
    Ok(match failed {
        Some(failed) => {
            println!("{failed}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    })
}

/// Fails with the line to type for the first tool that is not there.
fn require_tools(oldest: &str, compiler: &str) -> anyhow::Result<()> {
    ensure!(
        succeeds("cargo", &["deny", "--version"]),
        "licences and sources are checked with cargo-deny; run: cargo install --locked cargo-deny"
    );
    ensure!(
        is_version(compiler, oldest) || succeeds("cargo", &[&format!("+{oldest}"), "--version"]),
        "the oldest compiler that is promised is not installed; run: rustup toolchain install {oldest} --profile minimal"
    );
    ensure!(
        succeeds("cargo", &["+nightly", "--version"]),
        "a nightly toolchain chooses the oldest dependencies; run: rustup toolchain install nightly --profile minimal"
    );
    let library = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", NO_STD_TARGET])
        .output()
        .context("cannot start rustc")?;
    let library = String::from_utf8_lossy(&library.stdout).trim().to_owned();
    ensure!(
        Path::new(&library).is_dir(),
        "the target without std is not installed; run: rustup target add {NO_STD_TARGET}"
    );
    Ok(())
}

/// The version of the compiler that cargo uses: `1.95.0`.
fn compiler_version() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .output()
        .context("cannot start rustc")?;
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = line.split(' ').nth(1).context("rustc tells no version")?;
    Ok(version.to_owned())
}

/// Whether `compiler` is a release of the version `oldest`: patches of a release take the same programs.
fn is_version(compiler: &str, oldest: &str) -> bool {
    let minor = |version: &str| {
        let mut numbers = version.splitn(3, '.');
        (
            numbers.next().map(str::to_owned),
            numbers.next().map(str::to_owned),
        )
    };
    minor(compiler) == minor(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(compiler: &str) -> Vec<String> {
        let workspace = Workspace::load_from(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let packages: Vec<&Package> = workspace.published().collect();
        let steps = steps(&packages, "1.95.0", compiler);
        steps.iter().map(Step::to_string).collect()
    }

    #[test]
    fn the_oldest_compiler_is_asked_only_if_it_is_another() {
        let asked = |compiler| {
            lines(compiler)
                .iter()
                .any(|line| line.starts_with("cargo +1.95.0 "))
        };
        assert!(asked("1.96.0"));
        assert!(asked("1.96.0-beta.2"));
        assert!(!asked("1.95.0"));
        assert!(!asked("1.95.1"));
    }

    #[test]
    fn features_are_built_alone_and_not_at_all() {
        let lines = lines("1.95.0");
        for features in ["", " --features rand", " --features std"] {
            let wanted =
                format!("cargo clippy --lib -p otp-core --no-default-features{features} --target-dir");
            assert!(lines.iter().any(|line| line.contains(&wanted)), "{wanted}");
        }
        let bare = format!("--target {NO_STD_TARGET} --target-dir {TARGET_DIRECTORY}");
        assert!(lines.iter().any(|line| line.ends_with(&bare)));
    }

    #[test]
    fn what_is_published_is_documented() {
        let lines = lines("1.95.0");
        let documentation = lines.iter().find(|line| line.contains("docsrs")).unwrap();
        for name in ["krad", "otpctl", "otp-radiusd", "pskc"] {
            assert!(documentation.contains(&format!(" -p {name} ")), "{documentation}");
        }
        assert!(!documentation.contains("-p xtask"));
    }

    /// What a release asks of manifests and READMEs holds all the time.
    #[test]
    fn every_package_is_ready() {
        let workspace = Workspace::load_from(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(workspace.complaints(), Vec::<String>::new());
    }
}
