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
    /// A connection that began a packet or owed reading its replies, and did not go on for too long; it was
    /// closed.
    #[error("the connection stalled")]
    Stalled,
    /// There is no TLS connection; it was closed.
    #[error("no TLS connection: {0}")]
    Handshake(HandshakeFailure),
    /// The certificate is valid, but not that of a client at this address; the connection was closed.
    #[error("the certificate is not that of a client at this address")]
    WrongCertificate,
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// It took longer than [`Settings::handshake`](crate::Settings::handshake).
    #[error("the client did not finish the handshake in time")]
    TimedOut,
    /// The client sent no certificate.
    #[error("the client has no certificate")]
    NoCertificate,
    /// No certification authority that is trusted here has signed the client's certificate.
    #[error("the client's certificate is of an unknown certification authority")]
    UnknownIssuer,
    /// The client's certificate is expired, or not valid yet.
    #[error("the client's certificate is expired, or not valid yet")]
    Expired,
    /// The client's certificate is revoked.
    #[error("the client's certificate is revoked")]
    Revoked,
    /// The list of revoked certificates is out of date, or there is none of the authority that signed the certificate.
    #[error("nothing says whether the client's certificate is revoked")]
    UnknownRevocation,
    /// The client's certificate cannot be used for another reason.
    #[error("the client's certificate cannot be used")]
    BadCertificate,
    /// The client does not take this server's certificate, or ended the handshake for another reason.
    #[error("the client ended the handshake: it may not trust this server's certificate")]
    RefusedByClient,
    /// The two ends have no version of TLS or no algorithm in common.
    #[error("no version of TLS, or no algorithm, in common")]
    Incompatible,
    /// The two ends have no version of RADIUS in common (RFC 9765 §3.3).
    #[error("no version of RADIUS in common")]
    NoCommonVersion,
    /// The connection broke, or what came is not TLS.
    #[error("the connection broke, or what came is not TLS")]
    Broken,
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
            Self::Handshake(failure) => failure.label(),
            Self::WrongCertificate => "wrong_certificate",
        }
    }
}

impl HandshakeFailure {
    const fn label(self) -> &'static str {
        match self {
            Self::TimedOut => "tls_timed_out",
            Self::NoCertificate => "tls_no_certificate",
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::Expired => "tls_expired",
            Self::Revoked => "tls_revoked",
            Self::UnknownRevocation => "tls_unknown_revocation",
            Self::BadCertificate => "tls_bad_certificate",
            Self::RefusedByClient => "tls_refused_by_client",
            Self::Incompatible => "tls_incompatible",
            Self::NoCommonVersion => "tls_no_common_version",
            Self::Broken => "tls_broken",
        }
    }
}
