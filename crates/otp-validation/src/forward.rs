//! Users whom another RADIUS server decides on: whether a request is for one of them, and which server is meant.

use std::{fmt, str::FromStr};

use crate::{Account, Client, Reason, UnixTime, UserName};

/// The longest name of an upstream, in octets.
const LONGEST: usize = 64;

/// The name of an upstream: a group of RADIUS servers that stand in for each other, as configured where requests come in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName(Box<str>);

/// Text that is no name of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an upstream has 1 to {LONGEST} letters, digits, hyphens and underscores")]
pub struct UpstreamNameError;

impl UpstreamName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UpstreamName {
    type Err = UpstreamNameError;

    fn from_str(text: &str) -> Result<Self, UpstreamNameError> {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        ((1..=LONGEST).contains(&text.len()) && text.bytes().all(fits))
            .then(|| Self(text.into()))
            .ok_or(UpstreamNameError)
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a request is decided in place of here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Which servers.
    pub name: UpstreamName,
    /// Under which name they know the user; `None` for the one that came in.
    pub user_name: Option<UserName>,
}

/// `corp`, or `corp as alice.smith`.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user_name {
            None => self.name.fmt(f),
            Some(user_name) => write!(f, "{} as {user_name}", self.name),
        }
    }
}

/// Where a request is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// By [`decide`](crate::decide), if there is an account.
    Here,
    /// Nowhere: it is refused at once.
    Refused(Reason),
    /// By these servers.
    Upstream(&'a Upstream),
}

/// Where a request of `account`, which came through `client`, is decided at `now`; `realm` is where its realm is decided, if that
/// is elsewhere.
///
/// The user's own upstream goes before the realm's. Whoever is disabled or has expired here is refused here, wherever else the
/// user might be let in.
pub fn destination<'a>(
    account: Option<&'a Account>,
    realm: Option<&'a Upstream>,
    client: &Client,
    now: UnixTime,
) -> Destination<'a> {
    let own = account.and_then(|account| account.user.upstream.as_ref());
    let Some(upstream) = own.or(realm) else {
        return Destination::Here;
    };
    if !client.enabled {
        return Destination::Refused(Reason::ClientDisabled);
    }
    match account.map(|account| &account.user) {
        Some(user) if !user.enabled => Destination::Refused(Reason::UserDisabled),
        Some(user) if user.expires_at.is_some_and(|end| now >= end) => {
            Destination::Refused(Reason::UserExpired)
        }
        _ => Destination::Upstream(upstream),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_upstreams() {
        let long = "x".repeat(65);
        for name in ["corp", "Corp-2_b", &long[1..]] {
            assert_eq!(name.parse::<UpstreamName>().unwrap().as_str(), name);
        }
        for name in ["", "a b", "a.b", "ä", "a\n", &long] {
            assert_eq!(name.parse::<UpstreamName>(), Err(UpstreamNameError), "{name:?}");
        }
    }
}
