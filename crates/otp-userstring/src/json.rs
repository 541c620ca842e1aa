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

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_while, take_while_m_n};
use nom::character::complete::{char, digit1};
use nom::combinator::{cut, map, opt, recognize};
use nom::error::{ErrorKind, ParseError};
use nom::multi::fold_many0;
use nom::number::complete::u8 as octet;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

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
    let text = until_nul(octets);
    let grammar = Grammar { length: text.len() };
    let (rest, node) = delimited(blanks, |input| grammar.value(input, 0), blanks)
        .parse(text)
        .map_err(|error| grammar.describe(error))?;
    match rest {
        [] => Ok(node),
        _ => Err(DecodeError::Trailing { at: grammar.at(rest) }),
    }
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
    fmt::from_fn(move |out| {
        out.write_str("\"")?;
        for &octet in octets {
            match octet {
                b'"' => out.write_str("\\\"")?,
                b'\\' => out.write_str("\\\\")?,
                0x08 => out.write_str("\\b")?,
                0x0C => out.write_str("\\f")?,
                b'\n' => out.write_str("\\n")?,
                b'\r' => out.write_str("\\r")?,
                b'\t' => out.write_str("\\t")?,
                b' '..=b'~' => write!(out, "{}", char::from(octet))?,
                _ => write!(out, "\\u{octet:04X}")?,
            }
        }
        out.write_str("\"")
    })
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Number(value) => write!(out, "{value}"),
            Self::String(octets) => write!(out, "{}", quote(octets)),
            Self::Array(items) => {
                write_list(out, ['[', ']'], items, |out, item| write!(out, "{}", item.value))
            }
            Self::Object(members) => write_list(out, ['{', '}'], members, |out, member| {
                write!(out, "{}:{}", quote(&member.key), member.node.value)
            }),
        }
    }
}

/// Writes `items` between `brackets`, separated by commas.
pub(crate) fn write_list<T>(
    out: &mut fmt::Formatter<'_>,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    write!(out, "{open}")?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.write_str(",")?;
        }
        write_item(out, item)?;
    }
    write!(out, "{close}")
}

type Parsed<'a, T> = IResult<&'a [u8], T, Failure<'a>>;

/// Where parsing stopped, and why.
#[derive(Debug)]
struct Failure<'a> {
    rest: &'a [u8],
    cause: Cause,
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    /// The next octet, or the end, fits no rule.
    Syntax,
    Escape,
    Number,
    Depth,
}

impl<'a> ParseError<&'a [u8]> for Failure<'a> {
    fn from_error_kind(rest: &'a [u8], _: ErrorKind) -> Self {
        Self {
            rest,
            cause: Cause::Syntax,
        }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

fn fail<T>(rest: &[u8], cause: Cause) -> Parsed<'_, T> {
    Err(nom::Err::Failure(Failure { rest, cause }))
}

fn blanks(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while(|octet| is_blank(&octet)).parse(input)
}

/// The rules that need the length of the text, to tell where they are in it.
struct Grammar {
    length: usize,
}

impl Grammar {
    fn at(&self, rest: &[u8]) -> usize {
        self.length.saturating_sub(rest.len())
    }

    fn describe(&self, error: nom::Err<Failure<'_>>) -> DecodeError {
        let (nom::Err::Error(Failure { rest, cause }) | nom::Err::Failure(Failure { rest, cause })) = error
        else {
            return DecodeError::Truncated { at: self.length }; // `complete` parsers never ask for more
        };
        let at = self.at(rest);
        match (cause, rest.first()) {
            (Cause::Syntax, None) => DecodeError::Truncated { at },
            (Cause::Syntax, Some(&octet)) => DecodeError::Unexpected { at, octet },
            (Cause::Escape, _) => DecodeError::Escape { at },
            (Cause::Number, _) => DecodeError::Number { at },
            (Cause::Depth, _) => DecodeError::Depth { at },
        }
    }

    fn value<'a>(&self, input: &'a [u8], depth: usize) -> Parsed<'a, Node> {
        let container = matches!(input.first(), Some(b'[' | b'{'));
        if container && depth >= MAX_DEPTH {
            return fail(input, Cause::Depth);
        }
        let inner = depth.saturating_add(1);
        let (rest, value) = match input.first() {
            Some(b'[') => map(|i| list(i, ['[', ']'], |i| self.value(i, inner)), Value::Array).parse(input),
            Some(b'{') => map(|i| list(i, ['{', '}'], |i| self.member(i, inner)), Value::Object).parse(input),
            Some(b'"') => map(string, Value::String).parse(input),
            Some(b'-' | b'0'..=b'9') => map(number, Value::Number).parse(input),
            _ => literal(input),
        }?;
        Ok((
            rest,
            Node {
                at: self.at(input),
                value,
            },
        ))
    }

    fn member<'a>(&self, input: &'a [u8], depth: usize) -> Parsed<'a, Member> {
        let (rest, key) = string(input)?;
        let (rest, _) = delimited(blanks, char(':'), blanks).parse(rest)?;
        let (rest, node) = self.value(rest, depth)?;
        Ok((
            rest,
            Member {
                at: self.at(input),
                key,
                node,
            },
        ))
    }
}

/// `item`s between `brackets`, separated by commas; no comma before the closing one.
fn list<'a, T>(
    input: &'a [u8],
    [open, close]: [char; 2],
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> Parsed<'a, Vec<T>> {
    let mut items = Vec::new();
    let (mut input, _) = (char(open), blanks).parse(input)?;
    if let (rest, Some(_)) = opt(char(close)).parse(input)? {
        return Ok((rest, items));
    }
    loop {
        let (rest, one) = delimited(blanks, &item, blanks).parse(input)?;
        items.push(one);
        let (rest, comma) = opt(char(',')).parse(rest)?;
        if comma.is_none() {
            let (rest, _) = char(close).parse(rest)?;
            return Ok((rest, items));
        }
        input = rest;
    }
}

fn string(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    enum Piece<'a> {
        Raw(&'a [u8]),
        Escaped(u8),
    }
    let piece = alt((
        map(is_not(&b"\"\\"[..]), Piece::Raw),
        map(preceded(char('\\'), cut(escape)), Piece::Escaped),
    ));
    let octets = fold_many0(piece, Vec::new, |mut octets, piece| {
        match piece {
            Piece::Raw(raw) => octets.extend_from_slice(raw),
            Piece::Escaped(octet) => octets.push(octet),
        }
        octets
    });
    delimited(char('"'), octets, char('"')).parse(input)
}

/// What may follow a backslash.
fn escape(input: &[u8]) -> Parsed<'_, u8> {
    let (rest, letter) = octet(input)?;
    match letter {
        b'"' | b'\\' | b'/' => Ok((rest, letter)),
        b'b' => Ok((rest, 0x08)),
        b'f' => Ok((rest, 0x0C)),
        b'n' => Ok((rest, b'\n')),
        b'r' => Ok((rest, b'\r')),
        b't' => Ok((rest, b'\t')),
        b'u' => code(rest),
        _ => fail(input, Cause::Escape),
    }
}

/// The four digits of `\u00XX`.
fn code(input: &[u8]) -> Parsed<'_, u8> {
    let upper_hex = |octet| matches!(octet, b'0'..=b'9' | b'A'..=b'F');
    let (rest, digits) = take_while_m_n(0, 4, upper_hex).parse(input)?;
    match digits {
        [_, _, _, _] => {
            let code = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            code.map_or_else(|| fail(input, Cause::Escape), |code| Ok((rest, code)))
        }
        _ if rest.is_empty() => fail(rest, Cause::Syntax),
        _ => fail(input, Cause::Escape),
    }
}

fn number(input: &[u8]) -> Parsed<'_, i64> {
    let (rest, digits) = recognize((opt(char('-')), digit1)).parse(input)?;
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok());
    number.map_or_else(|| fail(input, Cause::Number), |number| Ok((rest, number)))
}

fn literal(input: &[u8]) -> Parsed<'_, Value> {
    for (word, value) in [
        ("null", Value::Null),
        ("true", Value::Boolean(true)),
        ("false", Value::Boolean(false)),
    ] {
        if let (rest, Some(_)) = opt(tag(word)).parse(input)? {
            return Ok((rest, value));
        }
        if word.as_bytes().starts_with(input) {
            return fail(&[], Cause::Syntax); // cut off within the word
        }
    }
    fail(input, Cause::Syntax)
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
