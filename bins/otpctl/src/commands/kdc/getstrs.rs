//! The string attributes of a principal, as `kadmin.local` prints them.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use kdc_otp::Principal;
use otp_userstring::ATTRIBUTE;

use crate::{Exit, failure::Failure};

/// The `otp` string of a principal in the database of this machine; `None` if it has none.
pub(super) fn otp_string(principal: &Principal) -> Result<Option<Vec<u8>>, Failure> {
    let name = String::from_utf8(principal.unparse())
        .map_err(|_| Failure::usage("kadmin.local takes no principal that is not text (UTF-8)"))?;
    let realm = String::from_utf8_lossy(principal.realm()).into_owned();
    let output = Command::new(program())
        .args(["-r", &realm, "getstrs", &name])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::usage("there is no kadmin.local to read the user string with")
            }
            _ => Failure::new(Exit::Io, error),
        })
        .map_err(|failure| failure.with_remedy(REMEDY))?;
    // kadmin.local exits with 0 whatever happens; what failed it says on standard error.
    let said = String::from_utf8_lossy(&output.stderr);
    match said.lines().find(|line| !line.is_empty()) {
        Some(line) => {
            Err(Failure::new(Exit::Io, format!("kadmin.local getstrs: {line}")).with_remedy(REMEDY))
        }
        None if !output.status.success() => {
            let status = output.status;
            Err(Failure::new(Exit::Io, format!("kadmin.local getstrs: {status}")).with_remedy(REMEDY))
        }
        None => Ok(find(&output.stdout)),
    }
}

/// The value in a list of `name: value`, one a line.
fn find(list: &[u8]) -> Option<Vec<u8>> {
    let prefix = [ATTRIBUTE.as_bytes(), b": "].concat();
    let mut lines = list.split(|octet| *octet == b'\n');
    lines.find_map(|line| line.strip_prefix(prefix.as_slice()).map(<[u8]>::to_vec))
}

/// Daemons and their tools stand where the path of a user may not lead.
fn program() -> PathBuf {
    let name = "kadmin.local";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}

const REMEDY: &str =
    "run the command as root on the KDC, or give the value with --user-string or --from-stdin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_found_among_others() {
        let list = b"require_auth: otp: x\notp: [{\"type\":\"a: b\"}] \nother: y\n";
        assert_eq!(find(list).as_deref(), Some(&b"[{\"type\":\"a: b\"}] "[..]));
        assert_eq!(find(b"(No string attributes.)\n"), None);
        assert_eq!(find(b"otp: \n").as_deref(), Some(&b""[..]));
        assert_eq!(find(b""), None);
    }
}
