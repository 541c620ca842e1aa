//! The server's side: replies.

use crate::{
    AttributeType, Code, EncodeError, LengthPolicy, Request,
    attribute::AttributeBuffer,
    packet::{Header, Signature, encode},
    radius11,
};

/// What the client at the other end needs a reply to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum ReplyStyle {
    /// Every reply carries a Message-Authenticator, as its first attribute: for clients on a network. It
    /// protects even a client that does not verify it.
    #[default]
    Network,
    /// For MIT libkrad, so for a KDC: a Message-Authenticator only if the request carried one, and only
    /// attributes that [`LengthPolicy::Libkrad`] permits. Others are left out, because libkrad discards a
    /// reply that has one of them.
    Libkrad,
    /// For a client on a network that may leave Message-Authenticator out: as `Libkrad` to a request that an MIT
    /// KDC before 1.22 composes ([`Request::is_of_older_kdc`]), as `Network` to any other.
    NetworkOrLibkrad,
}

impl ReplyStyle {
    /// Whether libkrad reads the reply to `request`.
    fn is_for_libkrad(self, request: &Request<'_>) -> bool {
        match self {
            Self::Network => false,
            Self::Libkrad => true,
            Self::NetworkOrLibkrad => request.is_of_older_kdc(),
        }
    }
}

/// A reply in the making, from [`Request::reply`].
#[derive(Clone)]
pub struct ReplyBuilder<'a> {
    request: Request<'a>,
    code: Code,
    attributes: AttributeBuffer,
}

impl<'a> ReplyBuilder<'a> {
    pub(crate) fn new(request: Request<'a>, code: Code) -> Self {
        Self {
            request,
            code,
            attributes: AttributeBuffer::default(),
        }
    }

    /// Appends an attribute.
    ///
    /// # Errors
    ///
    /// - [`EncodeError::ValueLength`] if `value` is empty or longer than 253 octets;
    /// - [`EncodeError::PacketLength`] if it does not fit any more;
    /// - [`EncodeError::Reserved`] for Message-Authenticator and Proxy-State, which [`sign`](Self::sign)
    ///   writes.
    pub fn with(mut self, kind: AttributeType, value: &[u8]) -> Result<Self, EncodeError> {
        if matches!(
            kind,
            AttributeType::MESSAGE_AUTHENTICATOR | AttributeType::PROXY_STATE
        ) {
            return Err(EncodeError::Reserved(kind));
        }
        self.attributes.push(kind, value)?;
        Ok(self)
    }

    /// Encodes the reply: Message-Authenticator if `style` wants one, the attributes as appended, then the
    /// request's Proxy-State attributes, unchanged and in order (RFC 2865 §5.33).
    ///
    /// The reply to a request of RADIUS/1.1 has its Token, no Message-Authenticator and no `style`: nothing is signed
    /// there but the connection.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketLength`] if the whole is longer than 4096 octets; [`EncodeError::Reserved`] for an attribute
    /// that is not sent over RADIUS/1.1.
    pub fn sign(&self, style: ReplyStyle) -> Result<Vec<u8>, EncodeError> {
        let Some(secret) = self.request.secret() else {
            return self.over_tls();
        };
        let for_libkrad = style.is_for_libkrad(&self.request);
        let policy = if for_libkrad {
            LengthPolicy::Libkrad
        } else {
            LengthPolicy::Rfc2865
        };
        let mut attributes = AttributeBuffer::default();
        for attribute in self.attributes.attributes() {
            if policy.permits(attribute.kind, attribute.value.len()) {
                attributes.push(attribute.kind, attribute.value)?;
            }
        }
        for proxy_state in self.request.proxy_states() {
            attributes.echo(AttributeType::PROXY_STATE, proxy_state)?;
        }
        let with_message_authenticator = !for_libkrad || self.request.has_message_authenticator();
        let header = Header {
            code: self.code,
            identifier: self.request.identifier(),
            authenticator: [0; 16],
        };
        let signature = Signature::Response(&self.request.authenticator());
        encode(
            header,
            signature,
            with_message_authenticator,
            attributes.octets(),
            secret,
        )
    }

    /// The reply over RADIUS/1.1 (RFC 9765 §4).
    fn over_tls(&self) -> Result<Vec<u8>, EncodeError> {
        let request = radius11::Packet::of_decoded(*self.request.packet());
        let mut attributes = self.attributes.attributes().into_iter();
        let reply = attributes.try_fold(request.reply(self.code), |reply, attribute| {
            reply.with(attribute.kind, attribute.value)
        });
        reply?.build().map(|mut octets| std::mem::take(&mut *octets))
    }
}

impl std::fmt::Debug for ReplyBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyBuilder")
            .field("code", &self.code)
            .field("identifier", &self.request.identifier())
            .field("attributes", &self.attributes.attributes())
            .finish()
    }
}
