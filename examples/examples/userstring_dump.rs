//! Prints what a KDC makes of `otp` string attributes: `userstring_dump`, a user string a line of standard input.
//!
//! For each line, one line: the tokens in the KDC's order as canonical JSON,
//! `[{"type":"DEFAULT","username":null,"indicators":null},…]`, where `null` stands for what is absent or what the KDC
//! ignores, and control characters and octets ≥ 0x80 are written as `\u00XX`; or `err` and why the KDC cannot use it.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use otp_userstring::{Token, UserString};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut lines = io::stdin().lock().split(b'\n');
    match lines.try_for_each(|line| writeln!(out, "{}", dump(&line?))) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn dump(user_string: &[u8]) -> String {
    match UserString::decode(user_string) {
        Ok(decoded) => list(decoded.user_string.tokens().iter().map(token)),
        Err(error) => format!("err {error}"),
    }
}

fn token(token: &Token) -> String {
    let username = token.username().map(quote);
    let indicators = token
        .indicators()
        .map(|all| list(all.iter().map(|one| quote(one))));
    format!(
        r#"{{"type":{},"username":{},"indicators":{}}}"#,
        quote(token.effective_type()),
        username.as_deref().unwrap_or("null"),
        indicators.as_deref().unwrap_or("null"),
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// The octets as a JSON string of printable ASCII, one spelling for each.
fn quote(octets: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &octet in octets {
        match octet {
            b'"' | b'\\' => quoted.extend(['\\', char::from(octet)]),
            b' '..=b'~' => quoted.push(char::from(octet)),
            // Writing to a String cannot fail.
            _ => _ = write!(quoted, "\\u{octet:04X}"),
        }
    }
    quoted.push('"');
    quoted
}
