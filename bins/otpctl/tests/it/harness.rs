//! A state directory and the program that works on it.

use std::{
    ffi::OsStr,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use otp_core::{Algorithm, Digits, Hotp, TokenKey, Totp};
use otp_service::{Clock, SystemClock};
use otp_store::{Commit, Paths, Store};
use otp_validation::{Effect, Lockout, UserName};
use serde_json::Value;
use tempfile::TempDir;

/// RFC 4226 Appendix D: "12345678901234567890".
pub const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// Its codes for the counters from 0 on.
pub const CODES: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
];

pub fn key() -> TokenKey {
    TokenKey::from(*b"12345678901234567890")
}

/// The code that [`KEY`] shows now.
pub fn totp_now(totp: Totp) -> String {
    totp.at(&key(), SystemClock.now().0).unwrap().as_str().to_owned()
}

pub fn hotp_of(algorithm: Algorithm, digits: Digits, counter: u64) -> String {
    Hotp { algorithm, digits }
        .generate(&key(), counter)
        .as_str()
        .to_owned()
}

/// What a run has left behind.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Expects an exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Expects success.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Expects a text on standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {self:#?}");
        self
    }

    /// Expects a text on standard output.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "{text:?} is not in {self:#?}");
        self
    }

    /// Standard output as one line of JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "{self:#?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// A state directory of its own.
pub struct State {
    pub directory: TempDir,
}

impl State {
    /// No state yet.
    pub fn none() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// After `otpctl init`.
    pub fn new() -> Self {
        let state = Self::none();
        state.run(["init"]).ok();
        state
    }

    /// After `otpctl init`, with alice and her HOTP token of [`KEY`], active.
    pub fn with_alice() -> Self {
        let state = Self::new();
        state.run(["user", "add", "alice"]).ok();
        state
            .run_with(
                ["token", "add", "alice", "--type", "hotp", "--secret", "--active"],
                KEY,
            )
            .ok();
        state
    }

    /// Closes alice's account at a client for ten minutes, as guesses do whose delays the test would have to wait for.
    pub fn lock_alice(&self, client: &str, otp_failures: u32) {
        let store = Store::open(&Paths::new(self.path())).unwrap();
        let account = store.account(&UserName::parse(b"alice").unwrap()).unwrap();
        let now = SystemClock.now().0;
        let effect = Effect::SetLockout {
            client: store.client(client).unwrap().unwrap().id,
            lockout: Lockout {
                otp_failures,
                password_failures: 0,
                failed_at: now,
                locked_until: now + 600,
            },
            locked_until: 0,
        };
        let committed = store.commit_effects(&account.unwrap(), &[effect]).unwrap();
        assert_eq!(committed, Commit::Recorded);
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command with nothing on standard input.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Done {
        self.run_with(arguments, "")
    }

    /// Runs a command that reads `input`.
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: impl AsRef<[u8]>,
    ) -> Done {
        let mut child = Command::new(env!("CARGO_BIN_EXE_otpctl"))
            .args(arguments)
            .env_clear()
            .env("OTP_RADIUSD_STATE_DIR", self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that fails early does not read what it is given.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        let output = child.wait_with_output().unwrap();
        Done {
            code: output.status.code().expect("otpctl was killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command with `--json` and returns its result.
    #[track_caller]
    pub fn json<const N: usize>(&self, arguments: [&str; N]) -> Value {
        self.run(arguments.into_iter().chain(["--json"])).ok().json()
    }
}
