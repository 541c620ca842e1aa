//! Shared secrets, and how the KDC takes them from a file.

use std::fmt;

use zeroize::ZeroizeOnDrop;

/// The most octets of a secret file's first line that the KDC reads; what follows is dropped.
pub const MAX_SECRET: usize = 1023;

/// The RADIUS secret that a KDC shares with a server (RFC 2865 §3). Empty on UNIX sockets, as a rule.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// No secret: what libkrad uses on a UNIX socket.
    #[must_use]
    pub fn empty() -> Self {
        Self(Vec::new())
    }

    /// Takes the secret from the octets of a file as the KDC does: the first line, at most [`MAX_SECRET`] octets of it
    /// and none after a NUL, without blanks at its beginning and end. A blank line gives the empty secret.
    ///
    /// `None` stands for an empty file, which the KDC refuses with `EIO`.
    ///
    /// ```
    /// use kdc_otp_config::Secret;
    ///
    /// let secret = Secret::from_file(b" open sesame\r\nsecond line\n").expect("the file is not empty");
    /// assert_eq!(secret.expose(), b"open sesame");
    /// assert!(Secret::from_file(b"").is_none());
    /// ```
    #[must_use]
    pub fn from_file(octets: &[u8]) -> Option<Self> {
        (!octets.is_empty()).then(|| Self(line_of(octets).trim().to_vec()))
    }

    /// The octets. They are for computing authenticators only; never log them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the empty secret.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many octets it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() {
            "Secret(empty)"
        } else {
            "Secret(redacted)"
        })
    }
}

/// What the KDC sees of a secret file, and what it overlooks.
pub(crate) struct FirstLine<'a> {
    line: &'a [u8],
    /// The line goes on past [`MAX_SECRET`] octets.
    pub(crate) is_cut: bool,
    /// A NUL hides the rest of the line.
    pub(crate) has_nul: bool,
    /// Other lines follow that are not blank.
    pub(crate) has_more_lines: bool,
}

impl<'a> FirstLine<'a> {
    /// The line without its outer blanks.
    pub(crate) fn trim(&self) -> &'a [u8] {
        let is_kept = |octet: &u8| !is_blank(*octet);
        let from = self.line.iter().position(is_kept).unwrap_or(self.line.len());
        let to = self
            .line
            .iter()
            .rposition(is_kept)
            .map_or(from, |last| last.saturating_add(1));
        self.line.get(from..to).unwrap_or_default()
    }

    /// Whether there are blanks that the KDC takes away, the line end not counted.
    pub(crate) fn has_outer_blanks(&self) -> bool {
        let mut line = self.line;
        while let [rest @ .., b'\r' | b'\n'] = line {
            line = rest;
        }
        line.len() != self.trim().len()
    }
}

pub(crate) fn line_of(octets: &[u8]) -> FirstLine<'_> {
    let window = octets.get(..MAX_SECRET).unwrap_or(octets);
    let line_feed = window.iter().position(|octet| *octet == b'\n');
    let (line, rest) = octets.split_at(line_feed.map_or(window.len(), |at| at.saturating_add(1)));
    let visible = line.split(|octet| *octet == 0).next().unwrap_or_default();
    let is_text = |octets: &[u8]| octets.iter().any(|octet| !is_blank(*octet));
    let is_cut = line_feed.is_none() && !rest.is_empty() && rest.first() != Some(&b'\n');
    FirstLine {
        line: visible,
        is_cut,
        has_nul: visible.len() != line.len(),
        has_more_lines: !is_cut && is_text(rest),
    }
}

/// C's `isspace` in the "C" locale.
fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_files() {
        let long = [vec![b'x'; MAX_SECRET], b"tail\n".to_vec()].concat();
        for (file, expected) in [
            (&b"otptest"[..], Some(&b"otptest"[..])),
            (b"otptest\n", Some(b"otptest")),
            (b"otptest\r\n", Some(b"otptest")),
            (b" \t\x0b\x0cotp test \r\n", Some(b"otp test")),
            (b"one\ntwo\n", Some(b"one")),
            (b"one\0two\n", Some(b"one")),
            (b"\0", Some(b"")),
            (b"\nsecond\n", Some(b"")),
            (b" \t \n", Some(b"")),
            (b"\xff\xe9\n", Some(b"\xff\xe9")),
            (b"", None),
            (&long, long.get(..MAX_SECRET)),
        ] {
            let secret = Secret::from_file(file);
            assert_eq!(
                secret.as_ref().map(Secret::expose),
                expected,
                "{}",
                file.escape_ascii()
            );
        }
    }

    #[test]
    fn what_is_overlooked_is_known() {
        let exact = [vec![b'x'; MAX_SECRET], b"\n".to_vec()].concat();
        let long = [vec![b'x'; MAX_SECRET], b"y\n".to_vec()].concat();
        for (file, cut, nul, more, blanks) in [
            (&b"one\r\n"[..], false, false, false, false),
            (b"one\n\n \n", false, false, false, false),
            (b"one\ntwo", false, false, true, false),
            (b" one\n", false, false, false, true),
            (b"one \n", false, false, false, true),
            (b"one\0two", false, true, false, false),
            (&exact, false, false, false, false),
            (&long, true, false, false, false),
        ] {
            let line = line_of(file);
            let seen = (
                line.is_cut,
                line.has_nul,
                line.has_more_lines,
                line.has_outer_blanks(),
            );
            assert_eq!(seen, (cut, nul, more, blanks), "{}", file.escape_ascii());
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", Secret::from_file(b"hush")),
            "Some(Secret(redacted))"
        );
        assert_eq!(format!("{:?}", Secret::empty()), "Secret(empty)");
    }
}
