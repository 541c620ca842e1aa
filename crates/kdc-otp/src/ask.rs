//! One question to one server: a token of the user string, resolved.

use kdc_otp_config::TokenType;
use krad::{AttributeType, LengthPolicy, Remote, RequestTemplate, SharedSecret};
use otp_userstring::Token;

use crate::{Failure, OtpModule, Principal};

/// What the KDC asks on behalf of one token: which server, about which name, and what a success is worth.
#[derive(Clone, Debug)]
pub struct Ask {
    token: usize,
    token_type: TokenType,
    user_name: Vec<u8>,
    indicators: Vec<Vec<u8>>,
}

impl Ask {
    pub(crate) fn new(index: usize, token: &Token, token_type: &TokenType, principal: &Principal) -> Self {
        let user_name = match token.username() {
            // The name of the token is sent as it is: strip_realm does not apply.
            Some(name) => name.to_vec(),
            None if token_type.strip_realm() => principal.unparse_without_realm(),
            None => principal.unparse(),
        };
        let mut indicators: Vec<Vec<u8>> = Vec::new();
        let mut add = |indicator: &[u8]| {
            if !indicators.iter().any(|known| known == indicator) {
                indicators.push(indicator.to_vec());
            }
        };
        match token.indicators() {
            // Even an empty list takes the place of the type's.
            Some(own) => own.iter().for_each(|indicator| add(indicator)),
            None => token_type.indicators().for_each(&mut add),
        }
        Self {
            token: index,
            token_type: token_type.clone(),
            user_name,
            indicators,
        }
    }

    /// Index of the token in the user string, counted from 0.
    #[must_use]
    pub fn token(&self) -> usize {
        self.token
    }

    /// The type of the token: the server, its secret, and how long it is waited for.
    #[must_use]
    pub fn token_type(&self) -> &TokenType {
        &self.token_type
    }

    /// User-Name (RFC 2865 §5.1).
    #[must_use]
    pub fn user_name(&self) -> &[u8] {
        &self.user_name
    }

    /// The authentication indicators of the ticket if the server accepts (RFC 8129): those of the token, or else those
    /// of the type, each once.
    pub fn indicators(&self) -> impl Iterator<Item = &[u8]> {
        self.indicators.iter().map(Vec::as_slice)
    }

    /// The attributes in wire order.
    pub(crate) fn template(&self, module: &OtpModule, otp: &[u8]) -> Result<RequestTemplate, Failure> {
        let name = self.user_name();
        if !(1..=253).contains(&name.len()) {
            return Err(Failure::UserNameLength(name.len()));
        }
        // A receiver takes the padding away, and libkrad receives what it sends.
        if otp.iter().all(|octet| *octet == 0) {
            return Err(Failure::OtpOfNuls);
        }
        RequestTemplate::access_request()
            .with(AttributeType::NAS_IDENTIFIER, module.nas_identifier())
            .and_then(|template| template.with(AttributeType::SERVICE_TYPE, &AUTHENTICATE_ONLY))
            .and_then(|template| template.user_password(otp))
            .and_then(|template| template.user_name(name))
            .map_err(|error| Failure::Request(error.into()))
    }

    /// The server as libkrad of this KDC speaks to it.
    pub(crate) fn remote(&self, module: &OtpModule) -> Remote {
        let secret = self.token_type.secret();
        let shared = SharedSecret::new(secret.expose());
        let remote = if self.token_type.server().is_unix() {
            Remote::tcp(shared)
        } else {
            Remote::udp(shared)
        };
        // No release of libkrad demands the attribute of a reply, or looks at its Code.
        let remote = remote
            .dangerous_allow_missing_message_authenticator()
            .allow_any_code();
        match (module.knows_message_authenticator(), secret.is_empty()) {
            (true, false) => remote.with_length_policy(LengthPolicy::Libkrad),
            (true, true) => remote
                .dangerous_omit_message_authenticator()
                .with_length_policy(LengthPolicy::Libkrad),
            (false, _) => remote
                .dangerous_omit_message_authenticator()
                .with_length_policy(LengthPolicy::LibkradBefore1_22),
        }
    }
}

/// Service-Type Authenticate-Only (RFC 2865 §5.6).
const AUTHENTICATE_ONLY: [u8; 4] = [0, 0, 0, 8];
