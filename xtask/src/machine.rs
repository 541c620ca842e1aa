//! Makes the machine ready for the tests.

use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::packages::{self, Package};

/// Installs what is missing of Debian packages.
///
/// Nothing is ever skipped for want of a package: what cannot be installed is an error that says how to do it by hand.
pub(crate) fn provide_packages(required: &[Package]) -> anyhow::Result<()> {
    let Ok(listed) = Command::new("dpkg-query")
        .args(packages::QUERY)
        .args(required.iter().map(|package| package.name))
        .stderr(Stdio::null()) // it complains about each package that is unknown; the status of the others still counts
        .output()
    else {
        bail!(
            "this is not a Debian system; these are needed:\n{}",
            packages::what_they_provide(required).trim_end()
        );
    };
    let missing = packages::missing(required, &String::from_utf8_lossy(&listed.stdout));
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        succeeds("apt-get", &["--version"]),
        "there is no apt-get; these are still needed:\n{}",
        packages::what_they_provide(&missing).trim_end()
    );
    install(&missing)
}

fn install(missing: &[Package]) -> anyhow::Result<()> {
    let by_hand = || {
        format!(
            "install the missing packages as root: {}",
            packages::install_line(missing)
        )
    };
    let prefix: &[&str] = match () {
        () if is_root() => &[],
        () if succeeds("sudo", &["-n", "true"]) => &["sudo", "-n"],
        () => bail!("{}", by_hand()),
    };
    println!("== packages: {}", packages::install_line(missing));
    for arguments in [vec!["update"], packages::install_arguments(missing)] {
        // `sudo` does not pass the environment on, so `env` sets it behind it. A held lock is waited for.
        let words = [
            prefix,
            &[
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "-oDPkg::Lock::Timeout=300",
            ],
        ]
        .concat()
        .into_iter()
        .chain(arguments)
        .collect::<Vec<_>>();
        let (program, arguments) = words.split_first().context("a command has a program")?;
        let status = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {program}"))?;
        ensure!(
            status.success(),
            "{} failed: {status}; {}",
            words.join(" "),
            by_hand()
        );
    }
    Ok(())
}

/// Fails with the rustup line if the toolchain lacks a component that the tests need.
pub(crate) fn require_components() -> anyhow::Result<()> {
    let missing: Vec<&str> = [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(subcommand, _)| !succeeds("cargo", &[subcommand, "--version"]))
        .map(|(_, component)| component)
        .collect();
    ensure!(
        missing.is_empty(),
        "the Rust toolchain lacks {}; run: rustup component add {}",
        missing.join(" and "),
        missing.join(" ")
    );
    Ok(())
}

/// Whether `program` can be started and succeeds, without a word.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What `program` prints, if it succeeds.
pub(crate) fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
