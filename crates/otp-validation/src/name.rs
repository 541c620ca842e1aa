//! User names: one normaliser for everything that comes in.

use std::fmt;

/// The longest name in octets: what fits a RADIUS attribute (RFC 2865 §5).
const LONGEST: usize = 253;

/// The name of a user, as the store knows it.
///
/// Names are compared octet by octet: Kerberos tells `Alice` from `alice`, and a server that did not would let one of
/// them in with the other's code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// Why octets cannot be the name of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing at all.
    #[error("a user name must not be empty")]
    Empty,
    /// Longer than a RADIUS attribute can carry.
    #[error("a user name has at most {LONGEST} octets, this one has {0}")]
    TooLong(usize),
    /// Not UTF-8 (RFC 2865 §5.1).
    #[error("a user name must be UTF-8")]
    NotUtf8,
    /// A control character, which could only serve to deceive whoever reads a log.
    #[error("a user name must not contain control characters")]
    Control,
    /// Blanks at the ends, which nobody sees.
    #[error("a user name must not begin or end with a blank")]
    OuterBlank,
}

impl UserName {
    /// Reads a name as it was typed or received.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the octets cannot name anybody.
    pub fn parse(octets: &[u8]) -> Result<Self, NameError> {
        if octets.is_empty() {
            return Err(NameError::Empty);
        }
        if octets.len() > LONGEST {
            return Err(NameError::TooLong(octets.len()));
        }
        let text = std::str::from_utf8(octets).map_err(|_| NameError::NotUtf8)?;
        if text.chars().any(char::is_control) {
            return Err(NameError::Control);
        }
        if text.trim() != text {
            return Err(NameError::OuterBlank);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names under which to look for the user, in order: as received, then without its realm.
    ///
    /// A realm is what follows the last unescaped `@` (a Kerberos principal or a network access identifier, RFC 7542), or
    /// what precedes the first `\` (`DOMAIN\user`) where there is no `@`. Users of several realms that share a first part
    /// are told apart by storing them with their realm: the longer name is looked up first.
    pub fn candidates(&self) -> impl Iterator<Item = Self> + use<'_> {
        // What is left may be no name: nothing at all, or something with an outer blank.
        let bare = self
            .without_realm()
            .and_then(|bare| Self::parse(bare.as_bytes()).ok());
        std::iter::once(self.clone()).chain(bare)
    }

    fn without_realm(&self) -> Option<&str> {
        self.split_realm().map(|(bare, _)| bare)
    }

    /// The name without its realm, and the realm, as [`candidates`](Self::candidates) understands them; `None` if there is no
    /// realm. What is left of the name may name nobody.
    ///
    /// ```
    /// # use otp_validation::UserName;
    /// let name = UserName::parse(b"alice@EXAMPLE.COM")?;
    /// assert_eq!(name.split_realm(), Some(("alice", "EXAMPLE.COM")));
    /// # Ok::<(), otp_validation::NameError>(())
    /// ```
    pub fn split_realm(&self) -> Option<(&str, &str)> {
        if let Some((user, realm)) = self.0.rsplit_once('@') {
            // `\@` is an `@` inside a component of a principal (krb5_unparse_name).
            return (!user.ends_with('\\')).then_some((user, realm));
        }
        self.0.split_once('\\').map(|(domain, user)| (user, domain))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_with_their_realm_first() {
        let rows: &[(&str, &[&str])] = &[
            ("alice", &["alice"]),
            ("alice@EXAMPLE.COM", &["alice@EXAMPLE.COM", "alice"]),
            (
                "alice/admin@EXAMPLE.COM",
                &["alice/admin@EXAMPLE.COM", "alice/admin"],
            ),
            ("a@b@EXAMPLE.COM", &["a@b@EXAMPLE.COM", "a@b"]),
            (r"EXAMPLE\alice", &[r"EXAMPLE\alice", "alice"]),
            (r"a\@b", &[r"a\@b"]),
            ("@EXAMPLE.COM", &["@EXAMPLE.COM"]),
            (r"EXAMPLE\", &[r"EXAMPLE\"]),
            // What the store can hold under no name is not looked up.
            ("alice @EXAMPLE.COM", &["alice @EXAMPLE.COM"]),
            ("EXAMPLE\\ alice", &["EXAMPLE\\ alice"]),
            ("Alice", &["Alice"]),
        ];
        for (name, expected) in rows {
            let name = UserName::parse(name.as_bytes()).unwrap();
            let got: Vec<_> = name.candidates().map(|candidate| candidate.0).collect();
            assert_eq!(got, *expected, "{name}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        let long = [b'a'; 254];
        let rows: &[(&[u8], NameError)] = &[
            (b"", NameError::Empty),
            (&long, NameError::TooLong(254)),
            (b"\xff", NameError::NotUtf8),
            (b"a\nb", NameError::Control),
            (b"a\0", NameError::Control),
            (b" alice", NameError::OuterBlank),
            (b"alice ", NameError::OuterBlank),
        ];
        for (octets, expected) in rows {
            assert_eq!(UserName::parse(octets), Err(*expected), "{octets:?}");
        }
        assert!(UserName::parse(&long[..253]).is_ok());
    }
}
