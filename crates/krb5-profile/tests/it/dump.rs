//! Everything that queries can see of a profile, as lines of text.

use std::fmt::Write as _;

use krb5_profile::{ConfigError, Profile};

/// Sections, relations and values in the order in which queries return them; or the code of the error.
pub fn dump(profile: &Result<Profile, ConfigError>) -> String {
    match profile {
        Ok(profile) => {
            let mut out = String::new();
            section(profile, &mut Vec::new(), &mut out);
            out
        }
        Err(error) => format!(
            "error {}\n",
            error.code().expect("the code of a syntax or include error")
        ),
    }
}

fn section(profile: &Profile, path: &mut Vec<Vec<u8>>, out: &mut String) {
    if !path.is_empty() {
        for name in profile.relation_names(&path[..]) {
            let values = profile.relations([&path[..], &[name.to_vec()]].concat());
            // A name of which every value is out of reach is listed and has none.
            for relation in values {
                writeln!(out, "{}r{}={}", indent(path), hex(name), hex(relation.value())).unwrap();
            }
        }
    }
    let mut names = Vec::new();
    for child in profile.subsections(&path[..]) {
        writeln!(out, "{}s{}", indent(path), hex(child.name())).unwrap();
        if !names.contains(&child.name()) {
            names.push(child.name());
        }
    }
    for name in names {
        writeln!(out, "{}>{}", indent(path), hex(name)).unwrap();
        path.push(name.to_vec());
        section(profile, path, out);
        path.pop();
    }
}

fn indent(path: &[Vec<u8>]) -> String {
    " ".repeat(path.len())
}

pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
