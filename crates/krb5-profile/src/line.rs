//! The grammar of one line.
//!
//! The C library reads with `fgets` into [`MAX_LINE`] + 1 octets, so that a longer line is parsed as several; a NUL
//! ends what is seen of a piece. Blanks are those of C's `isspace`.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while};
use nom::combinator::{all_consuming, map, opt};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

/// Longest piece of a line that is parsed as one, line feed included.
pub const MAX_LINE: usize = 2047;

/// A relation or the beginning of a subsection; `name` ends before the first `*` of the tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tagged<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) is_final: bool,
    pub(crate) value: Value<'a>,
}

/// What follows the equals sign.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, [u8]>),
    /// `{`: a subsection begins.
    Brace,
    /// Nothing: a subsection begins, and its brace is on the next line.
    Nothing,
}

/// A directive that stands in the first column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Directive<'a> {
    Include(&'a [u8]),
    IncludeDirectory(&'a [u8]),
    Module,
}

/// Splits a file into the pieces that are parsed, each with the number of the line it is part of.
pub(crate) fn pieces(octets: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let (mut rest, mut line) = (octets, 1_usize);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let window = rest.get(..MAX_LINE).unwrap_or(rest);
        // One look at each octet, unless there is a NUL.
        let seen = window.iter().position(|octet| matches!(octet, b'\n' | 0));
        let line_feed = match seen.and_then(|at| window.get(at)) {
            Some(0) => window.iter().position(|octet| *octet == b'\n'),
            _ => seen,
        };
        let (piece, remainder) = rest.split_at(line_feed.map_or(window.len(), |at| at.saturating_add(1)));
        let number = line;
        line = line.saturating_add(usize::from(line_feed.is_some()));
        rest = remainder;
        let visible = seen.filter(|_| seen != line_feed).unwrap_or(piece.len());
        Some((number, piece.get(..visible).unwrap_or(piece)))
    })
}

/// C's `isspace` in the "C" locale: SP, HT, LF, VT, FF, CR.
pub(crate) fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t'..=b'\r')
}

/// `piece` without leading blanks.
pub(crate) fn skip_blanks(piece: &[u8]) -> &[u8] {
    let blanks = piece.iter().take_while(|octet| is_blank(**octet)).count();
    piece.get(blanks..).unwrap_or_default()
}

/// `piece` without the CR and LF octets at its end.
pub(crate) fn strip_line_end(piece: &[u8]) -> &[u8] {
    let mut stripped = piece;
    while let [rest @ .., b'\r' | b'\n'] = stripped {
        stripped = rest;
    }
    stripped
}

/// `include FILE`, `includedir DIRECTORY`, `module SPEC`: the word, a blank, and the rest with its trailing blanks.
pub(crate) fn directive(piece: &[u8]) -> Option<Directive<'_>> {
    fn word<'a>(word: &'static str) -> impl Parser<&'a [u8], Output = &'a [u8], Error = Error<'a>> {
        preceded(
            (tag(word.as_bytes()), nom::bytes::complete::take_while1(is_blank)),
            nom::combinator::rest,
        )
    }
    // Few lines are directives, and all lines come here.
    if !matches!(piece.first(), Some(b'i' | b'm')) {
        return None;
    }
    let directive: IResult<_, _> = alt((
        map(word("includedir"), |name| {
            Directive::IncludeDirectory(strip_line_end(name))
        }),
        map(word("include"), |name| Directive::Include(strip_line_end(name))),
        map(word("module"), |_| Directive::Module),
    ))
    .parse(piece);
    directive.ok().map(|(_, directive)| directive)
}

/// `[name]` or `[name]*`, then only blanks. The name keeps its blanks and may be empty.
pub(crate) fn section_header(line: &[u8]) -> Option<(&[u8], bool)> {
    let name = delimited(tag("["), take_till(|octet| octet == b']'), tag("]"));
    let star = map(opt(tag("*")), |star: Option<&[u8]>| star.is_some());
    finish(all_consuming(terminated((name, star), take_while(is_blank))).parse(line))
}

/// `}` or `}*`; the rest of the line is ignored. Returns whether the mark of a final subsection is there.
pub(crate) fn closing_brace(line: &[u8]) -> bool {
    line.starts_with(b"}*")
}

/// `tag = value`. The tag holds no blanks; the first equals sign divides.
pub(crate) fn relation(line: &[u8]) -> Option<Tagged<'_>> {
    let divide: IResult<_, _> =
        (take_till(|octet| octet == b'='), tag("="), take_while(is_blank)).parse(line);
    let (rest, (left, _, _)) = divide.ok()?;
    let tag_ends = left
        .iter()
        .position(|octet| is_blank(*octet))
        .unwrap_or(left.len());
    let (tag, blanks) = left.split_at_checked(tag_ends)?;
    if left.is_empty() || !blanks.iter().all(|octet| is_blank(*octet)) {
        return None;
    }
    let star = tag.iter().position(|octet| *octet == b'*');
    let name = star.map_or(tag, |at| tag.get(..at).unwrap_or_default());
    Some(Tagged {
        name,
        is_final: star.is_some(),
        value: value(rest),
    })
}

/// What follows the equals sign and the blanks after it.
fn value(rest: &[u8]) -> Value<'_> {
    match rest {
        [] => Value::Nothing,
        [b'"', quoted @ ..] => Value::Text(Cow::Owned(unquote(quoted))),
        [b'{', after @ ..] if after.iter().all(|octet| is_blank(*octet)) => Value::Brace,
        raw => {
            let blanks = raw.iter().rev().take_while(|octet| is_blank(**octet)).count();
            let length = raw.len().saturating_sub(blanks);
            Value::Text(Cow::Borrowed(raw.get(..length).unwrap_or_default()))
        }
    }
}

/// A quoted value, after its opening quote: up to the next bare quote or the end of the line.
fn unquote(quoted: &[u8]) -> Vec<u8> {
    let escaped = preceded(
        tag("\\"),
        map(nom::number::complete::u8, |octet| match octet {
            b'n' => b'\n',
            b't' => b'\t',
            b'b' => 0x08,
            other => other,
        }),
    );
    // A lone backslash at the end of the line is itself: `escaped` fails there, and this takes it.
    let literal = nom::combinator::verify(nom::number::complete::u8, |octet| *octet != b'"');
    let mut octets = fold_many0(alt((escaped, literal)), Vec::new, |mut value: Vec<u8>, octet| {
        value.push(octet);
        value
    });
    finish(octets.parse(quoted)).unwrap_or_default()
}

type Error<'a> = nom::error::Error<&'a [u8]>;

fn finish<'a, T>(result: IResult<&'a [u8], T, Error<'a>>) -> Option<T> {
    result.ok().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str, value: &'static str) -> Option<(Vec<u8>, Value<'static>)> {
        Some((
            name.as_bytes().to_vec(),
            Value::Text(Cow::Borrowed(value.as_bytes())),
        ))
    }

    #[test]
    fn lines_longer_than_the_buffer_become_several() {
        let mut octets = vec![b'#'; MAX_LINE];
        octets.extend_from_slice(b"evil = 1\r\nlast");
        let seen: Vec<_> = pieces(&octets).collect();
        assert_eq!(seen.len(), 3);
        assert_eq!((seen[0].0, seen[0].1.len()), (1, MAX_LINE));
        assert_eq!(seen[1], (1, b"evil = 1\r\n".as_slice()));
        assert_eq!(seen[2], (2, b"last".as_slice()));
        // A line feed that no longer fits makes a piece of its own.
        let exact = [vec![b'a'; MAX_LINE], b"\n".to_vec()].concat();
        assert_eq!(
            pieces(&exact).map(|(_, piece)| piece.len()).collect::<Vec<_>>(),
            [MAX_LINE, 1]
        );
        assert_eq!(
            pieces(b"a\0b\nc").map(|(_, piece)| piece).collect::<Vec<_>>(),
            [b"a", b"c"]
        );
    }

    #[test]
    fn headers() {
        for (line, expected) in [
            ("[a]", Some(("a", false))),
            ("[ a b ]", Some((" a b ", false))),
            ("[]", Some(("", false))),
            ("[a]*", Some(("a", true))),
            ("[a]* \t", Some(("a", true))),
            ("[a*]", Some(("a*", false))),
            ("[x] y", None),
            ("[x]]", None),
            ("[x", None),
            ("[x] *", None),
            ("[x] # y", None),
        ] {
            let expected = expected.map(|(name, is_final)| (name.as_bytes(), is_final));
            assert_eq!(section_header(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn relations() {
        for (line, expected) in [
            ("f=x=y", raw("f", "x=y")),
            ("f = x # y", raw("f", "x # y")),
            ("f = x \t\r", raw("f", "x")),
            ("f*g = x", raw("f", "x")),
            ("{=1", raw("{", "1")),
            ("f = { a = 1 }", raw("f", "{ a = 1 }")),
            ("f = {x", raw("f", "{x")),
            ("f = x \"y\" \\n", raw("f", "x \"y\" \\n")),
            ("f\t =\t{ ", Some((b"f".to_vec(), Value::Brace))),
            ("f =", Some((b"f".to_vec(), Value::Nothing))),
            ("foo", None),
            ("= foo", None),
            ("f o = x", None),
            ("{", None),
        ] {
            let read = relation(line.as_bytes()).map(|tagged| (tagged.name.to_vec(), tagged.value));
            assert_eq!(read, expected, "{line}");
        }
        assert!(relation(b"f*g = x").is_some_and(|tagged| tagged.is_final));
    }

    #[test]
    fn quoted_values() {
        for (quoted, expected) in [
            (&b"x\" y"[..], &b"x"[..]),
            (br#"a\nb\tc\bd\\e\"g\q" rest"#, b"a\nb\tc\x08d\\e\"gq"),
            (b"x y  ", b"x y  "),
            (b"", b""),
            (b"\"", b""),
            (br"lone\", br"lone\"),
        ] {
            assert_eq!(unquote(quoted), expected);
        }
    }

    #[test]
    fn directives_stand_in_the_first_column() {
        assert_eq!(
            directive(b"include /a b \r\n"),
            Some(Directive::Include(b"/a b "))
        );
        assert_eq!(directive(b"include = 3\n"), Some(Directive::Include(b"= 3")));
        assert_eq!(directive(b"include\n"), Some(Directive::Include(b"")));
        assert_eq!(
            directive(b"includedir\t/d\n"),
            Some(Directive::IncludeDirectory(b"/d"))
        );
        assert_eq!(directive(b"module /x.so:y\n"), Some(Directive::Module));
        for not in [
            &b"include"[..],
            b" include /a",
            b"includes x",
            b"include=3",
            b"includedirs /d",
        ] {
            assert_eq!(directive(not), None, "{}", crate::text(not));
        }
    }
}
