//! Requests that wait for their reply, and replies that are authentic.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    AttributeType, Attributes, Code, Identifier, MessageAuthenticatorRule, Packet, RequestAuthenticator,
    SharedSecret, VerifyError,
    authenticator::{authenticators_equal, response_authenticator},
    message_authenticator::verify_message_authenticator,
    packet::Header,
};

/// A request that waits for its reply: the octets to send, and what proves a reply. The octets are wiped on
/// drop.
#[derive(Clone)]
pub struct PendingRequest {
    octets: Zeroizing<Vec<u8>>,
    identifier: Identifier,
    authenticator: RequestAuthenticator,
    secret: SharedSecret,
}

impl PendingRequest {
    pub(crate) fn new(
        octets: Vec<u8>,
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: SharedSecret,
    ) -> Self {
        Self {
            octets: Zeroizing::new(octets),
            identifier,
            authenticator,
            secret,
        }
    }

    /// What to send, and to send again unchanged when no reply comes (RFC 5080 §2.2.1).
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Identifier of the request and of its reply.
    #[must_use]
    pub const fn identifier(&self) -> Identifier {
        self.identifier
    }

    /// Proves that `packet` is the reply to this request: Identifier, Code, Message-Authenticator, Response
    /// Authenticator. `rule` applies as to requests; a reply with Proxy-State to a client that sent none is
    /// the mark of a forged one, so `limit_proxy_state` is right for any client that is no proxy.
    ///
    /// # Errors
    ///
    /// [`VerifyError`]: discard the packet silently and go on waiting.
    pub fn verify<'a>(
        &self,
        packet: Packet<'a>,
        rule: MessageAuthenticatorRule,
    ) -> Result<Reply<'a>, VerifyError> {
        if packet.identifier() != self.identifier {
            return Err(VerifyError::UnexpectedIdentifier);
        }
        if !matches!(
            packet.code(),
            Code::ACCESS_ACCEPT | Code::ACCESS_REJECT | Code::ACCESS_CHALLENGE
        ) {
            return Err(VerifyError::UnexpectedCode(packet.code()));
        }
        self.verify_any_code(packet, rule)
    }

    /// As [`verify`](Self::verify), but a reply may have any Code.
    pub(crate) fn verify_any_code<'a>(
        &self,
        packet: Packet<'a>,
        rule: MessageAuthenticatorRule,
    ) -> Result<Reply<'a>, VerifyError> {
        if packet.identifier() != self.identifier {
            return Err(VerifyError::UnexpectedIdentifier);
        }
        verify_message_authenticator(&packet, &self.authenticator, rule, &self.secret)?;
        let octets = packet.octets();
        let length = u16::try_from(octets.len()).map_err(|_| VerifyError::WrongResponseAuthenticator)?;
        let attributes = packet.after_header();
        let expected = response_authenticator(
            packet.header(),
            length,
            &self.authenticator,
            &[attributes],
            &self.secret,
        );
        if !authenticators_equal(&expected, packet.authenticator()) {
            return Err(VerifyError::WrongResponseAuthenticator);
        }
        Ok(Reply { packet })
    }
}

impl fmt::Debug for PendingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRequest")
            .field("identifier", &self.identifier)
            .finish_non_exhaustive()
    }
}

/// A reply that is authentic. Only [`PendingRequest::verify`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    packet: Packet<'a>,
}

impl<'a> Reply<'a> {
    /// [`Code::ACCESS_ACCEPT`], [`Code::ACCESS_REJECT`] or [`Code::ACCESS_CHALLENGE`]; another one only where
    /// [`Remote::allow_any_code`](crate::Remote::allow_any_code) says so.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.packet.code()
    }

    /// All attributes, in order.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.packet.attributes()
    }

    /// State of an Access-Challenge (RFC 2865 §5.24), to be returned unchanged in the next request.
    #[must_use]
    pub fn state(&self) -> Option<&'a [u8]> {
        self.attributes().first(AttributeType::STATE)
    }

    /// Reply-Message attributes (RFC 2865 §5.18), in order: text from a peer, to be escaped before it is
    /// shown.
    pub fn reply_messages(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.attributes().all(AttributeType::REPLY_MESSAGE)
    }
}

impl Reply<'_> {
    /// Copies the reply into one that owns its octets.
    #[must_use]
    pub fn to_buf(&self) -> ReplyBuf {
        ReplyBuf {
            header: self.packet.header(),
            octets: Zeroizing::new(self.packet.octets().to_vec()),
            attributes: self.attributes().octets().len(),
        }
    }
}

/// A [`Reply`] that owns its octets, as [`PathBuf`](std::path::PathBuf) is to `Path`; they are wiped on drop,
/// because a reply can carry keys.
#[derive(Clone)]
pub struct ReplyBuf {
    header: Header,
    octets: Zeroizing<Vec<u8>>,
    /// How many octets after the header are attributes.
    attributes: usize,
}

impl ReplyBuf {
    /// The reply, borrowed. It costs nothing: what was authentic stays so.
    #[must_use]
    pub fn as_reply(&self) -> Reply<'_> {
        Reply {
            packet: Packet::of_decoded(self.header, &self.octets, self.attributes),
        }
    }

    /// As [`Reply::code`].
    #[must_use]
    pub const fn code(&self) -> Code {
        self.header.code
    }
}

impl fmt::Debug for ReplyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_reply().fmt(f)
    }
}
