//! One token of a user string.

use std::fmt;

use crate::{BuildError, json};

/// The token type of a token that names none.
pub const DEFAULT_TYPE: &str = "DEFAULT";

/// A key that the KDC knows. Keys are case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// `type`: the subsection of `[otp]` that names the server.
    Type,
    /// `username`: the User-Name to send instead of the principal.
    Username,
    /// `indicators`: authentication indicators instead of those of the type.
    Indicators,
}

impl Field {
    /// Every field, in canonical order.
    pub const ALL: [Self; 3] = [Self::Type, Self::Username, Self::Indicators];

    /// The key as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Username => "username",
            Self::Indicators => "indicators",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One token: which server is asked, under which name, and what the ticket then says.
///
/// A KDC tries the tokens of a principal in order, with the same OTP value. All strings are octets: neither the
/// database nor the KDC knows their character set.
///
/// The default token is `{}`: the type `DEFAULT`, the principal as the name, the indicators of the type.
///
/// ```
/// use otp_userstring::Token;
///
/// let token = Token::default().with_type("vpn")?.with_username("alice")?.with_indicators(["otp"])?;
/// assert_eq!(token.to_string(), r#"{"type":"vpn","username":"alice","indicators":["otp"]}"#);
/// # Ok::<(), otp_userstring::BuildError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Token {
    pub(crate) token_type: Option<Vec<u8>>,
    pub(crate) username: Option<Vec<u8>>,
    pub(crate) indicators: Option<Vec<Vec<u8>>>,
}

impl Token {
    /// The longest username in octets: the largest value of a RADIUS attribute (RFC 2865 §5).
    pub const MAX_USERNAME: usize = 253;

    /// Names the token type, a subsection of `[otp]` in the KDC's profile.
    ///
    /// # Errors
    ///
    /// [`BuildError::EmptyType`], [`BuildError::Nul`].
    pub fn with_type(mut self, name: impl Into<Vec<u8>>) -> Result<Self, BuildError> {
        let name = without_nul(name, Field::Type)?;
        if name.is_empty() {
            return Err(BuildError::EmptyType);
        }
        self.token_type = Some(name);
        Ok(self)
    }

    /// Names the user for the server, instead of the principal. It is sent as it is: `strip_realm` does not apply.
    ///
    /// # Errors
    ///
    /// [`BuildError::UsernameLength`] unless it has 1 to 253 octets, [`BuildError::Nul`].
    pub fn with_username(mut self, name: impl Into<Vec<u8>>) -> Result<Self, BuildError> {
        let name = without_nul(name, Field::Username)?;
        if name.is_empty() || name.len() > Self::MAX_USERNAME {
            return Err(BuildError::UsernameLength(name.len()));
        }
        self.username = Some(name);
        Ok(self)
    }

    /// Replaces the indicators of the type. An empty list asserts none, even if the type has some.
    ///
    /// # Errors
    ///
    /// [`BuildError::EmptyIndicator`], [`BuildError::Nul`].
    pub fn with_indicators<I>(mut self, indicators: I) -> Result<Self, BuildError>
    where
        I: IntoIterator,
        I::Item: Into<Vec<u8>>,
    {
        let indicators = indicators
            .into_iter()
            .map(|indicator| match without_nul(indicator, Field::Indicators)? {
                indicator if indicator.is_empty() => Err(BuildError::EmptyIndicator),
                indicator => Ok(indicator),
            })
            .collect::<Result<_, _>>()?;
        self.indicators = Some(indicators);
        Ok(self)
    }

    /// The type that is written, if any.
    #[must_use]
    pub fn token_type(&self) -> Option<&[u8]> {
        self.token_type.as_deref()
    }

    /// The type that the KDC looks up: [`DEFAULT_TYPE`] if none is written.
    #[must_use]
    pub fn effective_type(&self) -> &[u8] {
        self.token_type().unwrap_or(DEFAULT_TYPE.as_bytes())
    }

    /// The name for the server; `None` stands for the principal.
    ///
    /// A decoded name may be empty or longer than [`Token::MAX_USERNAME`]; a [`Warning`](crate::Warning) says so.
    #[must_use]
    pub fn username(&self) -> Option<&[u8]> {
        self.username.as_deref()
    }

    /// The indicators that replace those of the type; `None` leaves these in force.
    #[must_use]
    pub fn indicators(&self) -> Option<&[Vec<u8>]> {
        self.indicators.as_deref()
    }
}

/// The canonical JSON object: only the keys that are present, in the order of [`Field::ALL`].
impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_json(out)
    }
}

impl Token {
    pub(crate) fn write_json(&self, out: &mut impl fmt::Write) -> fmt::Result {
        json::write_list(
            out,
            ['{', '}'],
            Field::ALL.iter().filter(|field| self.has(**field)),
            |out, &field| {
                json::write_quoted(out, field.as_str().as_bytes())?;
                out.write_str(":")?;
                match field {
                    Field::Type => json::write_quoted(out, self.token_type().unwrap_or_default()),
                    Field::Username => json::write_quoted(out, self.username().unwrap_or_default()),
                    Field::Indicators => {
                        let indicators = self.indicators().unwrap_or_default();
                        json::write_list(out, ['[', ']'], indicators, |out, indicator| {
                            json::write_quoted(out, indicator)
                        })
                    }
                }
            },
        )
    }

    fn has(&self, field: Field) -> bool {
        match field {
            Field::Type => self.token_type.is_some(),
            Field::Username => self.username.is_some(),
            Field::Indicators => self.indicators.is_some(),
        }
    }
}

fn without_nul(octets: impl Into<Vec<u8>>, field: Field) -> Result<Vec<u8>, BuildError> {
    let octets = octets.into();
    if octets.contains(&0) {
        Err(BuildError::Nul(field))
    } else {
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_present_is_written() -> Result<(), BuildError> {
        let token = Token::default();
        assert_eq!(token.to_string(), "{}");
        assert_eq!(token.effective_type(), b"DEFAULT");
        assert_eq!(
            token.clone().with_username("x")?.to_string(),
            r#"{"username":"x"}"#
        );
        let no_indicators: [&str; 0] = [];
        assert_eq!(
            token.clone().with_indicators(no_indicators)?.to_string(),
            r#"{"indicators":[]}"#
        );
        let indicators = token.with_type("t")?.with_indicators(["a", "b\"c"])?;
        assert_eq!(
            indicators.to_string(),
            r#"{"type":"t","indicators":["a","b\"c"]}"#
        );
        Ok(())
    }

    #[test]
    fn what_a_kdc_cannot_use_is_not_built() {
        let token = Token::default;
        let rows = [
            (token().with_type(""), BuildError::EmptyType),
            (token().with_type("a\0b"), BuildError::Nul(Field::Type)),
            (token().with_username(""), BuildError::UsernameLength(0)),
            (
                token().with_username(vec![b'a'; 254]),
                BuildError::UsernameLength(254),
            ),
            (token().with_username("\0"), BuildError::Nul(Field::Username)),
            (token().with_indicators(["a", ""]), BuildError::EmptyIndicator),
            (
                token().with_indicators(["a\0"]),
                BuildError::Nul(Field::Indicators),
            ),
        ];
        for (built, expected) in rows {
            assert_eq!(built, Err(expected));
        }
        assert!(token().with_username(vec![0xFF; 253]).is_ok());
    }
}
