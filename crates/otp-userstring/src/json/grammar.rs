//! The grammar of the dialect.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while_m_n, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{cut, map, opt, recognize};
use nom::error::{ErrorKind, ParseError};
use nom::multi::fold_many0;
use nom::number::complete::u8 as octet;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::{MAX_DEPTH, Member, Node, Value, is_blank};
use crate::DecodeError;

/// One value and nothing else.
pub(super) fn text(text: &[u8]) -> Result<Node, DecodeError> {
    let grammar = Grammar { length: text.len() };
    let (rest, node) = delimited(blanks, |input| grammar.value(input, 0), blanks)
        .parse(text)
        .map_err(|error| grammar.describe(error))?;
    match rest {
        [] => Ok(node),
        _ => Err(DecodeError::Trailing { at: grammar.at(rest) }),
    }
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
    // Nearly all strings are one run without an escape.
    if let Some((b'"', text)) = input.split_first()
        && let Some(end) = text.iter().position(|octet| matches!(octet, b'"' | b'\\'))
        && let Some((run, [b'"', rest @ ..])) = text.split_at_checked(end)
    {
        return Ok((rest, run.to_vec()));
    }
    enum Piece<'a> {
        Raw(&'a [u8]),
        Escaped(u8),
    }
    let piece = alt((
        map(take_while1(|octet| !matches!(octet, b'"' | b'\\')), Piece::Raw),
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
