//! The list of tokens of a principal.

use std::fmt;

use crate::{BuildError, Token, json};

/// Name of the string attribute.
pub const ATTRIBUTE: &str = "otp";

/// The tokens of a principal, in the order in which the KDC tries them; one at least.
///
/// [`Display`](fmt::Display) and [`to_json`](Self::to_json) write the canonical form: only the keys that are present,
/// no blanks, printable ASCII alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserString {
    tokens: Vec<Token>,
}

impl UserString {
    /// The longest value in octets. All string attributes of a principal share one field of 65,535 octets, each with its
    /// name and two NULs: this is what `otp` may take if it is the only one.
    pub const MAX_LENGTH: usize = 0xFFFF - ATTRIBUTE.len() - 2;

    /// Makes a user string of `tokens`.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoTokens`], [`BuildError::TooLong`].
    pub fn new(tokens: impl IntoIterator<Item = Token>) -> Result<Self, BuildError> {
        let user_string = Self::from_tokens(tokens.into_iter().collect()).ok_or(BuildError::NoTokens)?;
        match user_string.to_json().len() {
            length if length > Self::MAX_LENGTH => Err(BuildError::TooLong(length)),
            _ => Ok(user_string),
        }
    }

    /// `None` if there is no token. A decoded value was short enough as it was written.
    pub(crate) fn from_tokens(tokens: Vec<Token>) -> Option<Self> {
        (!tokens.is_empty()).then_some(Self { tokens })
    }

    /// The tokens in order.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The canonical form, to be stored as the attribute [`ATTRIBUTE`].
    ///
    /// It may be longer than the text that was decoded, because an octet ≥ 0x80 is written as `\u00XX`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::with_capacity(self.tokens.len().saturating_mul(ROOM_FOR_A_TOKEN));
        // A string takes everything: there is no error.
        let _ = self.write_json(&mut text);
        text
    }

    fn write_json(&self, out: &mut impl fmt::Write) -> fmt::Result {
        json::write_list(out, ['[', ']'], &self.tokens, |out, token| token.write_json(out))
    }
}

/// Octets that a usual token takes with all its keys.
const ROOM_FOR_A_TOKEN: usize = 80;

/// One token of the type `DEFAULT`: `[{}]`.
impl Default for UserString {
    fn default() -> Self {
        Self {
            tokens: vec![Token::default()],
        }
    }
}

impl fmt::Display for UserString {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_json(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_string_has_one_token_at_least() {
        assert_eq!(UserString::new([]), Err(BuildError::NoTokens));
        assert_eq!(UserString::default().to_json(), "[{}]");
        assert_eq!(UserString::new([Token::default()]), Ok(UserString::default()));
    }

    #[test]
    fn the_limit_is_what_the_database_can_store() -> Result<(), BuildError> {
        assert_eq!(UserString::MAX_LENGTH, 65_530);
        let with_type_of = |length: usize| UserString::new([Token::default().with_type(vec![b'a'; length])?]);
        let frame = r#"[{"type":""}]"#.len();
        let fits = UserString::MAX_LENGTH - frame;
        assert_eq!(with_type_of(fits)?.to_json().len(), UserString::MAX_LENGTH);
        assert_eq!(with_type_of(fits + 1), Err(BuildError::TooLong(65_531)));
        Ok(())
    }
}
