//! Errors, one type per party at fault.

use crate::{AttributeType, Code};

/// Why octets from a peer are not a RADIUS packet. The reaction is the same for all: discard silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer octets than a header has.
    #[error("{0} octets are fewer than a header has (20)")]
    Header(usize),
    /// Length is outside 20..=4096 (RFC 2865 §3).
    #[error("Length {0} is outside 20..=4096")]
    Length(u16),
    /// The datagram is shorter than its Length (RFC 2865 §3).
    #[error("Length is {length}, but only {available} octets are there")]
    Truncated {
        /// What the Length field says.
        length: u16,
        /// How many octets there are.
        available: usize,
    },
    /// Attribute Length < 2 or past the end (RFC 2865 §5).
    #[error("malformed attribute at octet {0} of the packet")]
    Attribute(usize),
    /// A value of a length that the [`LengthPolicy`](crate::LengthPolicy) does not permit.
    #[error("{kind} with a value of {length} octets")]
    AttributeLength {
        /// Type of the attribute.
        kind: AttributeType,
        /// Length of its value in octets.
        length: usize,
    },
}

/// Why a decoded packet is not authentic, or not one that this end handles. Discard silently, timers
/// untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A server handles Access-Request and Status-Server; a client handles Access-Accept, -Reject and
    /// -Challenge.
    #[error("unexpected {0}")]
    UnexpectedCode(Code),
    /// The reply belongs to another request.
    #[error("the Identifier is that of another request")]
    UnexpectedIdentifier,
    /// There is no Message-Authenticator, and the rule or the Code requires one.
    #[error("Message-Authenticator is missing")]
    MissingMessageAuthenticator,
    /// Proxy-State without Message-Authenticator, while the rule limits it.
    #[error("Proxy-State without Message-Authenticator")]
    ProxyStateWithoutMessageAuthenticator,
    /// EAP-Message without Message-Authenticator (RFC 3579 §3.1).
    #[error("EAP-Message without Message-Authenticator")]
    EapMessageWithoutMessageAuthenticator,
    /// More than one Message-Authenticator.
    #[error("more than one Message-Authenticator")]
    DuplicateMessageAuthenticator,
    /// The value of the Message-Authenticator is not 16 octets (RFC 3579 §3.2).
    #[error("Message-Authenticator of {0} octets instead of 16")]
    MessageAuthenticatorLength(usize),
    /// The Message-Authenticator is not that of this packet and secret.
    #[error("wrong Message-Authenticator (another shared secret, or an altered packet)")]
    WrongMessageAuthenticator,
    /// The Response Authenticator is not that of this packet, request and secret.
    #[error("wrong Response Authenticator (another shared secret, or an altered packet)")]
    WrongResponseAuthenticator,
}

/// Why a User-Password cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserPasswordError {
    /// Hidden, it is one to eight blocks of 16 octets (RFC 2865 §5.2).
    #[error("User-Password of {0} octets: not one to eight blocks of 16")]
    Length(usize),
    /// In the clear, as in RADIUS/1.1, it has 1 to 128 octets (RFC 9765 §5.1.1).
    #[error("User-Password of {0} octets: 1 to 128 are allowed")]
    ClearLength(usize),
    /// More than one User-Password: which one the user meant is unknown.
    #[error("more than one User-Password")]
    Repeated,
}

/// Why a request's CHAP-Password cannot be checked: answer with Access-Reject and count it against nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChapError {
    /// It is an identifier and 16 octets of MD5 (RFC 2865 §5.3).
    #[error("CHAP-Password of {0} octets instead of 17")]
    Length(usize),
    /// A challenge has 5 octets or more (RFC 2865 §5.40).
    #[error("CHAP-Challenge of {0} octets: fewer than 5")]
    ChallengeLength(usize),
    /// No CHAP-Challenge in RADIUS/1.1, which has no Request Authenticator to stand in for it (RFC 9765 §5.1.2).
    #[error("CHAP-Password without CHAP-Challenge")]
    MissingChallenge,
    /// More than one of it: which one counts is unknown.
    #[error("more than one {0}")]
    Repeated(AttributeType),
    /// User-Password beside it (RFC 2865 §4.1: "MUST NOT contain both").
    #[error("both CHAP-Password and User-Password")]
    WithUserPassword,
}

/// Why the application's values do not make a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A value has 1 to 253 octets.
    #[error("{kind} with a value of {length} octets: 1 to 253 fit")]
    ValueLength {
        /// Type of the attribute.
        kind: AttributeType,
        /// Length of its value in octets.
        length: usize,
    },
    /// A password to hide has at most 128 octets (RFC 2865 §5.2).
    #[error("a password of {0} octets: at most 128 can be hidden")]
    PasswordLength(usize),
    /// The packet would be longer than 4096 octets (RFC 2865 §3).
    #[error("a packet of {0} octets: at most 4096 are allowed")]
    PacketLength(usize),
    /// A vendor's layout has no room for this type or this value.
    #[error("the vendor's layout has no room for type {kind} with a value of {length} octets")]
    VendorAttribute {
        /// The vendor's type.
        kind: u32,
        /// Length of the value in octets.
        length: usize,
    },
    /// This attribute is written by the builder alone, or not at all.
    #[error("{0} is not for the application to write")]
    Reserved(AttributeType),
    /// CHAP-Password without CHAP-Challenge in RADIUS/1.1, which has no Request Authenticator to stand in for it
    /// (RFC 9765 §5.1.2).
    #[error("CHAP-Password needs a CHAP-Challenge beside it in RADIUS/1.1")]
    MissingChapChallenge,
}

/// Why the boundaries of packets on a stream are lost: close the connection, nothing that follows can be
/// trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// Length is outside 20..=4096.
    #[error("framing lost: Length {0} is outside 20..=4096")]
    Length(u16),
}
