//! Values that options and import files share.

use std::{net::IpAddr, num::NonZeroU64, str::FromStr};

use ipnet::IpNet;
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
    /// It follows from whether the user has a password, and from what the client can.
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

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("write an address (192.0.2.1) or a network (198.51.100.0/24, 2001:db8::/32)")]
    Syntax,
    #[error("the address has bits beyond the prefix; write {0}")]
    HostBits(IpNet),
}

/// Reads an address or a network from the command line.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    if let Ok(address) = IpAddr::from_str(text) {
        return Ok(address.into());
    }
    let network = IpNet::from_str(text).map_err(|_| NetworkError::Syntax)?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(NetworkError::HostBits(network.trunc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_addresses_or_prefixes() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("198.51.100.0/24", "198.51.100.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(parse_network(text).unwrap().to_string(), expected);
        }
        for text in ["", "vpn.example.com", "192.0.2.1/33", "192.0.2.1:1812"] {
            assert_eq!(parse_network(text), Err(NetworkError::Syntax), "{text}");
        }
        let suggestion = NetworkError::HostBits("192.0.2.0/24".parse().unwrap());
        assert_eq!(parse_network("192.0.2.1/24"), Err(suggestion));
    }
}
