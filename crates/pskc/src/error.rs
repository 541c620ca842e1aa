//! Why a file is not a container that can be used, where, and what to write instead.

use std::fmt;

use otp_core::KeyError;

/// Characters of a value that an error quotes.
const QUOTED: usize = 96;

/// A place in a file, as editors count: lines and characters from 1 on. The default, 0, is no place at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character within the line.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One thing that is wrong with a container. Its text is one printable line, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PskcError {
    /// Where the element begins.
    pub at: Position,
    /// The element, without its prefix; `None` if it is the file as a whole.
    pub element: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl PskcError {
    pub(crate) fn whole(at: Position, problem: Problem) -> Self {
        Self {
            at,
            element: None,
            problem,
        }
    }
}

impl fmt::Display for PskcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)?;
        if let Some(element) = &self.element {
            write!(f, ", element {element}")?;
        }
        write!(f, ": {}; {}", self.problem, self.problem.remedy())
    }
}

impl std::error::Error for PskcError {}

/// Which kind of key opens a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// A key that both sides agreed on (RFC 6030 §6.1).
    PreSharedKey,
    /// A passphrase (RFC 6030 §6.2).
    Passphrase,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreSharedKey => "pre-shared key",
            Self::Passphrase => "passphrase",
        })
    }
}

/// What is wrong with a container. The fault is the file's author's, except for the last group, where the operator holds
/// another key than the file needs. Texts from the file are quoted, secrets never.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// More octets than [`Decoder::MAX_LEN`](crate::Decoder::MAX_LEN).
    #[error("the file is longer than {max} octets", max = crate::Decoder::MAX_LEN)]
    TooLong,
    /// Not UTF-8, or declared as something else.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// Not well-formed XML.
    #[error("the XML is not well-formed: {0}")]
    Xml(String),
    /// A document type declaration, whose entities would be somebody else's text.
    #[error("the file has a document type declaration")]
    DocumentType,
    /// A processing instruction.
    #[error("the file has a processing instruction")]
    ProcessingInstruction,
    /// A reference to something else than a character.
    #[error("the entity {0} is unknown")]
    Entity(String),
    /// Elements nested deeper than [`Decoder::MAX_DEPTH`](crate::Decoder::MAX_DEPTH).
    #[error("elements are nested deeper than {max}", max = crate::Decoder::MAX_DEPTH)]
    TooDeep,
    /// Another document than a `KeyContainer` in the namespace of RFC 6030.
    #[error("the document is no KeyContainer of RFC 6030")]
    NotPskc,
    /// Another version than 1.0.
    #[error("version {0} is not supported")]
    Version(String),

    /// An element that is unknown here, or whose meaning is not supported.
    #[error("the element is not supported here")]
    UnsupportedElement,
    /// An attribute that is unknown here.
    #[error("the attribute {0} is not supported here")]
    UnsupportedAttribute(String),
    /// A digital signature (RFC 6030 §7), which nothing here can verify.
    #[error("digital signatures are not supported")]
    Signature,
    /// An algorithm that is not supported.
    #[error("the {what} {value} is not supported")]
    Algorithm {
        /// What the algorithm is for.
        what: &'static str,
        /// Its name in the file.
        value: String,
    },
    /// Another `Encoding` than `DECIMAL`.
    #[error("the encoding {0} is not supported")]
    Encoding(String),
    /// Text where elements are expected.
    #[error("there is text between the elements")]
    Text,
    /// An element or attribute that is needed.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An element or attribute that may stand once.
    #[error("there is more than one")]
    Repeated,
    /// An element that the key's algorithm has no use for.
    #[error("the value has no meaning for {0}")]
    Inapplicable(&'static str),

    /// Not base64 (RFC 4648 §4).
    #[error("the value is not base64")]
    Base64,
    /// A number outside of its range, or no number.
    #[error("{value} is not a whole number from {min} to {max}")]
    Number {
        /// The value.
        value: String,
        /// The least value that is allowed.
        min: i64,
        /// The largest value that is allowed.
        max: i64,
    },
    /// Not a date and time.
    #[error("{0} is not a date and time")]
    Date(String),
    /// None of the values that the schema lists.
    #[error("{value} is not one of {expected}")]
    Value {
        /// The value.
        value: String,
        /// The values that are allowed.
        expected: &'static str,
    },
    /// An empty text where a name is needed.
    #[error("the value is empty")]
    Empty,
    /// Not a key of a length that is allowed.
    #[error("{0}")]
    Key(KeyError),
    /// Not a PIN that fits its `ResponseFormat`.
    #[error("the PIN is not made of as many decimal digits as the container says")]
    Pin,

    /// An encrypted value without `MACMethod` or without `ValueMAC` (RFC 6030 §6.1.1).
    #[error("the encrypted value has no {0}")]
    Unauthenticated(&'static str),
    /// Ciphertext that is no initialization vector and whole blocks.
    #[error("the ciphertext has {0} octets, which is no initialization vector and whole blocks")]
    Ciphertext(usize),
    /// Plaintext that is authentic, yet not padded as XML Encryption §5.2 says, or of the wrong length.
    #[error("the decrypted value is malformed")]
    Plaintext,

    /// The container is encrypted, and there is no key.
    #[error("the container is encrypted with a {kind}{}", name.as_ref().map(|name| format!(" called {name}")).unwrap_or_default())]
    KeyNeeded {
        /// What opens it.
        kind: KeyKind,
        /// What the file calls it, quoted.
        name: Option<String>,
    },
    /// The pre-shared key belongs to another cipher.
    #[error("the key has {found} octets, the cipher takes {expected}")]
    KeyLength {
        /// Octets of the key.
        found: usize,
        /// Octets of the cipher's keys.
        expected: usize,
    },
    /// The MAC does not match (RFC 6030 §6.1.1): nothing was decrypted with it.
    #[error("the key is wrong, or the container was altered")]
    NotAuthentic,
}

impl Problem {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::TooLong => "split it",
            Self::NotUtf8 => "save it as UTF-8",
            Self::Xml(_) => "check that the file is complete and was not edited",
            Self::DocumentType | Self::ProcessingInstruction => "remove it",
            Self::Entity(_) => "write the character itself",
            Self::TooDeep | Self::NotPskc => "check that it is a PSKC file",
            Self::Version(_) => "ask for version 1.0",
            Self::UnsupportedElement | Self::UnsupportedAttribute(_) => "remove it if the key works without",
            Self::Signature => "verify the signature with another tool, then remove it",
            Self::Algorithm { what, .. } => supported(what),
            Self::Encoding(_) => "DECIMAL is supported",
            Self::Text => "check the file for damage",
            Self::Missing(_) => "add it",
            Self::Repeated => "remove all but one",
            Self::Inapplicable(_) => "remove the element",
            Self::Base64 => "check the file for damage",
            Self::Number { .. } | Self::Value { .. } => "correct it",
            Self::Date(_) => "write 2030-12-31T00:00:00Z",
            Self::Empty => "write a value",
            Self::Key(_) => "have a new key made",
            Self::Pin => "correct the PIN or its ResponseFormat",
            Self::Unauthenticated(_) => "ask for a container with MACMethod and ValueMAC",
            Self::Ciphertext(_) | Self::Plaintext => "ask for the container again",
            Self::KeyNeeded { .. } => "give it",
            Self::KeyLength { .. } => "check which key belongs to the container",
            Self::NotAuthentic => "check the key; if it is right, ask for the container again",
        }
    }
}

/// Names of what algorithms are for; each with its remedy.
pub(crate) const KEY_ALGORITHM: &str = "key algorithm";
pub(crate) const SUITE: &str = "suite";
pub(crate) const CIPHER: &str = "cipher";
pub(crate) const MAC: &str = "MAC algorithm";
pub(crate) const DERIVATION: &str = "key derivation";

fn supported(what: &str) -> &'static str {
    match what {
        KEY_ALGORITHM => "HOTP, TOTP and PIN keys are supported",
        SUITE => "HMAC-SHA1, HMAC-SHA256 and HMAC-SHA512 are supported",
        CIPHER => "AES-128-CBC, AES-192-CBC and AES-256-CBC are supported",
        MAC => "HMAC with SHA-1, SHA-224, SHA-256, SHA-384 and SHA-512 is supported",
        _ => "PBKDF2 is supported",
    }
}

/// A text from the file for a message: in quotation marks, escaped, and cut if it is long.
pub(crate) fn quote(text: &str) -> String {
    let cut: String = text.chars().take(QUOTED).collect();
    let ellipsis = if cut.len() < text.len() { "…" } else { "" };
    let printable =
        |character: char| character.is_ascii_graphic() || character == ' ' || character.is_alphanumeric();
    let escaped: String = cut
        .chars()
        .flat_map(|character| {
            let escaped = character.escape_default();
            if printable(character) {
                either(Some(character), None)
            } else {
                either(None, Some(escaped))
            }
        })
        .collect();
    format!("\"{escaped}{ellipsis}\"")
}

fn either(plain: Option<char>, escaped: Option<std::char::EscapeDefault>) -> impl Iterator<Item = char> {
    plain.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_printable_and_short() {
        assert_eq!(quote("Zürich 1"), "\"Zürich 1\"");
        assert_eq!(quote("a\u{1b}[0m\u{202e}\n"), r#""a\u{1b}[0m\u{202e}\n""#);
        assert_eq!(quote(&"x".repeat(100)), format!("\"{}…\"", "x".repeat(96)));
    }

    #[test]
    fn a_message_says_where_what_and_what_to_do() {
        let error = PskcError {
            at: Position { line: 3, column: 9 },
            element: Some("KeyDerivationMethod".into()),
            problem: Problem::Algorithm {
                what: DERIVATION,
                value: quote("urn:x"),
            },
        };
        assert_eq!(
            error.to_string(),
            "line 3, column 9, element KeyDerivationMethod: the key derivation \"urn:x\" is not supported; PBKDF2 is supported"
        );
    }
}
