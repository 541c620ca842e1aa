//! A server as it is configured.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use krad::{MessageAuthenticatorRule, SharedSecret};

use super::{ClientTls, tls::server_name};

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RADIUS on UDP (RFC 2865).
    Udp,
    /// RADIUS on TCP (RFC 6613).
    Tcp,
    /// RADIUS on TLS (RFC 6614, RFC 9765).
    Tls,
}

impl Scheme {
    /// `udp`, `tcp`, `tls`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The port that IANA has registered: 1812, or 2083 for TLS.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 1812,
            Self::Tls => 2083,
        }
    }
}

/// Where a server is: `udp://192.0.2.10`, `tls://radius.example.org:2083`, `tcp://[2001:db8::1]:1812`. Without a port, the
/// registered one is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// An address, or the name of a host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Text that is not where a server is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no server; write \"udp://192.0.2.10:1812\", \"tcp://[2001:db8::1]:1812\" or \"tls://radius.example.org:2083\""
)]
pub struct ServerAddressError(String);

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| ServerAddressError(text.to_owned()))
    }
}

impl ServerAddress {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme {
            "udp" => Scheme::Udp,
            "tcp" => Scheme::Tcp,
            "tls" => Scheme::Tls,
            _ => return None,
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, after.strip_prefix(':').or(after.is_empty().then_some(""))?)
            }
            None => rest.split_once(':').unwrap_or((rest, "")),
        };
        let port = match port {
            "" if !rest.ends_with(':') => scheme.default_port(),
            // Digits alone: the parser would also take a sign.
            digits if digits.bytes().all(|octet| octet.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0)?
            }
            _ => return None,
        };
        // What can be no name of a host would never be found.
        server_name(host).filter(|_| !host.is_empty())?;
        Some(Self {
            scheme,
            host: host.to_owned(),
            port,
        })
    }

    /// Whether the packets stay on this machine, as far as the text says: an address of loopback.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        if host.contains(':') {
            write!(f, "{}://[{host}]:{port}", scheme.name())
        } else {
            write!(f, "{}://{host}:{port}", scheme.name())
        }
    }
}

/// A server of a [`Pool`](super::Pool): where it is, the secret shared with it, and what is required of its replies.
#[derive(Clone, Debug)]
pub struct PoolServer {
    pub(super) address: ServerAddress,
    pub(super) secret: SharedSecret,
    pub(super) rule: MessageAuthenticatorRule,
    pub(super) tls: Option<Arc<ClientTls>>,
}

impl PoolServer {
    /// A server on UDP or TCP. Its replies must carry a Message-Authenticator.
    #[must_use]
    pub const fn new(address: ServerAddress, secret: SharedSecret) -> Self {
        Self {
            address,
            secret,
            rule: MessageAuthenticatorRule::Required,
            tls: None,
        }
    }

    /// A server on TLS. The connection makes its replies authentic; a Message-Authenticator is verified where it is there.
    #[must_use]
    pub fn tls(address: ServerAddress, terms: Arc<ClientTls>) -> Self {
        Self {
            address,
            secret: SharedSecret::new(RADSEC),
            rule: IF_PRESENT,
            tls: Some(terms),
        }
    }

    /// Shares another secret over TLS than the one that everybody knows (RFC 6614 §2.3), for servers that want one.
    #[must_use]
    pub fn with_secret(mut self, secret: SharedSecret) -> Self {
        self.secret = secret;
        self
    }

    /// Takes replies without Message-Authenticator, from servers older than 2024. On a network anyone on the path can then turn
    /// a rejection into an acceptance (CVE-2024-3596).
    #[must_use]
    pub const fn dangerous_allow_missing_message_authenticator(mut self) -> Self {
        self.rule = IF_PRESENT;
        self
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &ServerAddress {
        &self.address
    }
}

impl fmt::Display for PoolServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// A proxy gets its own Proxy-State back with every reply, so that it tells nothing here.
const IF_PRESENT: MessageAuthenticatorRule = MessageAuthenticatorRule::IfPresent {
    limit_proxy_state: false,
};

/// The shared secret of historic RADIUS over TLS (RFC 6614 §2.3).
const RADSEC: &[u8] = b"radsec";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_parse_back() {
        for (text, shown) in [
            ("udp://192.0.2.10", "udp://192.0.2.10:1812"),
            ("udp://192.0.2.10:18120", "udp://192.0.2.10:18120"),
            ("tcp://[2001:db8::1]", "tcp://[2001:db8::1]:1812"),
            ("tcp://[2001:db8::1]:7", "tcp://[2001:db8::1]:7"),
            ("tls://radius.example.org", "tls://radius.example.org:2083"),
            ("tls://localhost:2084", "tls://localhost:2084"),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
        assert!("udp://127.0.0.1".parse::<ServerAddress>().unwrap().is_loopback());
        assert!(!"udp://localhost".parse::<ServerAddress>().unwrap().is_loopback());
    }

    #[test]
    fn what_is_no_server() {
        for text in [
            "",
            "192.0.2.10:1812",
            "udp:192.0.2.10",
            "dtls://192.0.2.10",
            "udp://",
            "udp://:1812",
            "udp://192.0.2.10:",
            "udp://192.0.2.10:0",
            "udp://192.0.2.10:+5",
            "udp://192.0.2.10:65536",
            "udp://2001:db8::1",
            "udp://[192.0.2.10]",
            "udp://[2001:db8::1",
            "udp://[2001:db8::1]x",
            "tls://a b",
            "tls://-/",
        ] {
            assert_eq!(
                text.parse::<ServerAddress>(),
                Err(ServerAddressError(text.to_owned())),
                "{text}"
            );
        }
    }
}
