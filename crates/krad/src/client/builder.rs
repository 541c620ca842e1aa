//! One request of which everything is known.

use std::fmt;

use crate::{
    AttributeType, EncodeError, Identifier, PendingRequest, RequestAuthenticator, RequestTemplate,
    SharedSecret,
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
    template: RequestTemplate,
    identifier: Identifier,
    authenticator: RequestAuthenticator,
    secret: &'s SharedSecret,
    with_message_authenticator: bool,
}

impl<'s> RequestBuilder<'s> {
    /// Begins an Access-Request (RFC 2865 §4.1). `authenticator` comes from [`RequestAuthenticator::random`],
    /// and `identifier` is one that no outstanding request of this socket has.
    #[must_use]
    pub const fn access_request(
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: &'s SharedSecret,
    ) -> Self {
        Self::new(
            RequestTemplate::access_request(),
            identifier,
            authenticator,
            secret,
        )
    }

    /// Begins a Status-Server (RFC 5997): is the server there?
    #[must_use]
    pub const fn status_server(
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: &'s SharedSecret,
    ) -> Self {
        Self::new(
            RequestTemplate::status_server(),
            identifier,
            authenticator,
            secret,
        )
    }

    const fn new(
        template: RequestTemplate,
        identifier: Identifier,
        authenticator: RequestAuthenticator,
        secret: &'s SharedSecret,
    ) -> Self {
        Self {
            template,
            identifier,
            authenticator,
            secret,
            with_message_authenticator: true,
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

    /// Appends a password of up to 128 octets as User-Password, hidden.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PasswordLength`], or [`EncodeError::PacketLength`] if it does not fit any more.
    pub fn user_password(mut self, password: &[u8]) -> Result<Self, EncodeError> {
        self.template = self.template.user_password(password)?;
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
        self.template = self.template.with(kind, value)?;
        Ok(self)
    }

    /// Encodes the request: Message-Authenticator first, then the attributes as appended.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketLength`] if the whole is longer than 4096 octets.
    pub fn build(self) -> Result<PendingRequest, EncodeError> {
        let with_message_authenticator = self.with_message_authenticator;
        self.template.compose(
            self.identifier,
            self.authenticator,
            self.secret,
            with_message_authenticator,
        )
    }
}

impl fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("template", &self.template)
            .field("identifier", &self.identifier)
            .finish_non_exhaustive()
    }
}
