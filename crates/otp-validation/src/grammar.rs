//! How a credential is composed of a password and a code.

use std::{fmt, str::FromStr};

use otp_core::Otp;

/// How the octets of User-Password are composed.
///
/// The code is cut off by each token's own number of digits; whatever is left is the password. There is no separator,
/// nothing is trimmed, and only exact ASCII digits are a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grammar {
    /// The code and nothing else: the password is checked elsewhere, or not at all.
    Otp,
    /// The password, directly followed by the code.
    PasswordOtp,
    /// The code, directly followed by the password.
    OtpPassword,
    /// The password first; then the server asks for the code (Access-Challenge). The code alone for users without a password.
    Challenge,
    /// Both: a credential that ends in a right code is the password and the code, any other is the password, and the server asks for
    /// the code where the client can be asked.
    Auto,
}

/// A name that is not a grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a credential grammar; write \"otp\", \"password+otp\", \"otp+password\", \"challenge\" or \"auto\""
)]
pub struct UnknownGrammar(String);

impl Grammar {
    /// Every grammar.
    pub const ALL: [Self; 5] = [
        Self::Otp,
        Self::PasswordOtp,
        Self::OtpPassword,
        Self::Challenge,
        Self::Auto,
    ];

    /// The name used in the store, in options and in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::PasswordOtp => "password+otp",
            Self::OtpPassword => "otp+password",
            Self::Challenge => "challenge",
            Self::Auto => "auto",
        }
    }

    /// Whether a password is part of the credential.
    pub const fn has_password(self) -> bool {
        !matches!(self, Self::Otp)
    }

    /// Whether the server asks for the code, of a client that can be asked.
    pub const fn asks(self) -> bool {
        matches!(self, Self::Challenge | Self::Auto)
    }

    /// Cuts a code of `digits` digits and the password out of `credential`; `None` if there is no such code in it, and where a
    /// grammar [`asks`](Self::asks): its first step may have a password alone.
    pub fn split(self, credential: &[u8], digits: usize) -> Option<(Otp, &[u8])> {
        let (code, password) = match self {
            Self::Otp => (credential, b"".as_slice()),
            Self::PasswordOtp => {
                let (password, code) = credential.split_at_checked(credential.len().checked_sub(digits)?)?;
                (code, password)
            }
            Self::OtpPassword => credential.split_at_checked(digits)?,
            Self::Challenge | Self::Auto => return None,
        };
        if code.len() != digits {
            return None;
        }
        Some((Otp::parse(code).ok()?, password))
    }
}

impl fmt::Display for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Grammar {
    type Err = UnknownGrammar;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|grammar| grammar.name() == text)
            .ok_or_else(|| UnknownGrammar(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grammar, credential, digits of the token → code and password, or nothing.
    type Row = (Grammar, &'static str, usize, Option<(&'static str, &'static str)>);
    const ROWS: &[Row] = &[
        (Grammar::Otp, "123456", 6, Some(("123456", ""))),
        (Grammar::Otp, "123456", 8, None),
        (Grammar::Otp, "1234567", 6, None),
        (Grammar::Otp, " 123456", 6, None),
        (Grammar::Otp, "123456\n", 6, None),
        (Grammar::Otp, "12345a", 6, None),
        (Grammar::Otp, "", 6, None),
        (
            Grammar::PasswordOtp,
            "secret123456",
            6,
            Some(("123456", "secret")),
        ),
        (Grammar::PasswordOtp, "12123456", 6, Some(("123456", "12"))),
        (Grammar::PasswordOtp, "12123456", 8, Some(("12123456", ""))),
        (
            Grammar::PasswordOtp,
            "sécret123456",
            6,
            Some(("123456", "sécret")),
        ),
        (Grammar::PasswordOtp, "secret12345", 6, None),
        (Grammar::PasswordOtp, "12345", 6, None),
        (
            Grammar::OtpPassword,
            "123456secret",
            6,
            Some(("123456", "secret")),
        ),
        (Grammar::OtpPassword, "123456", 6, Some(("123456", ""))),
        (Grammar::OtpPassword, "12345", 6, None),
        (Grammar::OtpPassword, "x123456", 6, None),
    ];

    #[test]
    fn credentials_are_cut_by_the_tokens_digits() {
        for (grammar, credential, digits, expected) in ROWS {
            let split = grammar.split(credential.as_bytes(), *digits);
            let got = split
                .as_ref()
                .map(|(otp, password)| (otp.as_str(), std::str::from_utf8(password).unwrap()));
            assert_eq!(got, *expected, "{grammar} {credential:?} {digits}");
        }
    }

    #[test]
    fn names_parse_back() {
        for grammar in Grammar::ALL {
            assert_eq!(grammar.name().parse(), Ok(grammar));
        }
        assert!("otp+pin".parse::<Grammar>().is_err());
    }
}
