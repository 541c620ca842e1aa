//! Packets (RFC 9765 §4.1).

use std::fmt;

use super::{PacketBuilder, Token, is_meaningless};
use crate::{Attribute, AttributeType, Code, DecodeError, MAX_PASSWORD_LENGTH, UserPasswordError};

/// A packet whose form is right. It borrows the octets that it was decoded from.
///
/// | octets | field |
/// | --- | --- |
/// | 1 | Code |
/// | 1 | Reserved-1: zero, ignored on receipt |
/// | 2 | Length |
/// | 4 | Token |
/// | 12 | Reserved-2: zero, ignored on receipt |
/// | … | Attributes |
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    /// The same octets as RFC 2865 reads them: the same Length, the same attributes.
    packet: crate::Packet<'a>,
}

impl<'a> Packet<'a> {
    /// Decodes one packet. What the reserved fields hold is ignored.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: discard the packet silently.
    pub fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let packet = crate::Packet::decode(octets)?;
        Ok(Self { packet })
    }

    pub(crate) const fn of_decoded(packet: crate::Packet<'a>) -> Self {
        Self { packet }
    }

    /// Code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.packet.code()
    }

    /// Token. A reply has that of its request.
    #[must_use]
    pub const fn token(&self) -> Token {
        let [a, b, c, d, ..] = *self.packet.authenticator();
        Token([a, b, c, d])
    }

    /// The attributes, in order, without those that have no meaning in RADIUS/1.1: Message-Authenticator and
    /// Original-Packet-Code (RFC 9765 §5.2, §5.5).
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let attributes = self.packet.attributes().into_iter();
        attributes.filter(|attribute| !is_meaningless(attribute))
    }

    /// The value of the first attribute of this type.
    #[must_use]
    pub fn first(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    /// The values of all attributes of this type, in order.
    pub fn all(&self, kind: AttributeType) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.attributes()
            .filter(move |attribute| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }

    /// User-Name (RFC 2865 §5.1): octets that need not be UTF-8.
    #[must_use]
    pub fn user_name(&self) -> Option<&'a [u8]> {
        self.first(AttributeType::USER_NAME)
    }

    /// User-Password as it is, 1 to 128 octets (RFC 9765 §5.1.1); `None` if the packet has none. Nothing is
    /// stripped: a NUL at the end belongs to it.
    ///
    /// # Errors
    ///
    /// [`UserPasswordError`]: answer with Access-Reject and count it against nobody.
    pub fn user_password(&self) -> Result<Option<&'a [u8]>, UserPasswordError> {
        let mut passwords = self.all(AttributeType::USER_PASSWORD);
        let Some(password) = passwords.next() else {
            return Ok(None);
        };
        if passwords.next().is_some() {
            return Err(UserPasswordError::Repeated);
        }
        if !(1..=MAX_PASSWORD_LENGTH).contains(&password.len()) {
            return Err(UserPasswordError::ClearLength(password.len()));
        }
        Ok(Some(password))
    }

    /// Begins the reply to this request: the same Token, and its Proxy-State attributes at the end, unchanged
    /// and in order (RFC 2865 §5.33).
    #[must_use]
    pub fn reply(&self, code: Code) -> PacketBuilder<'a> {
        PacketBuilder::reply(*self, code)
    }

    /// The octets of the packet, padding excluded.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.packet.octets()
    }
}

/// Shows what kind of packet it is, not the values of its attributes.
impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("code", &self.code())
            .field("token", &self.token())
            .field("attributes", &self.packet.attributes())
            .finish_non_exhaustive()
    }
}
