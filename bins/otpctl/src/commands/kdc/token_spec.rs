//! One token on the command line: `type=vpn,username=alice,indicator=otp`.

use std::str::FromStr;

use otp_userstring::{BuildError, Token};

/// The value of `--token`: pairs of key and value, divided by commas; `\` takes the next character as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TokenSpec {
    pub(super) token_type: Option<String>,
    pub(super) username: Option<String>,
    pub(super) indicators: Vec<String>,
    /// Ask for no indicators at all, whatever the type has.
    pub(super) no_indicators: bool,
}

impl TokenSpec {
    pub(super) fn build(&self) -> Result<Token, BuildError> {
        let mut token = Token::default();
        if let Some(name) = &self.token_type {
            token = token.with_type(name.as_str())?;
        }
        if let Some(name) = &self.username {
            token = token.with_username(name.as_str())?;
        }
        if self.no_indicators || !self.indicators.is_empty() {
            token = token.with_indicators(self.indicators.iter().map(String::as_str))?;
        }
        Ok(token)
    }
}

/// Why a text is not a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpecError {
    #[error("{0:?} is not KEY=VALUE; the keys are type, username and indicator")]
    NotAPair(String),
    #[error("there is no key {0:?}; the keys are type, username and indicator")]
    UnknownKey(String),
    #[error("{0} is given twice")]
    Repeated(&'static str),
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl FromStr for TokenSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Self::default();
        for pair in split(text) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| SpecError::NotAPair(pair.clone()))?;
            let value = value.to_owned();
            match key {
                "type" if spec.token_type.is_none() => spec.token_type = Some(value),
                "type" => return Err(SpecError::Repeated("type")),
                "username" if spec.username.is_none() => spec.username = Some(value),
                "username" => return Err(SpecError::Repeated("username")),
                "indicator" => spec.indicators.push(value),
                _ => return Err(SpecError::UnknownKey(key.to_owned())),
            }
        }
        spec.build()?;
        Ok(spec)
    }
}

/// Splits at commas that no `\` precedes; an empty text has no parts.
fn split(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => parts.push(std::mem::take(&mut part)),
            '\\' => part.push(characters.next().unwrap_or('\\')),
            _ => part.push(character),
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_pairs_divided_by_commas() {
        let rows = [
            ("", "{}"),
            ("type=vpn", r#"{"type":"vpn"}"#),
            (
                "type=otp,username=alice,indicator=a,indicator=b",
                r#"{"type":"otp","username":"alice","indicators":["a","b"]}"#,
            ),
            (r"username=a\,b=c\\d", r#"{"username":"a,b=c\\d"}"#),
        ];
        for (text, expected) in rows {
            assert_eq!(
                text.parse::<TokenSpec>().unwrap().build().unwrap().to_string(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let rows = [
            ("vpn", SpecError::NotAPair("vpn".into())),
            ("type=a,", SpecError::NotAPair(String::new())),
            ("Type=a", SpecError::UnknownKey("Type".into())),
            ("type=a,type=b", SpecError::Repeated("type")),
            ("username=a,username=b", SpecError::Repeated("username")),
            ("type=", SpecError::Build(BuildError::EmptyType)),
            ("username=", SpecError::Build(BuildError::UsernameLength(0))),
            ("indicator=", SpecError::Build(BuildError::EmptyIndicator)),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<TokenSpec>(), Err(expected), "{text}");
        }
    }
}
