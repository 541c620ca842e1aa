//! The name of a token: `user/label`.

use std::{fmt, str::FromStr};

use otp_validation::{NameError, UserName};

/// The longest label in octets.
const LONGEST: usize = 64;

/// The name of a token among those of its user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// Why a text cannot be the label of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Nothing at all.
    #[error("a label must not be empty")]
    Empty,
    /// Longer than fits beside a user name.
    #[error("a label has at most {LONGEST} octets, this one has {0}")]
    TooLong(usize),
    /// A control character, which could only serve to deceive.
    #[error("a label must not contain control characters")]
    Control,
    /// `/`, which separates user and label.
    #[error("a label must not contain \"/\"")]
    Slash,
    /// Blanks at the ends, which nobody sees.
    #[error("a label must not begin or end with a blank")]
    OuterBlank,
}

impl Label {
    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `base`, or the first of `base-2`, `base-3` … for which `taken` is false.
    pub(crate) fn first_free(base: &str, taken: impl Fn(&str) -> bool) -> Self {
        if !taken(base) {
            return Self(base.to_owned());
        }
        let mut number = 2_u64;
        loop {
            let label = format!("{base}-{number}");
            if !taken(&label) {
                return Self(label);
            }
            number = number.saturating_add(1);
        }
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        if text.len() > LONGEST {
            return Err(LabelError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(LabelError::Control);
        }
        if text.contains('/') {
            return Err(LabelError::Slash);
        }
        if text.trim() != text {
            return Err(LabelError::OuterBlank);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token as it is named on the command line: user and label around the last `/`.
///
/// A Kerberos principal may hold a `/` of its own (`alice/admin@EXAMPLE.COM/totp`), a label never does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenName {
    pub(crate) user: UserName,
    pub(crate) label: Label,
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.user, self.label)
    }
}

/// Why a text names no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenNameError {
    /// No `/`.
    #[error("write USER/LABEL; `otpctl token list` shows the labels")]
    NoLabel,
    #[error(transparent)]
    User(#[from] NameError),
    #[error(transparent)]
    Label(#[from] LabelError),
}

impl FromStr for TokenName {
    type Err = TokenNameError;

    fn from_str(text: &str) -> Result<Self, TokenNameError> {
        let (user, label) = text.rsplit_once('/').ok_or(TokenNameError::NoLabel)?;
        Ok(Self {
            user: UserName::parse(user.as_bytes())?,
            label: label.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_named_by_user_and_label() {
        let rows = [
            ("alice/totp", "alice", "totp"),
            (
                "alice/admin@EXAMPLE.COM/key ring",
                "alice/admin@EXAMPLE.COM",
                "key ring",
            ),
        ];
        for (text, user, label) in rows {
            let name: TokenName = text.parse().unwrap();
            assert_eq!((name.user.as_str(), name.label.as_str()), (user, label));
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("alice".parse::<TokenName>(), Err(TokenNameError::NoLabel));
        assert_eq!(
            "/totp".parse::<TokenName>(),
            Err(TokenNameError::User(NameError::Empty))
        );
        assert_eq!(
            "alice/".parse::<TokenName>(),
            Err(TokenNameError::Label(LabelError::Empty))
        );
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let long = "x".repeat(65);
        let rows = [
            ("", LabelError::Empty),
            (long.as_str(), LabelError::TooLong(65)),
            ("a\tb", LabelError::Control),
            ("a/b", LabelError::Slash),
            (" a", LabelError::OuterBlank),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<Label>(), Err(expected), "{text:?}");
        }
        assert!("x".repeat(64).parse::<Label>().is_ok());
    }

    #[test]
    fn default_labels_count_on() {
        let taken = ["totp", "totp-2"];
        assert_eq!(
            Label::first_free("totp", |label| taken.contains(&label)).as_str(),
            "totp-3"
        );
        assert_eq!(
            Label::first_free("hotp", |label| taken.contains(&label)).as_str(),
            "hotp"
        );
    }
}
