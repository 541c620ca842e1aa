//! Places to listen, as `listen` names them.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use serde::Deserialize;

/// A place to listen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Transport {
    /// RADIUS on a UNIX stream socket, as the MIT KDC speaks it: no shared secret, the file's permissions protect it.
    Unix(PathBuf),
    /// RADIUS on UDP (RFC 2865).
    Udp(SocketAddr),
    /// RADIUS on TCP (RFC 6613).
    Tcp(SocketAddr),
    /// RADIUS on TLS (RFC 6614, RFC 9765).
    Tls(SocketAddr),
    /// The sockets that systemd has bound and passes under this name (`FileDescriptorName=`). Each is served as what it is;
    /// what comes on TCP is TLS if `tls` says so.
    Systemd {
        /// The name.
        name: String,
        /// Whether TLS is spoken on it.
        tls: bool,
    },
}

/// Text that is not a place to listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no listener; write \"unix:/run/otp-radiusd/kdc.socket\" (an absolute path), \"udp://127.0.0.1:1812\" (an address and a port; \
     also tcp:// and tls://), or \"systemd:NAME\" (a socket that systemd passes; \"systemd-tls:NAME\" to speak TLS on it)"
)]
pub struct TransportError(String);

impl Transport {
    /// Whether TLS is spoken there.
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Systemd { tls: true, .. })
    }

    /// The address of a listener on a network.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(address) | Self::Tcp(address) | Self::Tls(address) => Some(*address),
            Self::Unix(_) | Self::Systemd { .. } => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let address = || rest.strip_prefix("//")?.parse().ok();
        match scheme {
            "unix" if rest.starts_with('/') => Some(Self::Unix(rest.into())),
            "udp" => address().map(Self::Udp),
            "tcp" => address().map(Self::Tcp),
            "tls" => address().map(Self::Tls),
            "systemd" | "systemd-tls" if is_descriptor_name(rest) => Some(Self::Systemd {
                name: rest.to_owned(),
                tls: scheme == "systemd-tls",
            }),
            _ => None,
        }
    }
}

/// What systemd takes as a name of a descriptor (sd_pid_notify_with_fds(3)).
fn is_descriptor_name(name: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_graphic() && octet != b':' || octet == b' ';
    (1..=255).contains(&name.len()) && name.bytes().all(fits)
}

impl FromStr for Transport {
    type Err = TransportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| TransportError(text.to_owned()))
    }
}

impl TryFrom<String> for Transport {
    type Error = TransportError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(address) => write!(f, "tls://{address}"),
            Self::Systemd { name, tls: false } => write!(f, "systemd:{name}"),
            Self::Systemd { name, tls: true } => write!(f, "systemd-tls:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_parse_back() {
        for text in [
            "unix:/run/x.socket",
            "udp://127.0.0.1:1812",
            "udp://[::1]:0",
            "tcp://[::]:1812",
            "tls://0.0.0.0:2083",
            "systemd:otp-radiusd-kdc.socket",
            "systemd-tls:radsec",
        ] {
            assert_eq!(text.parse::<Transport>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_listener() {
        for text in [
            "",
            "unix:relative",
            "udp:127.0.0.1:1812",
            "tcp://localhost:1812",
            "tls://127.0.0.1",
            "tls:///x",
            "dtls://127.0.0.1:2083",
            "systemd:",
            "systemd:a:b",
            "systemd:a\nb",
            "systemd-tls",
        ] {
            assert_eq!(text.parse::<Transport>(), Err(TransportError(text.to_owned())));
        }
    }
}
