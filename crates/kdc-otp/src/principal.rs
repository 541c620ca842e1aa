//! Principals, and how the KDC writes them as a User-Name.

use std::fmt;

/// Why a text is not a principal; what `krb5_parse_name` refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalError {
    /// A NUL, which ends a C string.
    #[error("a NUL at octet {0}; write it as \\0")]
    Nul(usize),
    /// A backslash with nothing after it (`KRB5_PARSE_MALFORMED`).
    #[error("a backslash at the end quotes nothing")]
    TrailingBackslash,
    /// `/` or a second `@` in the realm, not quoted (`KRB5_PARSE_MALFORMED`).
    #[error("'{}' in the realm at octet {at}; quote it with a backslash", char::from(*.octet))]
    Realm {
        /// Offset of the octet.
        at: usize,
        /// The octet.
        octet: u8,
    },
    /// There is no realm in the text, and no default realm (`KRB5_CONFIG_NODEFREALM`).
    #[error("no realm: write PRINCIPAL@REALM")]
    NoRealm,
}

/// A Kerberos principal (RFC 4120 §6.2): the components of a name, and a realm.
///
/// ```
/// use kdc_otp::Principal;
///
/// let admin = Principal::parse(b"alice/admin", Some(b"EXAMPLE.COM"))?;
/// assert_eq!(admin.unparse(), b"alice/admin@EXAMPLE.COM");
/// assert_eq!(admin.unparse_without_realm(), b"alice/admin");
///
/// // What a separator would be is escaped; '@' only where a realm follows.
/// let odd = Principal::new([&b"a@b/c"[..]], b"R");
/// assert_eq!(odd.unparse(), br"a\@b\/c@R");
/// assert_eq!(odd.unparse_without_realm(), br"a@b\/c");
/// # Ok::<(), kdc_otp::PrincipalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    components: Vec<Vec<u8>>,
    realm: Vec<u8>,
}

impl Principal {
    /// A principal of these octets, nothing quoted.
    #[must_use]
    pub fn new(components: impl IntoIterator<Item = impl Into<Vec<u8>>>, realm: impl Into<Vec<u8>>) -> Self {
        Self {
            components: components.into_iter().map(Into::into).collect(),
            realm: realm.into(),
        }
    }

    /// Reads a principal as `krb5_parse_name` does: components divided by `/`, the realm after `@`, `default_realm`
    /// without one; a backslash quotes the next octet, and `\n \t \b \0` are control characters.
    ///
    /// # Errors
    ///
    /// [`PrincipalError`].
    pub fn parse(text: &[u8], default_realm: Option<&[u8]>) -> Result<Self, PrincipalError> {
        let (mut components, mut current) = (Vec::new(), Vec::new());
        let mut in_realm = false;
        let mut octets = text.iter().copied().enumerate();
        while let Some((at, octet)) = octets.next() {
            match octet {
                0 => return Err(PrincipalError::Nul(at)),
                b'/' | b'@' if in_realm => return Err(PrincipalError::Realm { at, octet }),
                b'/' => components.push(std::mem::take(&mut current)),
                b'@' => {
                    components.push(std::mem::take(&mut current));
                    in_realm = true;
                }
                b'\\' => match octets.next() {
                    None => return Err(PrincipalError::TrailingBackslash),
                    Some((at, 0)) => return Err(PrincipalError::Nul(at)),
                    Some((_, quoted)) => current.push(unquote(quoted)),
                },
                other => current.push(other),
            }
        }
        if in_realm {
            return Ok(Self {
                components,
                realm: current,
            });
        }
        components.push(current);
        let realm = default_realm.ok_or(PrincipalError::NoRealm)?.to_vec();
        Ok(Self { components, realm })
    }

    /// The components of the name, nothing quoted.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.components.iter().map(Vec::as_slice)
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &[u8] {
        &self.realm
    }

    /// The text of `krb5_unparse_name`: what the KDC sends where a type has `strip_realm = false`.
    #[must_use]
    pub fn unparse(&self) -> Vec<u8> {
        let mut text = self.name(true);
        text.push(b'@');
        quote(&self.realm, true, &mut text);
        text
    }

    /// The text without the realm: what the KDC sends where a type has `strip_realm = true`.
    #[must_use]
    pub fn unparse_without_realm(&self) -> Vec<u8> {
        self.name(false)
    }

    fn name(&self, realm_follows: bool) -> Vec<u8> {
        let mut text = Vec::new();
        for (index, component) in self.components.iter().enumerate() {
            if index > 0 {
                text.push(b'/');
            }
            quote(component, realm_follows, &mut text);
        }
        text
    }
}

/// The text with its realm; what is not UTF-8 is shown as U+FFFD.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.unparse()))
    }
}

fn unquote(octet: u8) -> u8 {
    match octet {
        b'n' => b'\n',
        b't' => b'\t',
        b'b' => 0x08,
        b'0' => 0,
        other => other,
    }
}

fn quote(octets: &[u8], realm_follows: bool, text: &mut Vec<u8>) {
    for &octet in octets {
        let quoted = match octet {
            b'/' | b'\\' => octet,
            b'@' if realm_follows => octet,
            b'\n' => b'n',
            b'\t' => b't',
            0x08 => b'b',
            0 => b'0',
            _ => {
                text.push(octet);
                continue;
            }
        };
        text.extend([b'\\', quoted]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_the_kdc_writes_them() {
        for (components, without, with) in [
            (&[&b"alice"[..]][..], &b"alice"[..], &b"alice@R"[..]),
            (&[b"alice", b"admin"], b"alice/admin", b"alice/admin@R"),
            (&[b"a/b"], br"a\/b", br"a\/b@R"),
            (&[b"a@b"], b"a@b", br"a\@b@R"),
            (&[br"a\"], br"a\\", br"a\\@R"),
            (&[b"\t\n\x08\0"], br"\t\n\b\0", br"\t\n\b\0@R"),
            (&[b"", b"", b"\xff"], b"//\xff", b"//\xff@R"),
        ] {
            let principal = Principal::new(components.iter().copied(), b"R");
            assert_eq!(principal.unparse_without_realm(), without);
            assert_eq!(principal.unparse(), with);
            assert_eq!(Principal::parse(with, None), Ok(principal));
        }
    }

    #[test]
    fn what_is_no_principal_is_refused() {
        for (text, expected) in [
            (&b"alice"[..], PrincipalError::NoRealm),
            (b"alice\\", PrincipalError::TrailingBackslash),
            (b"alice@A@B", PrincipalError::Realm { at: 7, octet: b'@' }),
            (b"alice@A/B", PrincipalError::Realm { at: 7, octet: b'/' }),
            (b"a\0", PrincipalError::Nul(1)),
            (b"a\\\0", PrincipalError::Nul(2)),
        ] {
            assert_eq!(
                Principal::parse(text, None),
                Err(expected),
                "{}",
                text.escape_ascii()
            );
        }
        let quoted = Principal::parse(br"a@R\/\@\\", None);
        assert_eq!(quoted, Ok(Principal::new([b"a"], br"R/@\")));
    }
}
