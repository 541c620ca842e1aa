//! Elements and their escaped text, indented for people.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// Writes a document whose elements may hold secrets.
pub(super) struct Writer {
    text: SecretText,
    /// Names of the elements that have begun.
    open: Vec<&'static str>,
}

impl Writer {
    /// Begins a document of about `capacity` octets.
    pub(super) fn new(capacity: usize) -> Self {
        let mut text = SecretText::with_capacity(capacity);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        Self {
            text,
            open: Vec::new(),
        }
    }

    /// Begins an element that holds others.
    pub(super) fn begin(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, ">\n");
        self.open.push(name);
    }

    /// Ends the element that began last.
    pub(super) fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.close(name);
        }
    }

    /// An element without content.
    pub(super) fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, "/>\n");
    }

    /// An element that holds a text.
    pub(super) fn leaf(&mut self, name: &'static str, text: &str) {
        self.tag(name, &[], ">");
        self.escaped(text);
        self.close(name);
    }

    /// An element that holds octets.
    pub(super) fn base64(&mut self, name: &'static str, octets: &[u8]) {
        self.leaf(name, &Zeroizing::new(Base64::encode_string(octets)));
    }

    pub(super) fn finish(self) -> Zeroizing<String> {
        self.text.into_inner()
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)], end: &str) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
        }
        self.text.push_str(end);
    }

    fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push_str(">\n");
    }

    fn indent(&mut self) {
        for _ in &self.open {
            self.text.push_str("  ");
        }
    }

    /// Markup, and the white space that a reader would normalize (XML 1.0 §2.11, §3.3.3), become references.
    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\t' => self.text.push_str("&#9;"),
                '\n' => self.text.push_str("&#10;"),
                '\r' => self.text.push_str("&#13;"),
                _ => self.text.push(character),
            }
        }
    }
}
