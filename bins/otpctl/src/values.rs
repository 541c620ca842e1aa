//! Values that options and import files share.

use std::{num::NonZeroU64, str::FromStr};

use otp_validation::{Grammar, NameError, UserName};

/// The largest counter that a token can start from: the store counts in signed 64-bit numbers, and the counter after it
/// has to fit, too.
pub(crate) const LARGEST_COUNTER: u64 = i64::MAX.unsigned_abs().saturating_sub(1);

/// The longest time step: a day.
pub(crate) const LONGEST_PERIOD: u64 = 86_400;

/// A time step of 1 second to a day.
pub(crate) fn period(seconds: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(seconds).filter(|period| period.get() <= LONGEST_PERIOD)
}

/// Reads the name of a user from the command line.
pub(crate) fn parse_user(text: &str) -> Result<UserName, NameError> {
    UserName::parse(text.as_bytes())
}

/// What was named on the command line, each once: the second time it might be gone.
pub(crate) fn each_once<T: Clone + PartialEq>(named: &[T]) -> Vec<T> {
    let mut once: Vec<T> = Vec::with_capacity(named.len());
    for name in named {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}

/// Reads a grammar from the command line.
pub(crate) fn parse_grammar(text: &str) -> Result<Grammar, <Grammar as FromStr>::Err> {
    text.parse()
}

/// A grammar, or none of one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrammarChoice {
    /// It follows from whether the user has a password.
    Auto,
    /// Always this one.
    Fixed(Grammar),
}

impl GrammarChoice {
    pub(crate) fn grammar(self) -> Option<Grammar> {
        match self {
            Self::Auto => None,
            Self::Fixed(grammar) => Some(grammar),
        }
    }
}

impl FromStr for GrammarChoice {
    type Err = <Grammar as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            Ok(Self::Auto)
        } else {
            text.parse().map(Self::Fixed)
        }
    }
}

/// How many counters ahead of the expected one an HOTP code is looked for.
pub(crate) const LOOK_AHEAD: u32 = 10;
