//! A server as a client knows it.

use crate::{IdentifierPool, LengthPolicy, MessageAuthenticatorRule, SharedSecret};

/// How packets reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams get lost, so requests are sent again (RFC 2865 §2.4).
    Datagram,
    /// A stream delivers or breaks: nothing is ever sent twice on it (RFC 6613 §2.6.1).
    Stream,
}

/// A server: the transport, the secret, the rules for its replies, and the Identifiers of the socket to it.
///
/// Cheap to clone. Clones share the Identifiers, so that any number of transactions can use one socket; for
/// more than 256 at a time take several sockets, each with a `Remote` of its own.
#[derive(Debug, Clone)]
pub struct Remote {
    transport: Transport,
    secret: SharedSecret,
    sends_message_authenticator: bool,
    rule: MessageAuthenticatorRule,
    length_policy: LengthPolicy,
    allows_any_code: bool,
    identifiers: IdentifierPool,
}

impl Remote {
    /// A server on UDP. Requests carry a Message-Authenticator, replies must.
    #[must_use]
    pub fn udp(secret: SharedSecret) -> Self {
        Self::network(Transport::Datagram, secret)
    }

    /// A server on TCP or TLS (RFC 6613, RFC 6614). Requests carry a Message-Authenticator, replies must.
    #[must_use]
    pub fn tcp(secret: SharedSecret) -> Self {
        Self::network(Transport::Stream, secret)
    }

    /// A server on a UNIX stream socket, spoken to as a KDC does: the secret is empty, and the kernel says who
    /// the peer is. Requests carry no Message-Authenticator, replies need none.
    #[must_use]
    pub fn unix() -> Self {
        Self {
            sends_message_authenticator: false,
            rule: MessageAuthenticatorRule::IfPresent {
                limit_proxy_state: true,
            },
            ..Self::network(Transport::Stream, SharedSecret::empty())
        }
    }

    fn network(transport: Transport, secret: SharedSecret) -> Self {
        Self {
            transport,
            secret,
            sends_message_authenticator: true,
            rule: MessageAuthenticatorRule::Required,
            length_policy: LengthPolicy::default(),
            allows_any_code: false,
            identifiers: IdentifierPool::new(),
        }
    }

    /// Takes replies without Message-Authenticator, from servers older than 2024. On a network anyone on the
    /// path can then turn a rejection into an acceptance (CVE-2024-3596).
    #[must_use]
    pub const fn dangerous_allow_missing_message_authenticator(mut self) -> Self {
        self.rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        self
    }

    /// Sends Access-Requests without Message-Authenticator, as MIT libkrad before 1.22 does.
    #[must_use]
    pub const fn dangerous_omit_message_authenticator(mut self) -> Self {
        self.sends_message_authenticator = false;
        self
    }

    /// Discards replies with an attribute of a length that `policy` does not permit.
    #[must_use]
    pub const fn with_length_policy(mut self, policy: LengthPolicy) -> Self {
        self.length_policy = policy;
        self
    }

    /// Takes an authentic reply of any Code, as MIT libkrad does. It ends the request; only an Access-Accept
    /// accepts.
    #[must_use]
    pub const fn allow_any_code(mut self) -> Self {
        self.allows_any_code = true;
        self
    }

    /// How packets reach the server.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// The Identifiers of the socket to the server.
    #[must_use]
    pub const fn identifiers(&self) -> &IdentifierPool {
        &self.identifiers
    }

    pub(crate) const fn secret(&self) -> &SharedSecret {
        &self.secret
    }

    pub(crate) const fn sends_message_authenticator(&self) -> bool {
        self.sends_message_authenticator
    }

    pub(crate) const fn rule(&self) -> MessageAuthenticatorRule {
        self.rule
    }

    pub(crate) const fn allows_any_code(&self) -> bool {
        self.allows_any_code
    }

    pub(crate) const fn length_policy(&self) -> LengthPolicy {
        self.length_policy
    }
}
