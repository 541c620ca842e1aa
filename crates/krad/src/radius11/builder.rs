//! Packets in the making.

use std::fmt;

use zeroize::Zeroizing;

use super::{Packet, Token, is_meaningless};
use crate::{
    Attribute, AttributeType, Code, EncodeError, MAX_PACKET_LENGTH, MAX_PASSWORD_LENGTH, MIN_PACKET_LENGTH,
    attribute::AttributeBuffer,
};

/// A packet in the making, a request or a reply.
#[derive(Clone)]
pub struct PacketBuilder<'a> {
    code: Code,
    token: Token,
    attributes: AttributeBuffer,
    /// The request whose Proxy-State a reply echoes.
    request: Option<Packet<'a>>,
}

impl PacketBuilder<'static> {
    /// Begins an Access-Request (RFC 2865 §4.1) with a Token that no outstanding packet of the connection has.
    #[must_use]
    pub fn access_request(token: Token) -> Self {
        Self::request(Code::ACCESS_REQUEST, token)
    }

    /// Begins a Status-Server (RFC 5997): is the server there?
    #[must_use]
    pub fn status_server(token: Token) -> Self {
        Self::request(Code::STATUS_SERVER, token)
    }

    fn request(code: Code, token: Token) -> Self {
        Self {
            code,
            token,
            attributes: AttributeBuffer::default(),
            request: None,
        }
    }
}

impl<'a> PacketBuilder<'a> {
    pub(super) fn reply(request: Packet<'a>, code: Code) -> Self {
        Self {
            code,
            token: request.token(),
            attributes: AttributeBuffer::default(),
            request: Some(request),
        }
    }

    /// Appends User-Name.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn user_name(self, name: &[u8]) -> Result<Self, EncodeError> {
        self.with(AttributeType::USER_NAME, name)
    }

    /// Appends User-Password as it is: 1 to 128 octets (RFC 9765 §5.1.1).
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn user_password(self, password: &[u8]) -> Result<Self, EncodeError> {
        self.with(AttributeType::USER_PASSWORD, password)
    }

    /// Appends an attribute. What RFC 2865 and its successors hide is not hidden here: a Tunnel-Password is its
    /// tag and its value, an MS-MPPE key its octets (RFC 9765 §5.1).
    ///
    /// # Errors
    ///
    /// - [`EncodeError::ValueLength`] if `value` is empty or longer than 253 octets;
    /// - [`EncodeError::PasswordLength`] for a User-Password longer than 128 octets;
    /// - [`EncodeError::PacketLength`] if it does not fit any more;
    /// - [`EncodeError::Reserved`] for Message-Authenticator and Original-Packet-Code, which are not sent over
    ///   RADIUS/1.1, and for Proxy-State in a reply, which [`build`](Self::build) writes.
    pub fn with(mut self, kind: AttributeType, value: &[u8]) -> Result<Self, EncodeError> {
        let echoed = self.request.is_some() && kind == AttributeType::PROXY_STATE;
        if echoed || is_meaningless(&Attribute { kind, value }) {
            return Err(EncodeError::Reserved(kind));
        }
        if kind == AttributeType::USER_PASSWORD && value.len() > MAX_PASSWORD_LENGTH {
            return Err(EncodeError::PasswordLength(value.len()));
        }
        self.attributes.push(kind, value)?;
        Ok(self)
    }

    /// Encodes the packet; the octets are wiped on drop, since passwords and keys stand in them as they are.
    ///
    /// # Errors
    ///
    /// - [`EncodeError::PacketLength`] if the whole is longer than 4096 octets;
    /// - [`EncodeError::MissingChapChallenge`] for a CHAP-Password without CHAP-Challenge: no authenticator
    ///   stands in for it (RFC 9765 §5.1.2).
    pub fn build(mut self) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
        let has = |kind| self.attributes.attributes().first(kind).is_some();
        if has(AttributeType::CHAP_PASSWORD) && !has(AttributeType::CHAP_CHALLENGE) {
            return Err(EncodeError::MissingChapChallenge);
        }
        if let Some(request) = self.request {
            for proxy_state in request.all(AttributeType::PROXY_STATE) {
                self.attributes.echo(AttributeType::PROXY_STATE, proxy_state)?;
            }
        }
        let attributes = self.attributes.octets();
        let total = attributes.len().saturating_add(MIN_PACKET_LENGTH);
        let length = u16::try_from(total).ok().filter(|_| total <= MAX_PACKET_LENGTH);
        let length = length.ok_or(EncodeError::PacketLength(total))?;
        let mut octets = Zeroizing::new(Vec::with_capacity(total));
        octets.extend_from_slice(&[self.code.0, RESERVED_1]);
        octets.extend_from_slice(&length.to_be_bytes());
        octets.extend_from_slice(&self.token.0);
        octets.extend_from_slice(&RESERVED_2);
        octets.extend_from_slice(attributes);
        Ok(octets)
    }
}

impl fmt::Debug for PacketBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketBuilder")
            .field("code", &self.code)
            .field("token", &self.token)
            .field("attributes", &self.attributes.attributes())
            .finish()
    }
}

const RESERVED_1: u8 = 0;

const RESERVED_2: [u8; 12] = [0; 12];
