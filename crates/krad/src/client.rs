//! The client's side: requests to send, replies that are authentic. Retransmission and time belong to the
//! caller.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    AttributeType, Attributes, Code, EncodeError, Identifier, MessageAuthenticatorRule, Packet,
    RequestAuthenticator, SharedSecret, VerifyError,
    attribute::AttributeBuffer,
    authenticator::{authenticators_equal, response_authenticator},
    hide_user_password,
    message_authenticator::verify_message_authenticator,
    packet::{Header, Signature, encode},
};

/// A request in the making.
///
/// ```
/// use krad::{Identifier, Packet, RequestAuthenticator, RequestBuilder, SharedSecret};
///
/// let secret = SharedSecret::new(b"testing123");
/// let authenticator = RequestAuthenticator::random(&mut rand::rng());
/// let pending = RequestBuilder::access_request(Identifier(7), authenticator, &secret)
///     .user_name(b"alice")?
///     .user_password(b"755224")?
///     .build()?;
/// assert_eq!(Packet::decode(pending.octets()).unwrap().identifier(), Identifier(7));
/// # Ok::<(), krad::EncodeError>(())
/// ```
#[derive(Clone)]
pub struct RequestBuilder<'s> {
    code: Code,
    identifier: Identifier,
    authenticator: RequestAuthenticator,
    secret: &'s SharedSecret,
    with_message_authenticator: bool,
    attributes: AttributeBuffer,
}

impl<'s> RequestBuilder<'s> {
    /// Begins an Access-Request (RFC 2865 §4.1). `authenticator` comes from [`RequestAuthenticator::random`],
    /// and `identifier` is one that no outstanding request of this socket has.
    #[must_use]
    pub fn access_request(
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: &'s SharedSecret,
    ) -> Self {
        Self::new(Code::ACCESS_REQUEST, identifier, authenticator, secret)
    }

    /// Begins a Status-Server (RFC 5997): is the server there?
    #[must_use]
    pub fn status_server(
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: &'s SharedSecret,
    ) -> Self {
        Self::new(Code::STATUS_SERVER, identifier, authenticator, secret)
    }

    fn new(
        code: Code,
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: &'s SharedSecret,
    ) -> Self {
        let attributes = AttributeBuffer::default();
        Self {
            code,
            identifier,
            authenticator,
            secret,
            with_message_authenticator: true,
            attributes,
        }
    }

    /// Leaves out the Message-Authenticator, as libkrad does on a UNIX socket and before 1.22 everywhere.
    #[must_use]
    pub const fn dangerous_omit_message_authenticator(mut self) -> Self {
        self.with_message_authenticator = false;
        self
    }

    /// Appends User-Name.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn user_name(self, name: &[u8]) -> Result<Self, EncodeError> {
        self.with(AttributeType::USER_NAME, name)
    }

    /// Hides a password of up to 128 octets and appends it as User-Password.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PasswordLength`], or as [`with`](Self::with).
    pub fn user_password(mut self, password: &[u8]) -> Result<Self, EncodeError> {
        let hidden = hide_user_password(password, self.secret, &self.authenticator)?;
        self.attributes.push(AttributeType::USER_PASSWORD, &hidden)?;
        Ok(self)
    }

    /// Appends an attribute.
    ///
    /// # Errors
    ///
    /// - [`EncodeError::ValueLength`] if `value` is empty or longer than 253 octets;
    /// - [`EncodeError::PacketLength`] if it does not fit any more;
    /// - [`EncodeError::Reserved`] for Message-Authenticator, which [`build`](Self::build) writes, and for
    ///   User-Password, which [`user_password`](Self::user_password) hides.
    pub fn with(mut self, kind: AttributeType, value: &[u8]) -> Result<Self, EncodeError> {
        if matches!(
            kind,
            AttributeType::MESSAGE_AUTHENTICATOR | AttributeType::USER_PASSWORD
        ) {
            return Err(EncodeError::Reserved(kind));
        }
        self.attributes.push(kind, value)?;
        Ok(self)
    }

    /// Encodes the request: Message-Authenticator first, then the attributes as appended.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketLength`] if the whole is longer than 4096 octets.
    pub fn build(self) -> Result<PendingRequest, EncodeError> {
        let authenticator = *self.authenticator.as_bytes();
        let header = Header {
            code: self.code,
            identifier: self.identifier,
            authenticator,
        };
        let with_mac = self.with_message_authenticator;
        let octets = encode(
            header,
            Signature::Request,
            with_mac,
            self.attributes.octets(),
            self.secret,
        )?;
        Ok(PendingRequest {
            octets: Zeroizing::new(octets),
            identifier: self.identifier,
            authenticator: self.authenticator,
            secret: self.secret.clone(),
        })
    }
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("code", &self.code)
            .field("identifier", &self.identifier)
            .field("attributes", &self.attributes.attributes())
            .finish_non_exhaustive()
    }
}

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
    /// [`Code::ACCESS_ACCEPT`], [`Code::ACCESS_REJECT`] or [`Code::ACCESS_CHALLENGE`].
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
