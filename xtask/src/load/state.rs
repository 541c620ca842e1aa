//! A state of `otp-radiusd` with as many users as wanted, made by its own commands.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use super::now;

/// What the load generator's shared secret is.
pub(super) const SECRET: &str = "the secret of a load generator";

/// Directory of a program of a release build.
pub(super) fn program(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    target.join("release").join(name)
}

/// A state on disk, and what belongs to it.
pub(super) struct State {
    pub(super) directory: PathBuf,
    pub(super) users: u32,
    /// How long `otpctl token import` took.
    pub(super) import_seconds: f64,
}

impl State {
    /// Makes it: `otpctl init`, a client for loopback, the tokens of the load generator's users.
    pub(super) fn make(directory: &Path, users: u32) -> anyhow::Result<Self> {
        let state = Self {
            directory: directory.to_owned(),
            users,
            import_seconds: 0.0,
        };
        state.otpctl(&["init"], Stdio::null())?;
        let secret = directory.join("secret");
        fs::write(&secret, format!("{SECRET}\n")).with_context(|| secret.display().to_string())?;
        let open = |path: &Path| File::open(path).with_context(|| path.display().to_string());
        let add = ["client", "add", "load", "--address", "127.0.0.0/8", "--secret"];
        state.otpctl(&add, open(&secret)?.into())?;

        let tokens = directory.join("tokens.csv");
        let file = File::create(&tokens).with_context(|| tokens.display().to_string())?;
        let written = Command::new(program("radius-load"))
            .args(["udp://127.0.0.1:1", "--tokens", "--users", &users.to_string()])
            .stdout(file)
            .status()
            .context("cannot start radius-load")?;
        ensure!(written.success(), "radius-load --tokens failed: {written}");
        let began = now();
        let file = tokens.display().to_string();
        state.otpctl(&["token", "import", &file, "--create-users"], Stdio::null())?;
        Ok(Self {
            import_seconds: began.elapsed().as_secs_f64(),
            ..state
        })
    }

    /// Gives every user the same password.
    pub(super) fn set_passwords(&self, password: &str) -> anyhow::Result<()> {
        let file = self.directory.join("password");
        fs::write(&file, format!("{password}\n")).with_context(|| file.display().to_string())?;
        for user in 0..self.users {
            let stdin = File::open(&file).with_context(|| file.display().to_string())?;
            let user = format!("u{user:07}");
            self.otpctl(&["user", "set", &user, "--password"], stdin.into())?;
        }
        Ok(())
    }

    /// The tokens, as `otpctl token import` reads them.
    pub(super) fn tokens(&self) -> anyhow::Result<String> {
        let file = self.directory.join("tokens.csv");
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Where the load generator keeps the counters of the tokens.
    pub(super) fn counters(&self) -> PathBuf {
        self.directory.join("counters")
    }

    fn otpctl(&self, arguments: &[&str], stdin: Stdio) -> anyhow::Result<()> {
        let status = Command::new(program("otpctl"))
            .arg("--state-dir")
            .arg(self.path())
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::null())
            .status()
            .context("cannot start otpctl")?;
        ensure!(
            status.success(),
            "otpctl {} failed: {status}",
            arguments.join(" ")
        );
        Ok(())
    }
}
