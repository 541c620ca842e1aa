//! Backups: everything but replayable verdicts in one file that every engine can read, and the way back.
//!
//! A backup is `otp-backup-4`, a newline, and frames: one octet for the kind, four for the length of the payload
//! (big-endian), the payload. The first frame is the header (`H`), then come users (`U`), replay state (`R`), tokens
//! (`T`), clients (`C`), failures and locks (`L`), rules of replies (`A`), and at last (`E`) the HMAC-SHA256 of every octet before it, under
//! a key that is derived from the sealing key. Payloads are sequences of values: null, integer, text, octets. Secrets stay sealed as they are in
//! the database, bound to the random names of their rows, so that rows may get other numbers.
//!
//! The number in the first line moves with the columns, which are only ever added at the end of their row, and with the kinds of rows, which
//! are only ever added behind the others: in a backup of an older format the columns are missing, and are null, and there are no such rows.

mod error;
mod format;
mod restore;
mod rows;
mod verify;
mod write;

use otp_validation::UnixTime;

pub use error::BackupError;

use crate::KeyId;

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSummary {
    /// When it was made, by the clock of whoever made it.
    pub created_at: UnixTime,
    /// The sealing key that it was made with; nothing else opens it.
    pub key: KeyId,
    /// Users.
    pub users: u64,
    /// Tokens.
    pub tokens: u64,
    /// Clients.
    pub clients: u64,
    /// Rules of replies.
    pub rules: u64,
}

/// How far a backup, its verification or a restoration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Rows that were written or read …
    pub done: u64,
    /// … of those that there are.
    pub total: u64,
}

/// How a backup is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// By how much counters of HOTP tokens are advanced at least. A token's look-ahead and one more is the least in any case.
    pub hotp_advance: u32,
}

/// What a restoration has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// What the backup held.
    pub backup: BackupSummary,
    /// HOTP tokens, whose counters were advanced.
    pub hotp_tokens: u64,
    /// TOTP tokens: none of their codes is accepted …
    pub totp_tokens: u64,
    /// … before this time.
    pub totp_from: Option<UnixTime>,
}
