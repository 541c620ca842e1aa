//! What is to be asked, before it is known of whom.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    Attribute, AttributeType, Code, EncodeError, Identifier, MAX_PACKET_LENGTH, MAX_PASSWORD_LENGTH,
    MIN_PACKET_LENGTH, PendingRequest, RequestAuthenticator, SharedSecret,
    attribute::AttributeBuffer,
    hide_user_password,
    packet::{Header, Signature, encode},
    radius11::{PacketBuilder, Token},
};

/// The attributes of a request, in order, the password in the clear: what several servers can be asked, each
/// with an Identifier, an authenticator and a secret of its own.
///
/// A [`Transaction`](crate::Transaction) composes the packets. For a single packet there is
/// [`RequestBuilder`](crate::RequestBuilder).
///
/// ```
/// # use krad::{AttributeType, RequestTemplate};
/// let template = RequestTemplate::access_request()
///     .with(AttributeType::NAS_IDENTIFIER, b"gate")?
///     .user_name(b"alice")?
///     .user_password(b"755224")?;
/// assert!(!format!("{template:?}").contains("755224"));
/// # Ok::<(), krad::EncodeError>(())
/// ```
#[derive(Clone)]
pub struct RequestTemplate {
    code: Code,
    attributes: Vec<TemplateAttribute>,
    /// Octets of the packet so far, without a Message-Authenticator.
    length: usize,
}

#[derive(Clone)]
struct TemplateAttribute {
    kind: AttributeType,
    /// Wiped on drop, whatever it is; a User-Password is in the clear.
    value: Zeroizing<Vec<u8>>,
}

impl RequestTemplate {
    /// Begins an Access-Request (RFC 2865 §4.1).
    #[must_use]
    pub const fn access_request() -> Self {
        Self::new(Code::ACCESS_REQUEST)
    }

    /// Begins a Status-Server (RFC 5997): is the server there?
    #[must_use]
    pub const fn status_server() -> Self {
        Self::new(Code::STATUS_SERVER)
    }

    const fn new(code: Code) -> Self {
        Self {
            code,
            attributes: Vec::new(),
            length: MIN_PACKET_LENGTH,
        }
    }

    /// Code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Appends User-Name.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn user_name(self, name: &[u8]) -> Result<Self, EncodeError> {
        self.with(AttributeType::USER_NAME, name)
    }

    /// Appends a password of up to 128 octets as User-Password, to be hidden for each server (RFC 2865 §5.2).
    ///
    /// # Errors
    ///
    /// [`EncodeError::PasswordLength`], or [`EncodeError::PacketLength`] if it does not fit any more.
    pub fn user_password(self, password: &[u8]) -> Result<Self, EncodeError> {
        if password.len() > MAX_PASSWORD_LENGTH {
            return Err(EncodeError::PasswordLength(password.len()));
        }
        let hidden_length = password.len().max(1).next_multiple_of(16);
        self.push(AttributeType::USER_PASSWORD, password, hidden_length)
    }

    /// Appends an attribute.
    ///
    /// # Errors
    ///
    /// - [`EncodeError::ValueLength`] if `value` is empty or longer than 253 octets;
    /// - [`EncodeError::PacketLength`] if it does not fit any more;
    /// - [`EncodeError::Reserved`] for Message-Authenticator, which is written when a packet is composed, and
    ///   for User-Password, which [`user_password`](Self::user_password) takes.
    pub fn with(self, kind: AttributeType, value: &[u8]) -> Result<Self, EncodeError> {
        let length = value.len();
        match kind {
            AttributeType::MESSAGE_AUTHENTICATOR | AttributeType::USER_PASSWORD => {
                Err(EncodeError::Reserved(kind))
            }
            _ if !(1..=253).contains(&length) => Err(EncodeError::ValueLength { kind, length }),
            _ => self.push(kind, value, length),
        }
    }

    fn push(mut self, kind: AttributeType, value: &[u8], wire_length: usize) -> Result<Self, EncodeError> {
        let total = self.length.saturating_add(2).saturating_add(wire_length);
        if total > MAX_PACKET_LENGTH {
            return Err(EncodeError::PacketLength(total));
        }
        self.length = total;
        let value = Zeroizing::new(value.to_vec());
        self.attributes.push(TemplateAttribute { kind, value });
        Ok(self)
    }

    /// Composes the packet for one server: Message-Authenticator first, if wanted, then the attributes in
    /// order.
    ///
    /// `authenticator` comes from [`RequestAuthenticator::random`] and is used once; `identifier` is one that
    /// no outstanding request of the same socket has.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketLength`] if the whole, Message-Authenticator included, is longer than 4096 octets.
    pub fn compose(
        &self,
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: &SharedSecret,
        with_message_authenticator: bool,
    ) -> Result<PendingRequest, EncodeError> {
        let mut attributes = AttributeBuffer::default();
        for TemplateAttribute { kind, value } in &self.attributes {
            if *kind == AttributeType::USER_PASSWORD {
                attributes.push(*kind, &hide_user_password(value, secret, &authenticator)?)?;
            } else {
                attributes.push(*kind, value)?;
            }
        }
        let header = Header {
            code: self.code,
            identifier,
            authenticator: *authenticator.as_bytes(),
        };
        let octets = encode(
            header,
            Signature::Request,
            with_message_authenticator,
            attributes.octets(),
            secret,
        )?;
        Ok(PendingRequest::new(
            octets,
            identifier,
            authenticator,
            secret.clone(),
        ))
    }
}

impl RequestTemplate {
    /// Composes the packet for one server over RADIUS/1.1 (RFC 9765): nothing is hidden, nothing is signed but the connection.
    /// The octets are wiped on drop.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::with`] and [`PacketBuilder::build`]: an attribute that is not sent there, a User-Password of no
    /// octets, a CHAP-Password without CHAP-Challenge.
    pub fn compose_radius11(&self, token: Token) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
        let builder = match self.code {
            Code::STATUS_SERVER => PacketBuilder::status_server(token),
            _ => PacketBuilder::access_request(token),
        };
        let with = |builder: PacketBuilder<'static>, attribute: &TemplateAttribute| {
            builder.with(attribute.kind, &attribute.value)
        };
        self.attributes.iter().try_fold(builder, with)?.build()
    }
}

/// Shows the types and the lengths of the attributes only; a password's length not even that.
impl fmt::Debug for RequestTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTemplate")
            .field("code", &self.code)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TemplateAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, value } = self;
        if *kind == AttributeType::USER_PASSWORD {
            return write!(f, "{kind}");
        }
        Attribute { kind: *kind, value }.fmt(f)
    }
}
