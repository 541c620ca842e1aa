//! A token type: what the KDC holds of a subsection of `[otp]`.

use std::fmt;

use krb5_profile::{Position, text};

use crate::kdc::KdcBuild;
use crate::secret::Secret;

/// The type of tokens that name none. The KDC makes it up if no subsection has exactly this name.
pub const DEFAULT_TYPE: &str = "DEFAULT";

/// Longest socket path in octets: `sun_path` less its NUL (`unix(7)`). The KDC cuts a longer one.
pub const MAX_SOCKET_PATH: usize = 107;

/// A token type as `krb5kdc` holds it, every default filled in.
#[derive(Clone, Debug)]
pub struct TokenType {
    pub(crate) name: Vec<u8>,
    pub(crate) server: Server,
    pub(crate) secret: Secret,
    pub(crate) timeout: i32,
    pub(crate) retries: i32,
    pub(crate) strip_realm: bool,
    pub(crate) indicators: Vec<Vec<u8>>,
    pub(crate) position: Option<Position>,
}

/// Where requests of a type are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// The path of a UNIX stream socket: whatever begins with `/`.
    Unix(Vec<u8>),
    /// `host[:port]`, over UDP: anything else. The KDC resolves it on every request.
    Network(Vec<u8>),
}

impl TokenType {
    /// Seconds that a request of this type may take in all, unless configured.
    pub const DEFAULT_TIMEOUT: i32 = 5;
    /// How often a datagram is sent again, unless configured.
    pub const DEFAULT_RETRIES: i32 = 3;

    /// The type that the KDC puts first if no subsection is called [`DEFAULT_TYPE`]. Unlike a configured type, it keeps
    /// the realm in user names.
    #[must_use]
    pub fn synthesized_default(build: &KdcBuild) -> Self {
        let name = DEFAULT_TYPE.as_bytes().to_vec();
        let server = Server::from_octets(build.default_socket(&name));
        Self {
            name,
            server,
            secret: Secret::empty(),
            timeout: Self::DEFAULT_TIMEOUT,
            retries: Self::DEFAULT_RETRIES,
            strip_realm: false,
            indicators: Vec::new(),
            position: None,
        }
    }

    /// The name by which user strings refer to it; case counts.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Where its requests are sent to.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The secret shared with the server.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Seconds that a request may take in all, as configured. [`schedule`](Self::schedule) says what comes of it.
    #[must_use]
    pub fn timeout(&self) -> i32 {
        self.timeout
    }

    /// How often a datagram is sent again, as configured; UNIX sockets know no retries.
    #[must_use]
    pub fn retries(&self) -> i32 {
        self.retries
    }

    /// Whether User-Name is the principal without its realm, where the user string names no user.
    #[must_use]
    pub fn strip_realm(&self) -> bool {
        self.strip_realm
    }

    /// The authentication indicators of a success, where the user string has none of its own.
    pub fn indicators(&self) -> impl Iterator<Item = &[u8]> {
        self.indicators.iter().map(Vec::as_slice)
    }

    /// Where the type is configured first; `None` if the KDC made it up.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }
}

impl Server {
    /// Reads a `server` value as libkrad does: it is a path if its first octet is `/`.
    #[must_use]
    pub fn from_octets(octets: impl Into<Vec<u8>>) -> Self {
        let octets = octets.into();
        if octets.starts_with(b"/") {
            Self::Unix(octets)
        } else {
            Self::Network(octets)
        }
    }

    /// The octets of the value.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        match self {
            Self::Unix(octets) | Self::Network(octets) => octets,
        }
    }

    /// Whether it is a UNIX socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(self.as_octets()))
    }
}
