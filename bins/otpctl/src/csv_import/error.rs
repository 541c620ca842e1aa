//! What can be wrong with a line: the file's author is at fault, so every message says what to write instead.

use std::fmt;

use otp_validation::NameError;

use super::Column;
use crate::{LabelError, SecretError};

/// Characters of a value that an error quotes.
const QUOTED: usize = 32;

/// One thing that is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The line, counted from 1 as editors do.
    pub line: u64,
    /// The column; `None` if it is the line as a whole.
    pub column: Option<Column>,
    /// What is wrong.
    pub problem: Problem,
}

impl LineError {
    pub(crate) fn new(line: u64, column: Column, problem: Problem) -> Self {
        Self {
            line,
            column: Some(column),
            problem,
        }
    }

    pub(crate) fn whole(line: u64, problem: Problem) -> Self {
        Self {
            line,
            column: None,
            problem,
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(f, ", column \"{column}\"")?;
        }
        write!(f, ": {}; {}", self.problem, self.problem.remedy())
    }
}

impl std::error::Error for LineError {}

/// What is wrong with a line or one of its values. Secrets are never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is nothing in the file.
    #[error("the file is empty")]
    Empty,
    /// The first line names no column.
    #[error("the first line does not name the columns")]
    NoHeader,
    /// The columns are separated by something else than commas.
    #[error("the columns are separated by {found:?}")]
    Separator {
        /// What separates them.
        found: char,
    },
    /// A column of another name.
    #[error("there is no column {0}")]
    UnknownColumn(String),
    /// A column is named twice.
    #[error("the column is named twice")]
    RepeatedColumn,
    /// A column that cannot be left out.
    #[error("the column is missing")]
    MissingColumn,
    /// The line cannot be read as CSV.
    #[error("the line cannot be read")]
    Unreadable,
    /// The line has more or fewer values than there are columns.
    #[error("the number of values is {found}, that of the columns {expected}")]
    Fields {
        /// Values of the line.
        found: usize,
        /// Columns of the file.
        expected: usize,
    },
    /// A value that cannot be left out.
    #[error("the value is missing")]
    Missing,
    /// The value is not UTF-8.
    #[error("the value is not UTF-8")]
    NotUtf8,
    /// A name that cannot be a user's.
    #[error("{0}")]
    User(NameError),
    /// A name that cannot be a token's.
    #[error("{0}")]
    Label(LabelError),
    /// Not a type of tokens.
    #[error("the value {0} is not a type of tokens")]
    Type(String),
    /// Not a usable key.
    #[error("{0}")]
    Secret(SecretError),
    /// Not an algorithm.
    #[error("the value {0} is not an algorithm")]
    Algorithm(String),
    /// Not a number of digits.
    #[error("the value {0} is not a number of digits")]
    Digits(String),
    /// Not a period.
    #[error("the value {0} is not a period")]
    Period(String),
    /// Not a counter.
    #[error("the value {0} is not a counter")]
    Counter(String),
    /// A counter for TOTP, or a period for HOTP.
    #[error("a {0} token has no such value")]
    Inapplicable(&'static str),
    /// The same user and label again.
    #[error("the same user and label are in line {first}")]
    Repeated {
        /// The line that had them first.
        first: u64,
    },
    /// The store has no such user.
    #[error("there is no user {0}")]
    UnknownUser(String),
    /// The store has such a token.
    #[error("the token {0} exists")]
    TokenExists(String),
}

impl Problem {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Empty | Self::NoHeader => {
                "begin the file with the line user,label,type,secret,algorithm,digits,period,counter"
            }
            Self::Separator { .. } => "separate them by commas",
            Self::UnknownColumn(_) => {
                "the columns are user, label, type, secret, algorithm, digits, period and counter"
            }
            Self::RepeatedColumn => "name it once",
            Self::MissingColumn => "the columns user and secret are needed",
            Self::Unreadable => "write one record a line",
            Self::Fields { .. } => "write as many, empty ones too; quote a value that contains a comma",
            Self::Missing => "every line needs a user and a secret",
            Self::NotUtf8 => "save the file as UTF-8",
            Self::User(_) | Self::Label(_) => "write another name",
            Self::Type(_) => "write totp or hotp",
            Self::Secret(error) => error.remedy(),
            Self::Algorithm(_) => "write SHA1, SHA256 or SHA512",
            Self::Digits(_) => "write 6, 7 or 8",
            Self::Period(_) => "write a number of seconds from 1 to 86400",
            Self::Counter(_) => "write a number from 0 to 9223372036854775806",
            Self::Inapplicable(_) => "leave it empty",
            Self::Repeated { .. } => "write another label, or remove one of the lines",
            Self::UnknownUser(_) => "add the user first, or say --create-users",
            Self::TokenExists(_) => "write another label, or remove that token first",
        }
    }

    /// A value for a message: escaped, and cut if it is long.
    pub(super) fn quote(value: &[u8]) -> String {
        let text = String::from_utf8_lossy(value);
        let mut quoted: String = text.chars().take(QUOTED).collect();
        if quoted.len() < text.len() {
            quoted.push('…');
        }
        format!("{quoted:?}")
    }
}
