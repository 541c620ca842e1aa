//! Where the fuzzers are, and how each is started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

/// Octets of the longest input of a target where it is not [`DEFAULT_MAX_LENGTH`]: what is longer only repeats. A stream is
/// several packets.
pub(super) const MAX_LENGTHS: [(&str, u32); 14] = [
    ("base32_decode", 1100),
    ("chap", 512),
    ("credential", 64),
    ("daemon_config", 1024),
    ("hex_decode", 1100),
    ("principal", 256),
    ("profile_value", 64),
    ("pskc_date", 64),
    ("radius_attribute", 256),
    ("radius_stream", 16_384),
    ("tunnel_attribute", 64),
    ("user_name", 300),
    ("user_password", 400),
    ("vendor_specific", 320),
];

/// As long as a RADIUS packet, which is also enough for every text.
const DEFAULT_MAX_LENGTH: u32 = 4096;

/// Seconds that one input may take: a decoder that needs longer is a finding.
const PATIENCE: u32 = 25;

/// Where the fuzzers are.
pub(super) struct Fuzzers {
    host: String,
    target_directory: PathBuf,
}

impl Fuzzers {
    /// The fuzzers for the platform `host`, below `CARGO_TARGET_DIR` or `fuzz/target`.
    pub(super) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            target_directory: std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| PathBuf::from("fuzz/target"), PathBuf::from),
        }
    }

    /// The command that builds them.
    pub(super) fn build_line(&self) -> String {
        format!(
            "cargo +nightly fuzz build --sanitizer address --target {} --target-dir {}",
            self.host,
            self.target_directory.display()
        )
    }

    /// The fuzzer, with a corpus of its own to grow; the one that is committed is only read.
    pub(super) fn command(&self, target: &str, seconds: u32) -> anyhow::Result<Command> {
        let grown = Path::new("fuzz/target/corpus").join(target);
        let artifacts = Path::new("fuzz/artifacts").join(target);
        for directory in [&grown, &artifacts] {
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let max_length = MAX_LENGTHS
            .iter()
            .find(|(name, _)| *name == target)
            .map_or(DEFAULT_MAX_LENGTH, |(_, length)| *length);
        let program = self
            .target_directory
            .join(&self.host)
            .join("release")
            .join(target);
        let mut command = Command::new(program);
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={max_length}"))
            .arg(format!("-timeout={PATIENCE}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg("-print_final_stats=1");
        let dictionary = Path::new("fuzz/dictionaries").join(format!("{target}.dict"));
        if dictionary.exists() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.arg(grown);
        let committed = Path::new("fuzz/corpus").join(target);
        if committed.exists() {
            command.arg(committed);
        }
        // As cargo-fuzz has it: the same static in several crates is no finding.
        command.env("ASAN_OPTIONS", "detect_odr_violation=0");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Ok(command)
    }
}
