//! The text of a record: one JSON object, written straight into a string, every part of it bounded.

use std::fmt::{self, Write as _};

/// An object under construction.
pub(super) struct Line(String);

impl Line {
    pub(super) fn new() -> Self {
        // Most records fit, so that there is one allocation each.
        let mut text = String::with_capacity(384);
        text.push('{');
        Self(text)
    }

    /// A member whose value needs no escaping: a number, a name of ours.
    pub(super) fn plain(&mut self, key: &str, value: impl fmt::Display) -> &mut Self {
        self.key(key);
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{value}");
        self
    }

    /// A text of ours, such as a reason's code.
    pub(super) fn word(&mut self, key: &str, value: &'static str) -> &mut Self {
        self.key(key);
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
        self
    }

    /// A text of which at most `longest` octets are kept, escapes included.
    pub(super) fn text(&mut self, key: &str, value: &str, longest: usize) -> &mut Self {
        self.key(key);
        self.0.push('"');
        self.escaped(value, longest);
        self.0.push('"');
        self
    }

    /// As [`text`](Self::text), for what need not be UTF-8.
    pub(super) fn octets(&mut self, key: &str, value: &[u8], longest: usize) -> &mut Self {
        // Replacing is linear in what came in, which a packet bounds.
        let text = String::from_utf8_lossy(value);
        self.text(key, &text, longest)
    }

    /// The beginning of a digest, in hexadecimal.
    pub(super) fn digest(&mut self, key: &str, digest: &[u8]) -> &mut Self {
        const SHOWN: usize = 8;
        self.key(key);
        self.0.push('"');
        for octet in digest.iter().take(SHOWN) {
            let _ = write!(self.0, "{octet:02x}");
        }
        self.0.push('"');
        self
    }

    /// A list of texts, of which at most `longest` octets are kept altogether.
    pub(super) fn list<'a>(
        &mut self,
        key: &str,
        values: impl Iterator<Item = (&'a str, &'a str)>,
        longest: usize,
    ) -> &mut Self {
        self.key(key);
        self.0.push('[');
        let begin = self.0.len();
        for (value, state) in values {
            let used = self.0.len().saturating_sub(begin);
            let left = longest.saturating_sub(used);
            // Quotes, comma, blank, and an ellipsis at least.
            let Some(room) = left
                .checked_sub(state.len().saturating_add(4))
                .filter(|room| *room >= 3)
            else {
                break;
            };
            if used > 0 {
                self.0.push(',');
            }
            self.0.push('"');
            self.escaped(value, room);
            self.0.push(' ');
            self.0.push_str(state);
            self.0.push('"');
        }
        self.0.push(']');
        self
    }

    pub(super) fn end(mut self) -> Box<str> {
        self.0.push('}');
        self.0.into_boxed_str()
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    /// RFC 8259 §7, and the control characters that it would let pass. What does not fit ends in an ellipsis.
    fn escaped(&mut self, value: &str, longest: usize) {
        const ELLIPSIS: char = '…';
        let begin = self.0.len();
        // The longest beginning that leaves room for the ellipsis.
        let mut short = begin;
        for character in value.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                // Every control character is below U+00A0.
                control if control.is_control() => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(control));
                }
                other => self.0.push(other),
            }
            let length = self.0.len().saturating_sub(begin);
            if length > longest {
                self.0.truncate(short);
                self.0.push(ELLIPSIS);
                return;
            }
            if length.saturating_add(ELLIPSIS.len_utf8()) <= longest {
                short = self.0.len();
            }
        }
    }
}
