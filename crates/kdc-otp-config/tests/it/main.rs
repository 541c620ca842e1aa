//! `[otp]` as the KDC reads it, and what is reported.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod agreement;
mod decoding;
mod findings;

use kdc_otp_config::{KdcBuild, MemoryFiles, Report, check};

/// A KDC whose files are all in memory.
pub fn kdc() -> KdcBuild {
    KdcBuild::debian()
}

/// The report on an `[otp]` section, in the presence of some secret files.
pub fn report(otp: &str) -> Report {
    check(
        ["kdc.conf"],
        &files(&[("kdc.conf", &format!("[otp]\n{otp}"))]),
        &kdc(),
    )
}

pub fn files(texts: &[(&str, &str)]) -> MemoryFiles {
    let mut files = MemoryFiles::from([
        ("/etc/krb5kdc/good", "0123456789abcdef\n"),
        ("/etc/krb5kdc/short", "otptest"),
        ("/etc/krb5kdc/blank", " \t\n"),
        ("/etc/krb5kdc/empty", ""),
        ("/etc/krb5kdc/lines", "0123456789abcdef\nnext\n"),
        ("/etc/krb5kdc/blanks", " 0123456789abcdef \n"),
        ("/etc/krb5kdc/dir/file", "x"),
    ]);
    for (path, text) in texts {
        files.insert(*path, *text);
    }
    files
}
