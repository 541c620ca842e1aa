//! Prints what libprofile sees of a search path: `profile_dump FILE…`, as in `profile_dump kdc.conf krb5.conf`.
//!
//! One relation a line, `section/sub/name = value`, in the order in which the library iterates; a section that several
//! files have is printed where the first of them has it. Newline, tab, backspace and backslash are printed as `\n`,
//! `\t`, `\b` and `\\`. Final marks mean what they mean up to krb5 1.21. Files that a Kerberos program would refuse
//! give one line, `ERROR` and the reason, and the status 1.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use krb5_profile::{Child, Filesystem, FinalRule, Profile};

fn main() -> io::Result<ExitCode> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        eprintln!("usage: profile_dump FILE…");
        return Ok(ExitCode::from(2));
    }
    let (text, status) = match Profile::load(&files, &Filesystem, FinalRule::Before1_22) {
        Err(error) => (refusal(&error.to_string()), ExitCode::FAILURE),
        Ok(profile) if profile.trees().is_empty() => (refusal("none of the files exists"), ExitCode::FAILURE),
        Ok(profile) => (dump(&profile), ExitCode::SUCCESS),
    };
    match io::stdout().lock().write_all(&text) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(status),
        other => other.map(|()| status),
    }
}

fn refusal(reason: &str) -> Vec<u8> {
    [b"ERROR ", reason.as_bytes(), b"\n"].concat()
}

/// The lines. A list of open sections stands in for recursion, because how deep they nest is the files' choice.
fn dump(profile: &Profile) -> Vec<u8> {
    let mut out = Vec::new();
    let mut path: Vec<&[u8]> = Vec::new();
    let mut open = vec![children(profile, &path).into_iter()];
    while let Some(section) = open.last_mut() {
        match section.next() {
            Some(Child::Section(child)) => {
                path.push(child.name());
                open.push(children(profile, &path).into_iter());
            }
            Some(Child::Relation(relation)) => {
                for section in &path {
                    out.extend([&escape(section)[..], b"/"].concat());
                }
                let (name, value) = (escape(relation.name()), escape(relation.value()));
                out.extend([&name[..], b" = ", &value, b"\n"].concat());
            }
            None => {
                open.pop();
                path.pop();
            }
        }
    }
    out
}

/// What the section holds, every subsection once: going into it shows what all files say of it.
fn children<'a>(profile: &'a Profile, path: &[&[u8]]) -> Vec<Child<'a>> {
    let (mut children, mut seen) = (profile.children(path), HashSet::new());
    children.retain(|child| matches!(child, Child::Relation(_)) || seen.insert(child.name()));
    children
}

fn escape(octets: &[u8]) -> Vec<u8> {
    let escaped = octets.iter().flat_map(|octet| match octet {
        b'\n' => b"\\n",
        b'\t' => b"\\t",
        0x08 => b"\\b",
        b'\\' => b"\\\\",
        other => std::slice::from_ref(other),
    });
    escaped.copied().collect()
}
