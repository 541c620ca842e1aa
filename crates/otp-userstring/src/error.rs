//! What can go wrong, by the party at fault.

use crate::{Field, UserString};

/// Why a stored value is not an `otp` string: every OTP request of the principal would fail, so no KDC should be given it.
///
/// Offsets count octets from 0; tokens count from 0, too, and are shown counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The value is longer than [`UserString::MAX_LENGTH`] octets: the database cannot store it.
    #[error("{0} octets are more than the {max} that a principal can hold", max = UserString::MAX_LENGTH)]
    TooLong(usize),
    /// The value is empty or blank. To ask for the type DEFAULT, write `[{}]`.
    #[error("the value is empty; `[{{}}]` is one token of the type DEFAULT")]
    Empty,
    /// The text ends within a value: a KDC cannot use it.
    #[error("the text ends within a value, at octet {at}")]
    Truncated {
        /// Length of the text.
        at: usize,
    },
    /// An octet that fits no rule of the grammar.
    #[error("unexpected octet '{}' at octet {at}", .octet.escape_ascii())]
    Unexpected {
        /// Offset of the octet.
        at: usize,
        /// The octet.
        octet: u8,
    },
    /// Not one of `\" \\ \/ \b \f \n \r \t`, nor `\u` with four upper-case hexadecimal digits up to `00FF`.
    #[error(
        "unknown escape at octet {at}; `\\u` takes four upper-case hexadecimal digits up to 00FF, for one octet"
    )]
    Escape {
        /// Offset of the octet after the backslash, or after `\u`.
        at: usize,
    },
    /// A number outside −2⁶³ … 2⁶³−1.
    #[error("the number at octet {at} needs more than 64 bits")]
    Number {
        /// Offset of its first octet.
        at: usize,
    },
    /// More than [`json::MAX_DEPTH`](crate::json::MAX_DEPTH) arrays and objects within each other.
    #[error("the array or object at octet {at} is nested more than 63 deep")]
    Depth {
        /// Offset of the bracket that opens the innermost container.
        at: usize,
    },
    /// Something other than blanks follows the value.
    #[error("octet {at} follows the end of the value")]
    Trailing {
        /// Offset of the first octet that does not belong there.
        at: usize,
    },
    /// The value is not an array. One token is `[{…}]`.
    #[error("the value at octet {at} is not an array of tokens")]
    NotAnArray {
        /// Offset of the value.
        at: usize,
    },
    /// A member of the array is not an object.
    #[error("token {} at octet {at} is not an object", .token.saturating_add(1))]
    NotAnObject {
        /// Index of the token.
        token: usize,
        /// Offset of the value.
        at: usize,
    },
    /// `indicators` is not an array, or one of its members is not a string.
    #[error("`indicators` of token {} is not an array of strings, at octet {at}", .token.saturating_add(1))]
    Indicators {
        /// Index of the token.
        token: usize,
        /// Offset of the value that has the wrong type.
        at: usize,
    },
}

/// Why what the operator asked for cannot be a token or a user string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A user string holds one token at least.
    #[error("a user string needs one token at least")]
    NoTokens,
    /// A token type is the name of a subsection of `[otp]`, which is not empty.
    #[error("`type` is empty")]
    EmptyType,
    /// An indicator that says nothing.
    #[error("an indicator is empty")]
    EmptyIndicator,
    /// A username must fit one User-Name attribute (RFC 2865 §5.1).
    #[error("`username` has {0} octets; a RADIUS User-Name holds 1 to 253")]
    UsernameLength(usize),
    /// A NUL would end the string when a KDC reads it.
    #[error("`{0}` contains a NUL octet")]
    Nul(Field),
    /// The canonical form is longer than [`UserString::MAX_LENGTH`] octets.
    #[error("{0} octets are more than the {max} that a principal can hold", max = UserString::MAX_LENGTH)]
    TooLong(usize),
}

/// Why no `kadmin` command can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KadminError {
    /// The principal is empty.
    #[error("the principal is empty")]
    EmptyPrincipal,
    /// The principal holds a control character, which a command line cannot carry; Kerberos writes it as an escape
    /// such as `\n`.
    #[error("the principal has a control character at octet {0}; write it as a Kerberos escape such as \\n")]
    Control(usize),
    /// The canonical form is longer than [`UserString::MAX_LENGTH`] octets.
    #[error("{0} octets are more than the {max} that a principal can hold", max = UserString::MAX_LENGTH)]
    TooLong(usize),
}
