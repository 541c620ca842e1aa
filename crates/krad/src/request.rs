//! The server's side: requests that are authentic.

use zeroize::Zeroizing;

use crate::{
    AttributeType, Attributes, Code, Identifier, MessageAuthenticatorRule, Packet, ReplyBuilder,
    RequestAuthenticator, SharedSecret, UserPasswordError, VerifyError,
    message_authenticator::verify_message_authenticator,
    packet::Header,
    radius11::{self, Token, Version},
    reveal_user_password,
};

/// An Access-Request or Status-Server that passed every rule of authenticity, of either version of RADIUS. Only
/// [`Packet::authenticate`] and [`Packet::authenticated_by_tls`] make one.
///
/// Without Message-Authenticator, nothing in a request of historic RADIUS proves that the sender knows the shared
/// secret: under [`MessageAuthenticatorRule::IfPresent`] the proof is only that nothing contradicts it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    packet: Packet<'a>,
    proof: Proof<'a>,
}

/// What a request's authenticity rests on; its reply is made in the same way.
#[derive(Debug, Clone, Copy)]
enum Proof<'a> {
    /// Historic RADIUS.
    SharedSecret {
        secret: &'a SharedSecret,
        has_message_authenticator: bool,
    },
    /// RADIUS/1.1.
    Tls,
}

impl<'a> Packet<'a> {
    /// Applies the server's rules of authenticity.
    ///
    /// Exactly one Message-Authenticator of 16 octets is verified wherever it stands (RFC 3579 §3.2). A
    /// packet without one is refused if `rule` says so, if it carries EAP-Message (RFC 3579 §3.1), or if it
    /// is a Status-Server, whatever the rule (RFC 5997 §3).
    ///
    /// # Errors
    ///
    /// [`VerifyError`]: discard the packet silently, and leave the table of duplicates alone (RFC 5080
    /// §2.2.2).
    pub fn authenticate(
        self,
        secret: &'a SharedSecret,
        rule: MessageAuthenticatorRule,
    ) -> Result<Request<'a>, VerifyError> {
        let rule = match self.code() {
            Code::ACCESS_REQUEST => rule,
            Code::STATUS_SERVER => MessageAuthenticatorRule::Required,
            other => return Err(VerifyError::UnexpectedCode(other)),
        };
        let authenticator = RequestAuthenticator::from(*self.authenticator());
        let has_message_authenticator = verify_message_authenticator(&self, &authenticator, rule, secret)?;
        let proof = Proof::SharedSecret {
            secret,
            has_message_authenticator,
        };
        Ok(Request { packet: self, proof })
    }

    /// The request of a client over RADIUS/1.1 (RFC 9765): its octets prove nothing, the connection proves everything.
    /// For packets of a TLS connection whose client was authenticated, and that negotiated
    /// [`Version::Radius11`]; nothing else.
    ///
    /// ```
    /// # use krad::{Code, Packet, radius11::{PacketBuilder, Token, Version}};
    /// let octets = PacketBuilder::access_request(Token([0; 4])).user_name(b"alice")?.user_password(b"755224")?.build()?;
    /// let request = Packet::decode(&octets)?.authenticated_by_tls()?;
    /// assert_eq!(request.version(), Version::Radius11);
    /// assert_eq!(**request.user_password()?.ok_or("no password")?, *b"755224");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`VerifyError::UnexpectedCode`] unless it is an Access-Request or a Status-Server: discard the packet silently.
    pub const fn authenticated_by_tls(self) -> Result<Request<'a>, VerifyError> {
        match self.code() {
            Code::ACCESS_REQUEST | Code::STATUS_SERVER => Ok(Request {
                packet: self,
                proof: Proof::Tls,
            }),
            other => Err(VerifyError::UnexpectedCode(other)),
        }
    }
}

impl<'a> Request<'a> {
    /// [`Code::ACCESS_REQUEST`] or [`Code::STATUS_SERVER`].
    #[must_use]
    pub const fn code(&self) -> Code {
        self.packet.code()
    }

    /// Which version of RADIUS it belongs to, and so what made it authentic: the shared secret or TLS.
    #[must_use]
    pub const fn version(&self) -> Version {
        match self.proof {
            Proof::SharedSecret { .. } => Version::Historic,
            Proof::Tls => Version::Radius11,
        }
    }

    /// Identifier; in RADIUS/1.1 a reserved field, where [`token`](Self::token) stands in for it.
    #[must_use]
    pub const fn identifier(&self) -> Identifier {
        self.packet.identifier()
    }

    /// Token (RFC 9765 §4.2); `None` in historic RADIUS.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        (self.version() == Version::Radius11).then(|| radius11::Packet::of_decoded(self.packet).token())
    }

    /// Request Authenticator; in RADIUS/1.1 the octets of Token and a reserved field, which are neither unique beyond the
    /// connection nor unpredictable.
    #[must_use]
    pub fn authenticator(&self) -> RequestAuthenticator {
        RequestAuthenticator::from(*self.packet.authenticator())
    }

    /// All attributes, in order. A Message-Authenticator means nothing in RADIUS/1.1 (RFC 9765 §5.2).
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        self.packet.attributes()
    }

    /// The octets of the packet, for a digest over the whole of it.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.packet.octets()
    }

    /// Whether a Message-Authenticator proved that the sender knows the secret.
    #[must_use]
    pub const fn has_message_authenticator(&self) -> bool {
        matches!(
            self.proof,
            Proof::SharedSecret {
                has_message_authenticator: true,
                ..
            }
        )
    }

    /// Whether an MIT KDC before 1.22 composes requests like this one: no Message-Authenticator, and NAS-Identifier,
    /// Service-Type = Authenticate Only, User-Password, User-Name, in this order and nothing else.
    ///
    /// Such a KDC discards a reply that carries a Message-Authenticator. A request proves nothing about its sender by
    /// its shape: this is for choosing among replies that are all permitted.
    #[must_use]
    pub fn is_of_older_kdc(&self) -> bool {
        self.is_of_kdc()
            && self
                .attributes()
                .first(AttributeType::MESSAGE_AUTHENTICATOR)
                .is_none()
    }

    /// Whether an MIT KDC composes requests like this one: as [`is_of_older_kdc`](Self::is_of_older_kdc) has it, with a
    /// Message-Authenticator or without.
    ///
    /// A KDC has no use for attributes of an Access-Accept, and discards a reply that carries one that it does not know.
    #[must_use]
    pub fn is_of_kdc(&self) -> bool {
        const SHAPE: [AttributeType; 4] = [
            AttributeType::NAS_IDENTIFIER,
            AttributeType::SERVICE_TYPE,
            AttributeType::USER_PASSWORD,
            AttributeType::USER_NAME,
        ];
        const AUTHENTICATE_ONLY: u32 = 8;
        let kinds = self.attributes().iter().map(|attribute| attribute.kind);
        self.version() == Version::Historic
            && self.service_type() == Some(AUTHENTICATE_ONLY)
            && kinds
                .filter(|kind| *kind != AttributeType::MESSAGE_AUTHENTICATOR)
                .eq(SHAPE)
    }

    /// User-Name (RFC 2865 §5.1): octets that need not be UTF-8.
    #[must_use]
    pub fn user_name(&self) -> Option<&'a [u8]> {
        self.attributes().first(AttributeType::USER_NAME)
    }

    /// User-Password in the clear (RFC 2865 §5.2, RFC 9765 §5.1.1), `None` if the request has none.
    ///
    /// It can be empty; whether an empty password means anything is the application's decision.
    ///
    /// # Errors
    ///
    /// [`UserPasswordError`]: answer with Access-Reject and count it against nobody.
    pub fn user_password(&self) -> Result<Option<Zeroizing<Vec<u8>>>, UserPasswordError> {
        let secret = match self.proof {
            Proof::SharedSecret { secret, .. } => secret,
            Proof::Tls => {
                let clear = radius11::Packet::of_decoded(self.packet).user_password()?;
                return Ok(clear.map(|password| Zeroizing::new(password.to_vec())));
            }
        };
        let attributes = self.attributes();
        let mut hidden = attributes.all(AttributeType::USER_PASSWORD);
        let Some(first) = hidden.next() else {
            return Ok(None);
        };
        if hidden.next().is_some() {
            return Err(UserPasswordError::Repeated);
        }
        reveal_user_password(first, secret, &self.authenticator()).map(Some)
    }

    /// NAS-Identifier (RFC 2865 §5.32). A KDC sends its host name.
    #[must_use]
    pub fn nas_identifier(&self) -> Option<&'a [u8]> {
        self.attributes().first(AttributeType::NAS_IDENTIFIER)
    }

    /// Service-Type (RFC 2865 §5.6), `None` if there is none of four octets. A KDC sends 8, Authenticate
    /// Only.
    #[must_use]
    pub fn service_type(&self) -> Option<u32> {
        let value = self.attributes().first(AttributeType::SERVICE_TYPE)?;
        value.try_into().ok().map(u32::from_be_bytes)
    }

    /// State (RFC 2865 §5.24): what an Access-Challenge sent, returned unchanged.
    #[must_use]
    pub fn state(&self) -> Option<&'a [u8]> {
        self.attributes().first(AttributeType::STATE)
    }

    /// Proxy-State attributes (RFC 2865 §5.33), in order. Every reply echoes them by itself.
    pub fn proxy_states(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.attributes().all(AttributeType::PROXY_STATE)
    }

    /// Begins the reply to this request.
    #[must_use]
    pub fn reply(&self, code: Code) -> ReplyBuilder<'a> {
        ReplyBuilder::new(*self, code)
    }

    /// Copies the request into one that owns its octets and shares the secret.
    #[must_use]
    pub fn to_buf(&self) -> RequestBuf {
        RequestBuf {
            header: self.packet.header(),
            octets: Zeroizing::new(self.octets().to_vec()),
            attributes: self.attributes().octets().len(),
            secret: self.secret().cloned(),
            has_message_authenticator: self.has_message_authenticator(),
        }
    }

    /// The octets of the Request Authenticator, in the packet.
    pub(crate) fn authenticator_octets(&self) -> &'a [u8] {
        self.octets().get(4..20).unwrap_or_default()
    }

    pub(crate) const fn packet(&self) -> &Packet<'a> {
        &self.packet
    }

    /// The shared secret of historic RADIUS.
    pub(crate) const fn secret(&self) -> Option<&'a SharedSecret> {
        match self.proof {
            Proof::SharedSecret { secret, .. } => Some(secret),
            Proof::Tls => None,
        }
    }
}

/// A [`Request`] that owns its octets, as [`PathBuf`](std::path::PathBuf) is to `Path`; they are wiped on
/// drop.
#[derive(Clone)]
pub struct RequestBuf {
    header: Header,
    octets: Zeroizing<Vec<u8>>,
    /// How many octets after the header are attributes.
    attributes: usize,
    /// `None` for a request that TLS made authentic.
    secret: Option<SharedSecret>,
    has_message_authenticator: bool,
}

impl RequestBuf {
    /// The request, borrowed. It costs nothing: what was authentic stays so.
    #[must_use]
    pub fn as_request(&self) -> Request<'_> {
        Request {
            packet: Packet::of_decoded(self.header, &self.octets, self.attributes),
            proof: match &self.secret {
                Some(secret) => Proof::SharedSecret {
                    secret,
                    has_message_authenticator: self.has_message_authenticator,
                },
                None => Proof::Tls,
            },
        }
    }
}

impl std::fmt::Debug for RequestBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_request().fmt(f)
    }
}
