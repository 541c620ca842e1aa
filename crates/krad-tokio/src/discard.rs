//! Why a packet gets no reply.

use krad::{DecodeError, EncodeError, FramingError, VerifyError};

/// Why a packet was discarded, or a connection closed. Anyone on the network can cause most of these: log
/// them at `debug` and count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// It is not a packet. A stream goes on with the next one.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The boundaries of packets are lost: the connection ends once the requests in flight are answered.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// No client is configured for this source.
    #[error("unknown client")]
    UnknownClient,
    /// The service did not say before the deadline who the client is.
    #[error("the client could not be looked up")]
    ClientLookup,
    /// It is not authentic.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It repeats a request that is being decided; the reply to that one answers both (RFC 5080 §2.2.2).
    #[error("duplicate of a request in flight")]
    InFlight,
    /// As many requests as allowed are in flight.
    #[error("too many requests in flight")]
    Overloaded,
    /// The table of duplicates is full of requests in flight.
    #[error("the table of duplicates is full")]
    DuplicateTableFull,
    /// A Status-Server while the service is not available: silence makes the client ask another server.
    #[error("the service is not available")]
    Unavailable,
    /// Not even an Access-Reject fits beside the Proxy-State of the request.
    #[error("no reply can be encoded: {0}")]
    Unanswerable(EncodeError),
    /// A connection beyond the limit; it was closed.
    #[error("too many connections")]
    TooManyConnections,
    /// A connection that began a packet or owed reading its replies, and did neither for too long; it was
    /// closed.
    #[error("the connection stalled")]
    Stalled,
}

impl Discard {
    /// A short fixed name, for the label of a counter.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Decode(_) => "malformed",
            Self::Framing(_) => "framing",
            Self::UnknownClient => "unknown_client",
            Self::ClientLookup => "client_lookup",
            Self::Verify(VerifyError::MissingMessageAuthenticator) => "missing_message_authenticator",
            Self::Verify(VerifyError::WrongMessageAuthenticator) => "wrong_message_authenticator",
            Self::Verify(_) => "not_authentic",
            Self::InFlight => "duplicate",
            Self::Overloaded => "overloaded",
            Self::DuplicateTableFull => "duplicate_table_full",
            Self::Unavailable => "unavailable",
            Self::Unanswerable(_) => "unanswerable",
            Self::TooManyConnections => "too_many_connections",
            Self::Stalled => "stalled",
        }
    }
}
