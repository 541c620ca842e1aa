//! Import files: the same tokens as a plain reading of lines and commas finds, where nothing is quoted; total, in order,
//! and the same with every short key taken as without, but for the short keys.

use otp_core::{base32, hex};
use otpctl::csv_import::{Kind, Problem, Row, ShortKeys, parse};

/// Checks any file.
pub fn check(file: &[u8]) {
    let strict = parse(file, ShortKeys::Refuse);
    let lenient = parse(file, ShortKeys::DangerousAllow);
    match (&strict, &lenient) {
        (Ok(strict), Ok(lenient)) => {
            assert_eq!(strict.len(), lenient.len());
            assert!(strict.windows(2).all(|pair| pair[0].line < pair[1].line));
            assert!(strict.iter().all(|row| row.key.as_bytes().len() >= 16));
        }
        (Err(strict), Err(_)) => {
            assert!(!strict.is_empty());
            assert!(strict.windows(2).all(|pair| pair[0].line <= pair[1].line));
        }
        // What the stricter rule refuses and the other takes is short keys alone.
        (Err(strict), Ok(_)) => {
            let is_key = |problem: &Problem| matches!(problem, Problem::Secret(_));
            assert!(strict.iter().all(|error| is_key(&error.problem)));
        }
        (Ok(_), Err(_)) => panic!("a file is refused because short keys are allowed"),
    }
    if let Err(errors) = strict {
        // A message is one printable line, whatever the file holds.
        let shown = errors.iter().map(ToString::to_string);
        shown.for_each(|shown| assert!(!shown.contains(char::is_control), "{shown:?}"));
    }
    // Without quotes, a line is a record and a comma ends a field.
    if let (Ok(rows), false) = (&lenient, file.contains(&b'"')) {
        assert_eq!(rows.iter().map(seen).collect::<Vec<_>>(), plainly(file));
    }
}

/// Line, user, label, key, whether it counts events, algorithm, digits, and the period or the counter.
type Seen = (u64, String, Option<String>, Vec<u8>, bool, String, u8, u64);

fn seen(row: &Row) -> Seen {
    let (is_hotp, algorithm, digits, number) = match row.kind {
        Kind::Totp { totp, .. } => (false, totp.algorithm(), totp.digits(), totp.step().get()),
        Kind::Hotp { hotp, counter } => (true, hotp.algorithm, hotp.digits, counter),
    };
    (
        row.line,
        row.user.to_string(),
        row.label.as_ref().map(ToString::to_string),
        row.key.as_bytes().to_vec(),
        is_hotp,
        algorithm.as_str().to_owned(),
        digits.get(),
        number,
    )
}

/// The tokens of a file that is known to be right.
fn plainly(file: &[u8]) -> Vec<Seen> {
    let text = String::from_utf8_lossy(file)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = (1..).zip(text.split('\n')).filter(|(_, line)| !line.is_empty());
    let fields = |line: &str| {
        line.split(',')
            .map(|field| field.trim_ascii().to_owned())
            .collect::<Vec<_>>()
    };
    let header = fields(lines.next().expect("a header").1);
    lines
        .map(|(number, line)| {
            let fields = fields(line);
            let field = |name: &str| {
                let at = header
                    .iter()
                    .position(|column| column.eq_ignore_ascii_case(name))?;
                Some(fields[at].clone()).filter(|field| !field.is_empty())
            };
            let secret = field("secret").expect("a key");
            let key = match secret.split_at_checked(4) {
                Some((prefix, digits)) if prefix.eq_ignore_ascii_case("hex:") => hex::decode(digits).ok(),
                _ => base32::decode(&secret).ok(),
            };
            let is_hotp = field("type").is_some_and(|kind| kind.eq_ignore_ascii_case("hotp"));
            let (column, default) = if is_hotp { ("counter", 0) } else { ("period", 30) };
            let count =
                |name, default: u64| field(name).map_or(default, |field| field.parse().expect("a number"));
            let algorithm = field("algorithm").unwrap_or_else(|| "SHA1".to_owned());
            (
                number,
                field("user").expect("a user"),
                field("label"),
                key.expect("a key").to_vec(),
                is_hotp,
                algorithm
                    .to_ascii_uppercase()
                    .replace(['-', '_'], "")
                    .replace("HMAC", ""),
                u8::try_from(count("digits", 6)).expect("6 to 8"),
                count(column, default),
            )
        })
        .collect()
}
