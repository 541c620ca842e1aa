//! `cargo xtask static`: both programs as one file each, which needs no library of the machine that it runs on.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, bail, ensure};

use crate::{machine, packages::Package, step::Step};

/// The compiler of the C libraries, SQLite and AWS-LC.
const REQUIRED: [Package; 1] = [Package {
    name: "musl-tools",
    provides: "musl-gcc",
}];

/// Where the programs are tried; emptied at the begin.
const DIRECTORY: &str = "target/static-try";

/// Builds the programs, sees that they load nothing, and tries them.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let profile = match arguments {
        [] => "release",
        ["--profile", profile] => profile,
        _ => bail!("cargo xtask static [--profile NAME]"),
    };
    machine::provide_packages(&REQUIRED)?;
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    provide_target(&target)?;
    let build = format!(
        "cargo build --profile {profile} --target {target} --package otp-radiusd --package otpctl --bins"
    );
    let compiler: &'static str = match env::consts::ARCH {
        "x86_64" => "CC_x86_64_unknown_linux_musl",
        "aarch64" => "CC_aarch64_unknown_linux_musl",
        other => bail!("no static programs for {other}: musl-gcc makes those of x86_64 and aarch64"),
    };
    Step::new("programs", &build).env(compiler, "musl-gcc").must()?;

    let directory = programs(&target, profile);
    for name in ["otp-radiusd", "otpctl"] {
        let program = directory.join(name);
        ensure_static(&program)?;
        let octets = fs::metadata(&program)
            .with_context(|| program.display().to_string())?
            .len();
        println!("{}: static, {:.1} MB", program.display(), octets as f64 / 1e6);
    }
    attempt(&directory)?;
    Ok(ExitCode::SUCCESS)
}

/// Rust's own library for the target.
fn provide_target(target: &str) -> anyhow::Result<()> {
    let installed = machine::output("rustup", &["target", "list", "--installed"])?;
    if installed.lines().any(|line| line.trim() == target) {
        return Ok(());
    }
    Step::new("Rust's library", &format!("rustup target add {target}")).must()
}

fn programs(target: &str, profile: &str) -> PathBuf {
    let base = env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let name = if profile == "dev" { "debug" } else { profile };
    Path::new(&base).join(target).join(name)
}

/// Whether the kernel alone can start it: an executable that wants libraries names the program that loads them.
fn ensure_static(program: &Path) -> anyhow::Result<()> {
    let program = program.to_str().context("a path that is no text")?;
    let headers = machine::output("readelf", &["--program-headers", "--wide", program])?;
    ensure!(
        headers.contains("LOAD") && !headers.contains("INTERP"),
        "{program} is not static:\n{headers}"
    );
    Ok(())
}

/// A state, a user whose password is hashed, and the daemon on it, which answers.
fn attempt(programs: &Path) -> anyhow::Result<()> {
    let directory = Path::new(DIRECTORY);
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {DIRECTORY}"))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {DIRECTORY}"))?;
    let directory = directory.canonicalize().context(DIRECTORY)?;
    let state = directory.join("state");
    let state = state.to_str().context("a path that is no text")?;
    fs::write(directory.join("password"), "correct horse\n").context("cannot write a password")?;
    let otpctl = |words: &[&str], stdin: Option<&str>| -> anyhow::Result<()> {
        let mut command = Command::new(programs.join("otpctl"));
        command.args(["--state-dir", state]).args(words);
        if let Some(name) = stdin {
            command.stdin(File::open(directory.join(name)).context(name.to_owned())?);
        }
        println!("\n== trial: {command:?}");
        let status = command.status().context("cannot start otpctl")?;
        ensure!(status.success(), "{command:?}: {status}");
        Ok(())
    };
    otpctl(&["init"], None)?;
    otpctl(&["user", "add", "alice"], None)?;
    otpctl(&["user", "set", "alice", "--password"], Some("password"))?;
    otpctl(&["user", "list"], None)?;
    let daemon = programs.join("otp-radiusd");
    let daemon = daemon.to_str().context("a path that is no text")?;
    Step::new("trial", daemon)
        .arg("--check")
        .arg("--state-dir")
        .arg(state)
        .must()?;
    println!("\ntried: all of it");
    Ok(())
}
