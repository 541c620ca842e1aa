//! Which version a TLS connection carries (RFC 9765 §3).
//!
//! These are the rules alone; the TLS library sends and receives the names.

/// ALPN name of historic RADIUS/TLS (RFC 9765 §3.1).
pub const ALPN_RADIUS_1_0: &[u8] = b"radius/1.0";

/// ALPN name of RADIUS/1.1 (RFC 9765 §3.1).
pub const ALPN_RADIUS_1_1: &[u8] = b"radius/1.1";

/// The TLS alert by which a server refuses every name that a client offered (RFC 7301 §3.2).
pub const NO_APPLICATION_PROTOCOL: u8 = 120;

/// What a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RADIUS/TLS as in RFC 6614: [`Packet`](crate::Packet), shared secret `radsec`.
    Historic,
    /// RADIUS/1.1: [`radius11::Packet`](super::Packet).
    Radius11,
}

/// What one end is configured to speak: the variable "Version" of RFC 9765 §3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Versions {
    /// Unset: no ALPN, historic RADIUS/TLS.
    NoAlpn,
    /// "1.0": historic RADIUS/TLS, said by ALPN.
    Historic,
    /// "1.0, 1.1": RADIUS/1.1 with whoever speaks it, historic RADIUS/TLS with everyone else.
    #[default]
    Both,
    /// "1.1": RADIUS/1.1 or nothing.
    Radius11,
}

/// What a server answers to a client's offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Selected {
    /// The name to answer by ALPN, `None` to answer without ALPN.
    pub alpn: Option<&'static [u8]>,
    /// What the connection carries.
    pub version: Version,
}

/// Why there is no connection. Log who the peer is: only its operator or this end's can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// A server, when the client offers no name that it speaks: send the alert
    /// [`NO_APPLICATION_PROTOCOL`] and close.
    #[error("the client offers no version of RADIUS that is spoken here")]
    NoCommonVersion,
    /// A server that requires RADIUS/1.1, when the client uses no ALPN: close.
    #[error("the client does not use ALPN, and RADIUS/1.1 is required here")]
    ClientWithoutAlpn,
    /// A client that requires RADIUS/1.1, when the server answers without ALPN: close.
    #[error("the server does not use ALPN, and RADIUS/1.1 is required here")]
    ServerWithoutAlpn,
    /// A client, when the server answers with a name that was not offered: close.
    #[error("the server answers with a version that was not offered")]
    NotOffered,
}

impl Versions {
    /// The names that a client offers, in order of preference; none means to offer no ALPN.
    #[must_use]
    pub const fn offer(self) -> &'static [&'static [u8]] {
        match self {
            Self::NoAlpn => &[],
            Self::Historic => &[ALPN_RADIUS_1_0],
            Self::Both => &[ALPN_RADIUS_1_1, ALPN_RADIUS_1_0],
            Self::Radius11 => &[ALPN_RADIUS_1_1],
        }
    }

    /// What a server answers to the names that a client offers; none means that it uses no ALPN.
    ///
    /// # Errors
    ///
    /// [`NegotiationError::NoCommonVersion`] or [`NegotiationError::ClientWithoutAlpn`].
    pub fn select<'n>(
        self,
        offered: impl IntoIterator<Item = &'n [u8]>,
    ) -> Result<Selected, NegotiationError> {
        let (mut is_empty, mut has_1_0, mut has_1_1) = (true, false, false);
        for name in offered {
            is_empty = false;
            has_1_0 |= name == ALPN_RADIUS_1_0;
            has_1_1 |= name == ALPN_RADIUS_1_1;
        }
        let speaks = |alpn| self.offer().contains(&alpn);
        match self {
            Self::Radius11 if is_empty => Err(NegotiationError::ClientWithoutAlpn),
            // A server that does not use ALPN leaves any offer unanswered.
            _ if is_empty || self == Self::NoAlpn => Ok(Selected::HISTORIC_WITHOUT_ALPN),
            _ if has_1_1 && speaks(ALPN_RADIUS_1_1) => Ok(Selected::RADIUS_1_1),
            _ if has_1_0 && speaks(ALPN_RADIUS_1_0) => Ok(Selected::HISTORIC),
            _ => Err(NegotiationError::NoCommonVersion),
        }
    }

    /// What a client concludes from the name that the server answered, `None` if it answered without ALPN.
    ///
    /// # Errors
    ///
    /// [`NegotiationError::ServerWithoutAlpn`] or [`NegotiationError::NotOffered`].
    pub fn conclude(self, answered: Option<&[u8]>) -> Result<Version, NegotiationError> {
        match answered {
            None if self == Self::Radius11 => Err(NegotiationError::ServerWithoutAlpn),
            None => Ok(Version::Historic),
            Some(name) if !self.offer().contains(&name) => Err(NegotiationError::NotOffered),
            Some(ALPN_RADIUS_1_1) => Ok(Version::Radius11),
            Some(_) => Ok(Version::Historic),
        }
    }

    /// What holds when a TLS session is resumed that carried `previous`: what was RADIUS/1.1 stays so, or
    /// someone on the path could talk the two ends down (RFC 9765 §3.5).
    #[must_use]
    pub const fn resuming(self, previous: Version) -> Self {
        match previous {
            Version::Radius11 => Self::Radius11,
            Version::Historic => self,
        }
    }
}

impl Selected {
    const HISTORIC_WITHOUT_ALPN: Self = Self {
        alpn: None,
        version: Version::Historic,
    };
    const HISTORIC: Self = Self {
        alpn: Some(ALPN_RADIUS_1_0),
        version: Version::Historic,
    };
    const RADIUS_1_1: Self = Self {
        alpn: Some(ALPN_RADIUS_1_1),
        version: Version::Radius11,
    };
}

/// What becomes of a connection between two ends: an entry of the table of RFC 9765 §3.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Negotiated {
    /// "TLS": historic RADIUS/TLS, as one end or both do not use ALPN.
    HistoricWithoutAlpn,
    /// "radius/1.0": historic RADIUS/TLS.
    Historic,
    /// "radius/1.1".
    Radius11,
    /// "Alert": the server sends [`NO_APPLICATION_PROTOCOL`] and closes.
    Alert,
    /// "Close-C": the client closes, because the server does not use ALPN.
    ClosedByClient,
    /// "Close-S": the server closes, because the client does not use ALPN.
    ClosedByServer,
}

/// What becomes of a connection between ends that are configured so: for an administrator who asks beforehand.
///
/// ```
/// # use krad::radius11::{Negotiated, Versions, negotiate};
/// assert_eq!(negotiate(Versions::Both, Versions::default()), Negotiated::Radius11);
/// assert_eq!(negotiate(Versions::Radius11, Versions::NoAlpn), Negotiated::ClosedByClient);
/// ```
#[must_use]
pub fn negotiate(client: Versions, server: Versions) -> Negotiated {
    let selected = match server.select(client.offer().iter().copied()) {
        Ok(selected) => selected,
        Err(NegotiationError::ClientWithoutAlpn) => return Negotiated::ClosedByServer,
        Err(_) => return Negotiated::Alert,
    };
    match client.conclude(selected.alpn) {
        Ok(Version::Radius11) => Negotiated::Radius11,
        Ok(Version::Historic) if selected.alpn.is_some() => Negotiated::Historic,
        Ok(Version::Historic) => Negotiated::HistoricWithoutAlpn,
        Err(_) => Negotiated::ClosedByClient,
    }
}
