//! Packets (RFC 2865 §3).

use std::fmt;

use nom::{
    IResult, Parser,
    bytes::complete::take,
    combinator::map_opt,
    number::complete::{be_u8, be_u16},
};

use crate::{
    AttributeType, Attributes, Code, DecodeError, EncodeError, Identifier, LengthPolicy,
    RequestAuthenticator, SharedSecret, authenticator::response_authenticator,
    message_authenticator::message_authenticator,
};

/// Octets of a header, and so of the shortest packet (RFC 2865 §3).
pub const MIN_PACKET_LENGTH: usize = 20;

/// Octets of the longest packet (RFC 2865 §3).
pub const MAX_PACKET_LENGTH: usize = 4096;

/// A packet whose form is right. Whether it is authentic is not known yet: a server asks
/// [`authenticate`](Packet::authenticate), a client
/// [`PendingRequest::verify`](crate::PendingRequest::verify).
///
/// It borrows the octets that it was decoded from; decoding allocates nothing.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    header: Header,
    /// Exactly Length octets.
    octets: &'a [u8],
    /// What follows the header, less what the policy ignores at the end.
    attributes: Attributes<'a>,
}

/// What the first 20 octets say, without Length.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) code: Code,
    pub(crate) identifier: Identifier,
    /// Request or Response Authenticator.
    pub(crate) authenticator: [u8; 16],
}

impl Header {
    /// The header with this Length and another authenticator in its field: what digests begin with, in one piece, because
    /// each piece that a digest takes costs it.
    pub(crate) fn to_octets(
        self,
        length: u16,
        authenticator: &RequestAuthenticator,
    ) -> [u8; MIN_PACKET_LENGTH] {
        let mut octets = [0; MIN_PACKET_LENGTH];
        let [high, low] = length.to_be_bytes();
        octets[..4].copy_from_slice(&[self.code.0, self.identifier.0, high, low]);
        octets[4..].copy_from_slice(authenticator.as_bytes());
        octets
    }
}

impl<'a> Packet<'a> {
    /// Decodes one packet with [`LengthPolicy::Rfc2865`]. Octets beyond its Length are padding (RFC 2865 §3).
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: discard the packet silently.
    pub fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with(octets, LengthPolicy::default())
    }

    /// Decodes one packet whose attributes must have lengths that `policy` permits.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: discard the packet silently.
    pub fn decode_with(octets: &'a [u8], policy: LengthPolicy) -> Result<Self, DecodeError> {
        let available = octets.len();
        let (_, (header, length)) = header(octets).map_err(|_| DecodeError::Header(available))?;
        if !(MIN_PACKET_LENGTH..=MAX_PACKET_LENGTH).contains(&usize::from(length)) {
            return Err(DecodeError::Length(length));
        }
        let octets = octets
            .get(..usize::from(length))
            .ok_or(DecodeError::Truncated { length, available })?;
        let attributes = Attributes::decode(after_header(octets), policy)?;
        Ok(Self {
            header,
            octets,
            attributes,
        })
    }

    /// The packet of octets that were decoded before; of what follows the header, the first `attributes` octets
    /// were attributes.
    pub(crate) fn of_decoded(header: Header, octets: &'a [u8], attributes: usize) -> Self {
        let attributes = after_header(octets).get(..attributes).unwrap_or_default();
        Self {
            header,
            octets,
            attributes: Attributes::of_decoded(attributes),
        }
    }

    /// Code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.header.code
    }

    /// Identifier.
    #[must_use]
    pub const fn identifier(&self) -> Identifier {
        self.header.identifier
    }

    /// The Authenticator field: a request's Request Authenticator, a reply's Response Authenticator.
    #[must_use]
    pub const fn authenticator(&self) -> &[u8; 16] {
        &self.header.authenticator
    }

    /// The attributes, in order.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }

    /// The octets of the packet, padding excluded.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    pub(crate) const fn header(&self) -> Header {
        self.header
    }

    /// What follows the header: what digests cover.
    pub(crate) fn after_header(&self) -> &'a [u8] {
        after_header(self.octets)
    }
}

/// Shows what kind of packet it is, not the values of its attributes.
impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("code", &self.code())
            .field("identifier", &self.identifier().0)
            .field("attributes", &self.attributes())
            .finish_non_exhaustive()
    }
}

/// Code, Identifier, Length, Authenticator.
fn header(input: &[u8]) -> IResult<&[u8], (Header, u16)> {
    let authenticator = map_opt(take(16_usize), |octets: &[u8]| octets.try_into().ok());
    let (input, (code, identifier, length, authenticator)) =
        (be_u8.map(Code), be_u8.map(Identifier), be_u16, authenticator).parse(input)?;
    Ok((
        input,
        (
            Header {
                code,
                identifier,
                authenticator,
            },
            length,
        ),
    ))
}

/// What follows the header.
fn after_header(packet: &[u8]) -> &[u8] {
    packet.get(MIN_PACKET_LENGTH..).unwrap_or_default()
}

/// How the Authenticator field of an outgoing packet is made.
#[derive(Clone, Copy)]
pub(crate) enum Signature<'a> {
    /// A request: the header's own authenticator.
    Request,
    /// A reply to the request with this authenticator.
    Response(&'a RequestAuthenticator),
}

/// Encodes a packet; a Message-Authenticator, if wanted, stands first.
///
/// The Message-Authenticator is computed with the *Request* Authenticator in the header, in both directions,
/// and the Response Authenticator covers the finished Message-Authenticator (RFC 3579 §3.2).
pub(crate) fn encode(
    header: Header,
    signature: Signature<'_>,
    with_message_authenticator: bool,
    attributes: &[u8],
    secret: &SharedSecret,
) -> Result<Vec<u8>, EncodeError> {
    let request_authenticator = match signature {
        Signature::Request => RequestAuthenticator::from(header.authenticator),
        Signature::Response(authenticator) => *authenticator,
    };
    let mac_length = if with_message_authenticator {
        MESSAGE_AUTHENTICATOR_LENGTH
    } else {
        0
    };
    let total = attributes
        .len()
        .saturating_add(mac_length)
        .saturating_add(MIN_PACKET_LENGTH);
    let length = u16::try_from(total).ok().filter(|_| total <= MAX_PACKET_LENGTH);
    let length = length.ok_or(EncodeError::PacketLength(total))?;

    let mut message_authenticator_octets = Vec::with_capacity(mac_length);
    if with_message_authenticator {
        let prefix = [AttributeType::MESSAGE_AUTHENTICATOR.0, 18];
        let value = message_authenticator(
            header,
            length,
            &request_authenticator,
            &[&prefix, &[0; 16], attributes],
            secret,
        );
        message_authenticator_octets.extend_from_slice(&prefix);
        message_authenticator_octets.extend_from_slice(&value);
    }
    let authenticator = match signature {
        Signature::Request => header.authenticator,
        Signature::Response(request_authenticator) => response_authenticator(
            header,
            length,
            request_authenticator,
            &[&message_authenticator_octets, attributes],
            secret,
        ),
    };

    let mut octets = Vec::with_capacity(total);
    octets.extend_from_slice(&[header.code.0, header.identifier.0]);
    octets.extend_from_slice(&length.to_be_bytes());
    octets.extend_from_slice(&authenticator);
    octets.extend_from_slice(&message_authenticator_octets);
    octets.extend_from_slice(attributes);
    Ok(octets)
}

/// Octets of a whole Message-Authenticator attribute.
const MESSAGE_AUTHENTICATOR_LENGTH: usize = 18;
