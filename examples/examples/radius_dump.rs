//! Shows what MIT libkrad 1.20 makes of RADIUS requests.
//!
//! Lines `SECRET HEX` on standard input, `-` for the empty secret of a UNIX socket; for each, one line on standard
//! output: `ok CODE T:I=HEX …`, ascending by type T and by index I among those of the type, User-Password in the
//! clear; or `err REASON`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use krad::{AttributeType, LengthPolicy, Packet, RequestAuthenticator, SharedSecret, reveal_user_password};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut lines = io::stdin().lock().split(b'\n');
    match lines
        .try_for_each(|line| writeln!(out, "{}", dump(&line?)))
        .and_then(|()| out.flush())
    {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The line for a line.
fn dump(line: &[u8]) -> String {
    match parse(line).and_then(|(secret, octets)| decode(&secret, &octets)) {
        Ok(shown) => format!("ok {shown}"),
        Err(reason) => format!("err {reason}"),
    }
}

/// Secret and packet of a line. The secret is all that precedes the last blank.
fn parse(line: &[u8]) -> Result<(SharedSecret, Vec<u8>), Box<dyn Error>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let blank = line.iter().rposition(|&octet| octet == b' ');
    let (secret, digits) = blank
        .and_then(|at| line.split_at_checked(at))
        .ok_or("not SECRET HEX")?;
    let (pairs, rest) = digits.strip_prefix(b" ").unwrap_or(digits).as_chunks::<2>();
    let octet = |&[high, low]: &[u8; 2]| {
        let digit = |octet| char::from(octet).to_digit(16);
        u8::try_from(digit(high)? << 4 | digit(low)?).ok()
    };
    let octets: Option<Vec<u8>> = pairs.iter().map(octet).collect();
    let octets = octets
        .filter(|_| rest.is_empty())
        .ok_or("the packet is not hexadecimal")?;
    let secret = if secret == b"-" { b"" } else { secret };
    Ok((SharedSecret::new(secret), octets))
}

fn decode(secret: &SharedSecret, octets: &[u8]) -> Result<String, Box<dyn Error>> {
    let packet = Packet::decode_with(octets, LengthPolicy::LibkradBefore1_22)?;
    let authenticator = RequestAuthenticator::from(*packet.authenticator());
    let mut shown = packet.code().0.to_string();
    for kind in (0..=u8::MAX).map(AttributeType) {
        for (index, value) in packet.attributes().all(kind).enumerate() {
            write!(shown, " {}:{index}=", kind.0)?;
            if kind == AttributeType::USER_PASSWORD {
                let password = reveal_user_password(value, secret, &authenticator)?;
                if password.is_empty() {
                    return Err("User-Password is empty".into());
                }
                write_hex(&mut shown, &password)?;
            } else {
                write_hex(&mut shown, value)?;
            }
        }
    }
    Ok(shown)
}

fn write_hex(out: &mut String, octets: &[u8]) -> std::fmt::Result {
    octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
}
