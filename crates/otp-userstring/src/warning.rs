//! What a KDC makes of a value that it accepts.

use std::fmt;

use crate::{Field, json};

/// Something in a decoded value that its author may not have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Index of the token that it concerns, counted from 0.
    pub token: Option<usize>,
    /// Offset in octets of the key or value that it concerns.
    pub at: usize,
    /// What it is.
    pub kind: WarningKind,
}

/// What is odd about a decoded value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// `[]` does not switch OTP off: the KDC reads it as `[{}]`.
    NoTokens,
    /// `type` is not a string: the KDC uses the type DEFAULT.
    TypeNotString,
    /// `username` is not a string: the KDC sends the principal.
    UsernameNotString,
    /// `username` is empty: no request can carry it, so the request fails and later tokens are not tried.
    UsernameEmpty,
    /// `username` has this many octets, more than 253: the request fails and later tokens are not tried.
    UsernameTooLong(usize),
    /// `indicators` is empty: the ticket carries none, even if the type has some.
    NoIndicators,
    /// The same indicator again: the KDC drops it.
    RepeatedIndicator,
    /// An indicator of no octets.
    EmptyIndicator,
    /// A value of this field is not UTF-8, as User-Name (RFC 2865 §5.1) and indicators (RFC 8129) have to be.
    NotUtf8(Field),
    /// A key that the KDC ignores.
    UnknownKey(Vec<u8>),
    /// A key that the KDC ignores, although it looks like the one that is named here.
    MisspeltKey(Vec<u8>, Field),
    /// A key that comes again later in the object: the KDC uses the last one.
    DuplicateKey(Field),
    /// `\u0000` ends a key or a value: the KDC does not see what follows.
    CutAtNul,
    /// Octets after a NUL, which ends the text.
    TextAfterNul,
    /// Same type and same username as the token of this index: the same question is asked twice.
    RepeatedToken(usize),
}

/// What a [`Warning`] means for the KDC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The KDC does what is written.
    AsWritten,
    /// The KDC ignores or replaces something that is written.
    Altered,
    /// Each request that reaches the token fails.
    RequestFails,
}

impl WarningKind {
    /// What it means for the KDC.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        match self {
            Self::UsernameEmpty | Self::UsernameTooLong(_) => Effect::RequestFails,
            Self::NoTokens
            | Self::TypeNotString
            | Self::UsernameNotString
            | Self::RepeatedIndicator
            | Self::UnknownKey(_)
            | Self::MisspeltKey(..)
            | Self::DuplicateKey(_)
            | Self::CutAtNul
            | Self::TextAfterNul => Effect::Altered,
            Self::NoIndicators | Self::EmptyIndicator | Self::NotUtf8(_) | Self::RepeatedToken(_) => {
                Effect::AsWritten
            }
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(token) = self.token {
            write!(out, "token {}, ", token.saturating_add(1))?;
        }
        write!(out, "octet {}: {}", self.at, self.kind)
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTokens => out.write_str("an empty array is one token of the type DEFAULT"),
            Self::TypeNotString => out.write_str("`type` is not a string; the KDC uses the type DEFAULT"),
            Self::UsernameNotString => {
                out.write_str("`username` is not a string; the KDC sends the principal")
            }
            Self::UsernameEmpty => out.write_str("`username` is empty; the request fails"),
            Self::UsernameTooLong(length) => {
                write!(
                    out,
                    "`username` has {length} octets; a request that needs more than 253 fails"
                )
            }
            Self::NoIndicators => out.write_str("`indicators` is empty; the ticket carries none"),
            Self::RepeatedIndicator => {
                out.write_str("the indicator is listed twice; the KDC drops the second")
            }
            Self::EmptyIndicator => out.write_str("an indicator is empty"),
            Self::NotUtf8(field) => write!(out, "a value of `{field}` is not UTF-8"),
            Self::UnknownKey(key) => write!(out, "the KDC ignores the key {}", json::quote(key)),
            Self::MisspeltKey(key, field) => {
                write!(
                    out,
                    "the KDC ignores the key {}; `{field}` may be meant",
                    json::quote(key)
                )
            }
            Self::DuplicateKey(field) => write!(out, "`{field}` comes again; the KDC uses the last one"),
            Self::CutAtNul => out.write_str("\\u0000 ends the string; the KDC does not see what follows"),
            Self::TextAfterNul => out.write_str("a NUL ends the text; the KDC does not see what follows"),
            Self::RepeatedToken(first) => write!(
                out,
                "same type and username as token {}; the server is asked the same question again",
                first.saturating_add(1)
            ),
        }
    }
}
