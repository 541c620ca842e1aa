//! How often an attribute may occur in a packet: the tables of RFC 2865 §5.44 and of those that came after it.

use crate::AttributeType;

/// How often an attribute may occur in an Access-Accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occurrence {
    /// "0": it must not be there.
    Never,
    /// "0-1": once at most.
    Once,
    /// "0+": any number of times. Tunnel attributes are among them, once for each tunnel (RFC 2868 §3).
    Many,
}

impl Occurrence {
    /// The row of `kind` in the tables: RFC 2865 §5.44, RFC 2866 §5.13, RFC 2868 §4, RFC 2869 §5.19, RFC 3162 §3, RFC 3576
    /// §3.6, RFC 4072, RFC 4372 §2.3, RFC 4675 §3, RFC 5580 §5, RFC 5607 §7. What no table knows may be there any number of
    /// times.
    ///
    /// ```
    /// # use krad::{AttributeType, Occurrence};
    /// assert_eq!(Occurrence::in_access_accept(AttributeType::SESSION_TIMEOUT), Occurrence::Once);
    /// assert_eq!(Occurrence::in_access_accept(AttributeType::CLASS), Occurrence::Many);
    /// assert_eq!(Occurrence::in_access_accept(AttributeType::USER_PASSWORD), Occurrence::Never);
    /// ```
    #[must_use]
    pub const fn in_access_accept(kind: AttributeType) -> Self {
        match kind.0 {
            // RFC 2865.
            2..=5 | 30..=32 | 60 | 61 => Self::Never,
            1 | 6..=10 | 12 | 15 | 16 | 19 | 20 | 23 | 24 | 27..=29 | 34..=37 | 39 | 62 | 63 => Self::Once,
            // RFC 2866 and 2867: accounting.
            40..=53 | 68 | 86 => Self::Never,
            // RFC 2869 and 3579.
            55 | 70 | 73..=77 | 87 => Self::Never,
            71 | 72 | 80 | 84 | 85 | 88 => Self::Once,
            // RFC 3162, 3576, 4072, 4372, 4675.
            95 | 101 => Self::Never,
            57 | 59 | 89 | 96 | 100 | 102 => Self::Once,
            // RFC 5580, 5607.
            126..=128 | 131 => Self::Never,
            129 | 130 | 132..=136 => Self::Once,
            // No attribute has this type.
            0 => Self::Never,
            _ => Self::Many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the tables, by the column of Access-Accept.
    #[test]
    fn the_tables_of_the_rfcs() {
        let named = |name: &str| {
            AttributeType::from_name(name)
                .map(Occurrence::in_access_accept)
                .unwrap()
        };
        for name in [
            "User-Password",
            "CHAP-Password",
            "NAS-IP-Address",
            "NAS-Port",
            "Called-Station-Id",
            "Calling-Station-Id",
            "NAS-Identifier",
            "CHAP-Challenge",
            "NAS-Port-Type",
            "Event-Timestamp",
            "Prompt",
            "Connect-Info",
            "NAS-Port-Id",
            "NAS-IPv6-Address",
            "Error-Cause",
            "Operator-Name",
        ] {
            assert_eq!(named(name), Occurrence::Never, "{name}");
        }
        for name in [
            "User-Name",
            "Service-Type",
            "Framed-Protocol",
            "Framed-IP-Address",
            "Framed-IP-Netmask",
            "Framed-Routing",
            "Framed-MTU",
            "Login-Service",
            "Login-TCP-Port",
            "Callback-Number",
            "Callback-Id",
            "Framed-IPX-Network",
            "State",
            "Session-Timeout",
            "Idle-Timeout",
            "Termination-Action",
            "Login-LAT-Service",
            "Login-LAT-Node",
            "Login-LAT-Group",
            "Framed-AppleTalk-Link",
            "Framed-AppleTalk-Zone",
            "Port-Limit",
            "Login-LAT-Port",
            "Message-Authenticator",
            "Framed-Pool",
            "Chargeable-User-Identity",
        ] {
            assert_eq!(named(name), Occurrence::Once, "{name}");
        }
        for name in [
            "Filter-Id",
            "Framed-Compression",
            "Login-IP-Host",
            "Reply-Message",
            "Framed-Route",
            "Class",
            "Vendor-Specific",
            "Proxy-State",
            "Framed-AppleTalk-Network",
            "Tunnel-Type",
            "Tunnel-Medium-Type",
            "Tunnel-Private-Group-ID",
            "EAP-Message",
        ] {
            assert_eq!(named(name), Occurrence::Many, "{name}");
        }
    }
}
