//! Booleans and integers as libprofile reads them.

use crate::line::is_blank;

/// Reads a boolean: `y yes true t 1 on` or `n no false nil 0 off`, in any case; nothing else, and no blanks.
///
/// ```
/// assert_eq!(krb5_profile::boolean(b"Yes"), Some(true));
/// assert_eq!(krb5_profile::boolean(b"nil"), Some(false));
/// assert_eq!(krb5_profile::boolean(b"f"), None);
/// ```
#[must_use]
pub fn boolean(value: &[u8]) -> Option<bool> {
    const TRUE: [&str; 6] = ["y", "yes", "true", "t", "1", "on"];
    const FALSE: [&str; 6] = ["n", "no", "false", "nil", "0", "off"];
    let is_one_of = |words: [&str; 6]| {
        words
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
    };
    match (is_one_of(TRUE), is_one_of(FALSE)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Reads a C `int` as `strtol` with base 10 does: blanks and a sign may lead, nothing may follow.
///
/// ```
/// assert_eq!(krb5_profile::integer(b" +010"), Some(10));
/// assert_eq!(krb5_profile::integer(b"5s"), None);
/// assert_eq!(krb5_profile::integer(b"2147483648"), None);
/// ```
#[must_use]
pub fn integer(value: &[u8]) -> Option<i32> {
    let blanks = value.iter().take_while(|octet| is_blank(**octet)).count();
    let number = std::str::from_utf8(value.get(blanks..)?).ok()?;
    // Rust's reading is C's: an optional sign, then decimal digits only, at least one.
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        for word in ["y", "YES", "True", "t", "1", "oN"] {
            assert_eq!(boolean(word.as_bytes()), Some(true), "{word}");
        }
        for word in ["n", "NO", "False", "nil", "0", "oFF"] {
            assert_eq!(boolean(word.as_bytes()), Some(false), "{word}");
        }
        for word in ["", " ", "f", "true ", " true", "2", "enable", "yes!", "-1"] {
            assert_eq!(boolean(word.as_bytes()), None, "{word:?}");
        }
    }

    #[test]
    fn integers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("010", Some(10)),
            ("+5", Some(5)),
            ("-1", Some(-1)),
            (" \t\n\x0b\x0c\r7", Some(7)),
            ("2147483647", Some(i32::MAX)),
            ("-2147483648", Some(i32::MIN)),
            ("00000000000000000000000000000000001", Some(1)),
            ("2147483648", None),
            ("-2147483649", None),
            ("99999999999999999999999", None),
            ("", None),
            (" ", None),
            ("+", None),
            ("+-5", None),
            ("- 5", None),
            ("5 ", None),
            ("5s", None),
            ("0x10", None),
            ("1.5", None),
            ("5\u{a0}", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text:?}");
        }
    }
}
