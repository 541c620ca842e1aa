//! The JSON dialect that MIT krb5 reads string attributes with.
//!
//! It differs from RFC 8259 in both directions:
//!
//! - strings are octets, not characters: anything but `"` and `\` may stand in one unescaped, control characters and
//!   octets ≥ 0x80 included;
//! - `\uXXXX` takes upper-case hexadecimal digits up to `00FF` and yields **one octet**;
//! - numbers are integers in −2⁶³ … 2⁶³−1; leading zeros are allowed, fractions and exponents are not;
//! - containers nest at most [`MAX_DEPTH`] deep;
//! - the text ends at the first NUL.

mod grammar;

use std::fmt;

use crate::DecodeError;

/// How deep arrays and objects may nest: a KDC refuses the 64th.
pub const MAX_DEPTH: usize = 63;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Offset of the first octet of the value in the text.
    pub at: usize,
    /// The value.
    pub value: Value,
}

/// A JSON value. [`Display`](fmt::Display) writes its canonical form: no blanks, printable ASCII alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Number(i64),
    /// A string of octets, which may hold NULs; a KDC reads up to the first of them.
    String(Vec<u8>),
    /// An array.
    Array(Vec<Node>),
    /// The members of an object in the order of the text, duplicates included.
    Object(Vec<Member>),
}

/// One `"key": value` of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Offset of the opening quote of the key in the text.
    pub at: usize,
    /// The key's octets.
    pub key: Vec<u8>,
    /// The value.
    pub node: Node,
}

/// Decodes one value, with blanks before and after it.
///
/// ```
/// use otp_userstring::json::{self, Value};
///
/// let node = json::decode(br#" [ 007, "\u00E9" ] "#)?;
/// assert_eq!(node.at, 1);
/// assert_eq!(node.value.to_string(), r#"[7,"\u00E9"]"#);
/// # Ok::<(), otp_userstring::DecodeError>(())
/// ```
///
/// # Errors
///
/// Any variant of [`DecodeError`] that is about syntax, with the offset of the octet that does not fit.
pub fn decode(octets: &[u8]) -> Result<Node, DecodeError> {
    grammar::text(until_nul(octets))
}

/// What a reader of C strings sees of `octets`: everything before the first NUL.
pub(crate) fn until_nul(octets: &[u8]) -> &[u8] {
    octets.split(|&octet| octet == 0).next().unwrap_or_default()
}

/// Whether `octet` may stand between tokens of the grammar.
pub(crate) fn is_blank(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

/// Writes `octets` as a JSON string in printable ASCII: control characters, DEL and octets ≥ 0x80 become `\u00XX`.
///
/// A KDC takes raw octets as well, but a terminal, a line editor or a locale on the way may not leave them alone.
pub fn quote(octets: &[u8]) -> impl fmt::Display + '_ {
    fmt::from_fn(move |out| write_quoted(out, octets))
}

/// Writes what [`quote`] shows. A generic writer, so that a `String` is written without the machinery of formatting.
pub(crate) fn write_quoted(out: &mut impl fmt::Write, octets: &[u8]) -> fmt::Result {
    out.write_str("\"")?;
    // What needs no escape is written run by run: each write costs as much as many octets.
    for piece in octets.split_inclusive(|octet| !is_plain(octet)) {
        let (run, last) = match piece.split_last() {
            Some((last, run)) if !is_plain(last) => (run, Some(*last)),
            _ => (piece, None),
        };
        out.write_str(str::from_utf8(run).map_err(|_| fmt::Error)?)?; // ASCII, so there is no error
        if let Some(octet) = last {
            write_escape(out, octet)?;
        }
    }
    out.write_str("\"")
}

/// Whether an octet stands in a canonical string as it is.
fn is_plain(octet: &u8) -> bool {
    matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\')
}

fn write_escape(out: &mut impl fmt::Write, octet: u8) -> fmt::Result {
    match octet {
        b'"' => out.write_str("\\\""),
        b'\\' => out.write_str("\\\\"),
        0x08 => out.write_str("\\b"),
        0x0C => out.write_str("\\f"),
        b'\n' => out.write_str("\\n"),
        b'\r' => out.write_str("\\r"),
        b'\t' => out.write_str("\\t"),
        _ => write!(out, "\\u{octet:04X}"),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Number(value) => write!(out, "{value}"),
            Self::String(octets) => write_quoted(out, octets),
            Self::Array(items) => {
                write_list(out, ['[', ']'], items, |out, item| write!(out, "{}", item.value))
            }
            Self::Object(members) => write_list(out, ['{', '}'], members, |out, member| {
                write_quoted(out, &member.key)?;
                write!(out, ":{}", member.node.value)
            }),
        }
    }
}

/// Writes `items` between `brackets`, separated by commas.
pub(crate) fn write_list<W: fmt::Write, T>(
    out: &mut W,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(&mut W, T) -> fmt::Result,
) -> fmt::Result {
    out.write_char(open)?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.write_str(",")?;
        }
        write_item(out, item)?;
    }
    out.write_char(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The canonical form of what `text` decodes to.
    fn canonical(text: &[u8]) -> Result<String, DecodeError> {
        decode(text).map(|node| node.value.to_string())
    }

    /// The round-trip vectors of MIT krb5's own tests of its JSON library.
    const ROUND_TRIPS: [&str; 11] = [
        r#"{"k1":"s1","k2":"s2"}"#,
        r#"{"k1":{"k2":{"k3":"v","k4":["v"]}},"k5":{}}"#,
        r#"["v1","v2",["v3","v4",["v 5"," v 7 "]],-123456789,null,true,false,123456789,""]"#,
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "null",
        "true",
        "false",
        "[]",
        r#""\\abc\"\nde\b\r/\ff\tghi\u0001\u001F""#,
    ];

    #[test]
    fn round_trip_vectors_encode_back_unchanged() {
        for text in ROUND_TRIPS {
            assert_eq!(canonical(text.as_bytes()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn blanks_and_spellings_are_normalized() {
        let rows: [(&[u8], &str); 9] = [
            (b"\t \"foo\\\"bar\" ", r#""foo\"bar""#),
            (b" [ -1 ]\r\n", "[-1]"),
            (b"{ \"a\" : [ ] , \"b\":{ } }", r#"{"a":[],"b":{}}"#),
            (b"007", "7"),
            (b"-0", "0"),
            (b"\"\\/\\u0041\\u00FF\\u0000\"", r#""/A\u00FF\u0000""#),
            (b"\"\x01\x7F\xC3\xA9\xFF\"", r#""\u0001\u007F\u00C3\u00A9\u00FF""#),
            (b"[1]\0]]", "[1]"),
            (b"{\"k\":1,\"k\":2}", r#"{"k":1,"k":2}"#),
        ];
        for (text, expected) in rows {
            assert_eq!(
                canonical(text).as_deref(),
                Ok(expected),
                "{}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn what_the_dialect_lacks_is_refused_with_its_octet() {
        use DecodeError::{Escape, Number, Trailing, Truncated, Unexpected};
        let rows: [(&[u8], DecodeError); 38] = [
            (b"", Truncated { at: 0 }),
            (b" \n", Truncated { at: 2 }),
            (b"[", Truncated { at: 1 }),
            (b"[{}", Truncated { at: 3 }),
            (b"[1,", Truncated { at: 3 }),
            (b"[\0]", Truncated { at: 1 }),
            (b"[[1,]", Unexpected { at: 4, octet: b']' }),
            (b"[,1]", Unexpected { at: 1, octet: b',' }),
            (b"[1 2]", Unexpected { at: 3, octet: b'2' }),
            (b"[1}", Unexpected { at: 2, octet: b'}' }),
            (b"{", Truncated { at: 1 }),
            (b"{\"a\"", Truncated { at: 4 }),
            (b"{\"a\":", Truncated { at: 5 }),
            (b"{\"a\" 1}", Unexpected { at: 5, octet: b'1' }),
            (b"{\"a\":1,}", Unexpected { at: 7, octet: b'}' }),
            (b"{1:1}", Unexpected { at: 1, octet: b'1' }),
            (b"{type:x}", Unexpected { at: 1, octet: b't' }),
            (b"\"ab", Truncated { at: 3 }),
            (b"\"\\", Truncated { at: 2 }),
            (b"\"\\u00", Truncated { at: 5 }),
            (b"\"\\x\"", Escape { at: 2 }),
            (b"\"\\u00e9\"", Escape { at: 3 }),
            (b"\"\\u0100\"", Escape { at: 3 }),
            (b"\"\\u20AC\"", Escape { at: 3 }),
            (b"\"\\u4\"", Escape { at: 3 }),
            (b"-", Truncated { at: 1 }),
            (b"+1", Unexpected { at: 0, octet: b'+' }),
            (b"1.5", Trailing { at: 1 }),
            (b"1e3", Trailing { at: 1 }),
            (b"18446744073709551616", Number { at: 0 }),
            (b"9223372036854775808", Number { at: 0 }),
            (b" -9223372036854775809", Number { at: 1 }),
            (b"nul", Truncated { at: 3 }),
            (b"Null", Unexpected { at: 0, octet: b'N' }),
            (b"nulltrue", Trailing { at: 4 }),
            (b"// x\n1", Unexpected { at: 0, octet: b'/' }),
            (b"\xEF\xBB\xBF1", Unexpected { at: 0, octet: 0xEF }),
            (b"[] x", Trailing { at: 3 }),
        ];
        for (text, expected) in rows {
            assert_eq!(decode(text), Err(expected), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn the_64th_container_is_one_too_deep() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(decode(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            decode(&nested(MAX_DEPTH + 1)),
            Err(DecodeError::Depth { at: MAX_DEPTH })
        );
        // Depth counts open containers: siblings do not add up.
        let siblings = format!("[{}]", vec!["[]"; 200].join(","));
        assert!(decode(siblings.as_bytes()).is_ok());
        let objects = format!("{}1{}", "{\"k\":".repeat(64), "}".repeat(64));
        assert_eq!(decode(objects.as_bytes()), Err(DecodeError::Depth { at: 63 * 5 }));
    }
}
