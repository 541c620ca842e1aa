//! The KDC's OTP module, as it stands when the KDC has started.

use std::time::Instant;

use kdc_otp_config::{KdcBuild, TokenType};
use otp_userstring::UserString;

use crate::{Ask, Principal, RequestError, Verification};

/// The host name cannot be sent as NAS-Identifier (RFC 2865 §5.32), so the module does not initialize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a NAS-Identifier of {0} octets: a request carries 1 to 253")]
pub struct NasIdentifierError(pub usize);

/// The token types of a KDC, and what else it puts in its requests.
#[derive(Clone, Debug)]
pub struct OtpModule {
    types: Vec<TokenType>,
    nas_identifier: Vec<u8>,
    knows_message_authenticator: bool,
}

impl OtpModule {
    /// A KDC with these types ([`Report::types`](kdc_otp_config::Report::types)); `nas_identifier` is its host name as
    /// `gethostname` gives it.
    ///
    /// # Errors
    ///
    /// [`NasIdentifierError`] unless the host name has 1 to 253 octets.
    pub fn new(
        types: impl Into<Vec<TokenType>>,
        nas_identifier: impl Into<Vec<u8>>,
        build: &KdcBuild,
    ) -> Result<Self, NasIdentifierError> {
        let nas_identifier = nas_identifier.into();
        if !(1..=253).contains(&nas_identifier.len()) {
            return Err(NasIdentifierError(nas_identifier.len()));
        }
        Ok(Self {
            types: types.into(),
            nas_identifier,
            knows_message_authenticator: build.knows_message_authenticator(),
        })
    }

    /// Begins to verify an OTP of a principal at `now`: the KDC reads its whole `otp` string, `None` if it has none,
    /// before it asks any server.
    ///
    /// `principal` is the name of the entry in the database: the canonical name, which is what a KDC sends since krb5
    /// 1.16.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the login fails, and nothing is sent.
    pub fn verify(
        &self,
        principal: &Principal,
        user_string: Option<&[u8]>,
        otp: &[u8],
        now: Instant,
    ) -> Result<Verification, RequestError> {
        let user_string = user_string.ok_or(RequestError::NotOffered)?;
        if !(1..=krad::MAX_PASSWORD_LENGTH).contains(&otp.len()) {
            return Err(RequestError::OtpLength(otp.len()));
        }
        let asks = self.asks(principal, user_string)?;
        Ok(Verification::new(self.clone(), asks, otp, now))
    }

    /// What the KDC asks, in its order, if no server accepts and none fails.
    ///
    /// # Errors
    ///
    /// [`RequestError::UserString`], [`RequestError::UnknownType`].
    pub fn asks(&self, principal: &Principal, user_string: &[u8]) -> Result<Vec<Ask>, RequestError> {
        let decoded = UserString::decode(user_string)?;
        let tokens = decoded.user_string.tokens().iter().enumerate();
        let ask = |(index, token): (usize, &otp_userstring::Token)| {
            let name = token.effective_type();
            let token_type = self.find(name).ok_or_else(|| RequestError::UnknownType {
                token: index,
                name: name.to_vec(),
            })?;
            Ok(Ask::new(index, token, token_type, principal))
        };
        tokens.map(ask).collect()
    }

    /// The type of this name. Of several, the KDC finds the last.
    fn find(&self, name: &[u8]) -> Option<&TokenType> {
        self.types
            .iter()
            .rev()
            .find(|token_type| token_type.name() == name)
    }

    pub(crate) fn nas_identifier(&self) -> &[u8] {
        &self.nas_identifier
    }

    pub(crate) fn knows_message_authenticator(&self) -> bool {
        self.knows_message_authenticator
    }
}
