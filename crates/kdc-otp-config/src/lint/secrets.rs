//! `secret`: the name of a file, and what the file holds.

use std::io::ErrorKind;

use krb5_profile::FileAccess;
use zeroize::Zeroizing;

use super::Context;
use crate::decode::{secret_path, shown};
use crate::finding::Rule;
use crate::kdc::KdcBuild;
use crate::secret::{MAX_SECRET, line_of};

/// RFC 2865 §3: a secret ought to be as unguessable as a good password; 16 octets are what is advised since.
const SHORT: usize = 16;

pub(super) fn lint(context: &mut Context<'_>, files: &impl FileAccess, build: &KdcBuild) {
    let is_unix = context.server.is_unix();
    let Some(relation) = context.relation("secret") else {
        if !is_unix {
            let message =
                "a server that is not a UNIX socket needs a secret; without one the KDC runs without OTP";
            let advice = "put the secret into a file that only root can read, and write secret = FILE";
            context.report(Rule::SecretMissing, None, "secret", message, advice);
        }
        return;
    };
    let path = secret_path(relation.value(), build);
    let shown = shown(&path);
    let at = Some(relation.position());
    let mut report = |rule, message: &str, advice: &str| context.report(rule, at, "secret", message, advice);

    let octets = match files.read(&path).map(Zeroizing::new) {
        Ok(octets) => octets,
        Err(error) => {
            let message =
                format!("the secret file {shown} cannot be read ({error}); the KDC runs without OTP");
            let advice = match error.kind() {
                ErrorKind::PermissionDenied => {
                    "run this check as the user of the KDC, or mend the permissions"
                }
                _ if looks_inline(relation.value()) => {
                    "the value is the name of a file, not the secret: put the secret into a file and name it here"
                }
                _ => "create the file, with the secret as its only line",
            };
            report(Rule::SecretUnreadable, &message, advice);
            return;
        }
    };
    if octets.is_empty() {
        let message = format!("the secret file {shown} is empty; the KDC runs without OTP");
        report(
            Rule::SecretEmpty,
            &message,
            "write the secret into it, as its only line",
        );
        return;
    }
    let line = line_of(&octets);
    let secret = line.trim();
    if let Some(mode) = files.mode(&path).filter(|mode| mode & 0o077 != 0) {
        let message =
            format!("the secret file {shown} has mode {mode:04o}: others than its owner can use it");
        report(
            Rule::SecretPermissions,
            &message,
            "chmod 600, with the user of the KDC as owner",
        );
    }
    if line.is_cut || line.has_nul || line.has_more_lines {
        let message = format!(
            "the KDC reads the first line of {shown} only, {MAX_SECRET} octets at most and none after a NUL"
        );
        report(
            Rule::SecretIgnoredText,
            &message,
            "leave the secret alone in its file",
        );
    }
    match (secret.len(), is_unix) {
        (0, true) => {
            let message =
                format!("the first line of {shown} is blank; the secret is empty, as it is without a file");
            report(
                Rule::SecretOnSocket,
                &message,
                "remove the key: a UNIX socket needs no secret",
            );
        }
        (0, false) => {
            let message =
                format!("the first line of {shown} is blank: the secret is empty, and protects nothing");
            report(
                Rule::SecretBlank,
                &message,
                "write a random secret into its first line",
            );
        }
        (_, true) => {
            let message = "the type has a UNIX socket and a secret, so that its server needs the same secret";
            report(
                Rule::SecretOnSocket,
                message,
                "remove the key, unless the server is configured with it",
            );
        }
        (1..SHORT, false) => {
            let message = "the secret is short enough to be found by trying";
            report(
                Rule::SecretShort,
                message,
                "use 16 random characters or more, at the server too",
            );
        }
        _ => {}
    }
    if !secret.is_empty() && line.has_outer_blanks() {
        let message = format!("blanks around the secret in {shown} are not part of it");
        report(
            Rule::SecretBlanks,
            &message,
            "remove them, and see that the server's secret has none either",
        );
    }
}

/// Whether a value that names no file looks more like a secret than like a name.
fn looks_inline(value: &[u8]) -> bool {
    !value.contains(&b'/') && !value.contains(&b'.')
}
