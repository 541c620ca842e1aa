//! Text for people: colour, tables, and nothing that deceives a terminal.

use std::{borrow::Cow, fmt, fmt::Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use otp_validation::UnixTime;

/// Whether a stream is coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    enabled: bool,
}

/// What a word means, so that colour is chosen in one place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Good,
    Bad,
    Caution,
    Strong,
}

impl Paint {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled }
    }

    pub(crate) fn is_enabled(self) -> bool {
        self.enabled
    }

    /// `text` in the colour of `tone`, if there is colour at all.
    pub(crate) fn paint<T: fmt::Display>(self, tone: Tone, text: T) -> Painted<T> {
        let style = match tone {
            _ if !self.enabled => Style::new(),
            Tone::Good => AnsiColor::Green.on_default().bold(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Caution => AnsiColor::Yellow.on_default().bold(),
            Tone::Strong => Style::new().bold(),
        };
        Painted { style, text }
    }
}

/// A text with its colour.
pub(crate) struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.text, self.style)
    }
}

/// `text` with everything spelled out that a terminal would obey, or that would show it in another order.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len().saturating_add(16));
    for character in text.chars() {
        if is_deceptive(character) {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// As [`escape`], for text of several lines.
pub(crate) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// `text` as one word for a shell, escaped for the terminal, in commands that are printed to be copied.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "_-./@:+%,=".contains(character);
    let escaped = escape(text);
    if !escaped.is_empty() && escaped.chars().all(is_plain) {
        return escaped.into_owned();
    }
    format!("'{}'", escaped.replace('\'', r"'\''"))
}

/// Control characters, line separators, and characters without width or with a direction of their own.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A table without frame: aligned columns that `awk` reads as well as a person does.
pub(crate) fn table<const N: usize>(
    headers: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headers);
    for row in rows {
        table.add_row(row.map(|cell| escape(&cell).into_owned()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// A [`table`] whose last column is a state: what is not in use stands out, where there is colour.
pub(crate) fn listing<const N: usize>(
    paint: Paint,
    headers: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let text = table(headers, rows);
    if !paint.is_enabled() {
        return text;
    }
    let mut lines = text.lines();
    let mut painted = String::with_capacity(text.len().saturating_mul(2));
    if let Some(header) = lines.next() {
        // Writing to a String cannot fail.
        let _ = writeln!(painted, "{}", paint.paint(Tone::Strong, header));
    }
    for line in lines {
        let state = ["disabled", "pending"]
            .into_iter()
            .find_map(|state| Some((line.strip_suffix(state)?, state)));
        let _ = match state {
            Some((rest, state)) => writeln!(painted, "{rest}{}", paint.paint(Tone::Caution, state)),
            None => writeln!(painted, "{line}"),
        };
    }
    painted
}

/// Names and values, one pair a line, aligned.
pub(crate) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let width = pairs
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<width$}  {}", escape(&value));
    }
    text
}

/// "1 token", "2 tokens".
pub(crate) fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// How long ago `then` was, in the largest unit that fits.
pub(crate) fn ago(then: UnixTime, now: UnixTime) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let Some(elapsed) = now.0.checked_sub(then.0) else {
        return "in the future: a clock was set back".to_owned();
    };
    for (length, name) in UNITS {
        if let Some(number @ 1..) = elapsed.checked_div(length) {
            return format!(
                "{} ago",
                count(usize::try_from(number).unwrap_or(usize::MAX), name)
            );
        }
    }
    "just now".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        let rows = [
            ("alice", "alice"),
            ("ali\u{1b}[31mce", "ali\\u{1b}[31mce"),
            ("a\nb", "a\\u{a}b"),
            ("\u{202e}ecila", "\\u{202e}ecila"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("Zoë Ångström 山田", "Zoë Ångström 山田"),
            ("e\u{301}", "e\u{301}"),
            (r#""quoted" \ 'text'"#, r#""quoted" \ 'text'"#),
        ];
        for (text, expected) in rows {
            assert_eq!(escape(text), expected, "{text:?}");
        }
        assert_eq!(escape_lines("a\u{7}\nb\n"), "a\\u{7}\nb");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        let rows = [
            ("alice/phone", "alice/phone"),
            ("alice@EXAMPLE.COM", "alice@EXAMPLE.COM"),
            ("Zoë", "Zoë"),
            ("a b", "'a b'"),
            (r"EXAMPLE\dave", r"'EXAMPLE\dave'"),
            ("al'ice", r"'al'\''ice'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ];
        for (text, expected) in rows {
            assert_eq!(shell_word(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tables_align_and_have_no_trailing_blanks() {
        let text = table(
            ["NAME", "N"],
            [["alice".into(), "1".into()], ["b\u{1b}".into(), "22".into()]],
        );
        assert_eq!(text, "NAME     N\nalice    1\nb\\u{1b}  22\n");
        assert_eq!(
            pairs([("a", "1".into()), ("long", "2".into())]),
            "a     1\nlong  2\n"
        );
    }

    #[test]
    fn what_is_not_in_use_stands_out_where_there_is_colour() {
        let rows = || {
            [
                ["disabled".into(), "active".into()],
                ["b".into(), "disabled".into()],
            ]
        };
        let headers = ["NAME", "STATE"];
        assert_eq!(
            listing(Paint::new(false), headers, rows()),
            table(headers, rows())
        );
        let coloured = listing(Paint::new(true), headers, rows());
        let lines: Vec<_> = coloured.lines().collect();
        assert!(lines[0].starts_with("\u{1b}[1m"), "{coloured:?}");
        assert_eq!(lines[1], "disabled  active");
        assert!(lines[2].starts_with("b         \u{1b}["), "{coloured:?}");
        assert!(lines[2].contains("disabled"), "{coloured:?}");
    }

    #[test]
    fn ages_are_told_in_the_largest_unit() {
        let rows = [
            (0, "just now"),
            (1, "1 second ago"),
            (119, "1 minute ago"),
            (7200, "2 hours ago"),
            (200_000, "2 days ago"),
        ];
        for (elapsed, expected) in rows {
            assert_eq!(ago(UnixTime(1_000), UnixTime(1_000 + elapsed)), expected);
        }
        assert!(ago(UnixTime(2), UnixTime(1)).starts_with("in the future"));
    }

    #[test]
    fn colour_is_all_or_nothing() {
        assert_eq!(Paint::new(false).paint(Tone::Bad, "x").to_string(), "x");
        assert!(
            Paint::new(true)
                .paint(Tone::Bad, "x")
                .to_string()
                .starts_with('\u{1b}')
        );
    }
}
