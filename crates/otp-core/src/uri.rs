//! `otpauth://` URIs: how a token reaches an authenticator app, mostly as a QR code.
//!
//! There is no RFC. What is written here is the form on which the apps agree; what is read are the spellings
//! that they and the servers in use produce. A URI holds the key: it is a secret as a whole.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::num::NonZeroU64;

use zeroize::Zeroizing;

use crate::{Algorithm, Digits, Hotp, KeyError, TokenKey, Totp};

pub mod migration;
mod parse;
mod percent;
mod protobuf;

/// Octets of the longest URI that is read; more than fits into the largest QR code.
pub const MAX_URI_LEN: usize = 4096;

/// The type of a token and what it needs to be told beside the parameters of both types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenType {
    /// `otpauth://totp`.
    Totp {
        /// Time step `X`, in seconds.
        period: NonZeroU64,
    },
    /// `otpauth://hotp`.
    Hotp {
        /// Counter of the first code.
        counter: u64,
    },
}

/// What an `otpauth://` URI says.
///
/// ```
/// # use otp_core::{OtpauthUri, TokenKey, Totp};
/// let key = TokenKey::from(*b"12345678901234567890");
/// let uri = OtpauthUri::totp(Some("Example"), "alice@EXAMPLE.COM", key, &Totp::default())?.to_uri();
/// assert_eq!(
///     *uri,
///     "otpauth://totp/Example:alice@EXAMPLE.COM?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
///      &issuer=Example&algorithm=SHA1&digits=6&period=30",
/// );
/// assert_eq!(OtpauthUri::parse(&uri)?.account(), "alice@EXAMPLE.COM");
/// # Ok::<(), otp_core::UriError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OtpauthUri {
    issuer: Option<String>,
    account: String,
    key: TokenKey,
    algorithm: Algorithm,
    digits: Digits,
    token_type: TokenType,
}

impl OtpauthUri {
    /// Describes a TOTP token.
    ///
    /// # Errors
    ///
    /// - [`UriError::T0`] if `T0` is not 0, for which URIs have no word;
    /// - [`UriError::Account`] if the account is empty, has control characters, or has a colon without an issuer
    ///   before it;
    /// - [`UriError::Issuer`] if the issuer has control characters or a colon.
    pub fn totp(issuer: Option<&str>, account: &str, key: TokenKey, totp: &Totp) -> Result<Self, UriError> {
        if totp.t0() != 0 {
            return Err(UriError::T0);
        }
        let token_type = TokenType::Totp { period: totp.step() };
        Self::new(issuer, account, key, totp.algorithm(), totp.digits(), token_type)
    }

    /// Describes an HOTP token whose next code is that of `counter`.
    ///
    /// # Errors
    ///
    /// [`UriError::Account`] and [`UriError::Issuer`] as for [`OtpauthUri::totp`].
    pub fn hotp(
        issuer: Option<&str>,
        account: &str,
        key: TokenKey,
        hotp: &Hotp,
        counter: u64,
    ) -> Result<Self, UriError> {
        Self::new(
            issuer,
            account,
            key,
            hotp.algorithm,
            hotp.digits,
            TokenType::Hotp { counter },
        )
    }

    fn new(
        issuer: Option<&str>,
        account: &str,
        key: TokenKey,
        algorithm: Algorithm,
        digits: Digits,
        token_type: TokenType,
    ) -> Result<Self, UriError> {
        let issuer = issuer.map(str::trim).filter(|issuer| !issuer.is_empty());
        if issuer.is_some_and(|issuer| issuer.contains(|c: char| c == ':' || c.is_control())) {
            return Err(UriError::Issuer);
        }
        let account = account.trim();
        let ambiguous = issuer.is_none() && account.contains(':');
        if account.is_empty() || ambiguous || account.contains(char::is_control) {
            return Err(UriError::Account);
        }
        Ok(Self {
            issuer: issuer.map(ToOwned::to_owned),
            account: account.to_owned(),
            key,
            algorithm,
            digits,
            token_type,
        })
    }

    /// Splits a label `issuer:account`; an issuer that is given beside it goes before the one in it.
    fn from_label(
        issuer: Option<&str>,
        label: &str,
        key: TokenKey,
        algorithm: Algorithm,
        digits: Digits,
        token_type: TokenType,
    ) -> Result<Self, UriError> {
        let (label_issuer, account) = match label.split_once(':') {
            Some((issuer, account)) => (Some(issuer), account),
            None => (None, label),
        };
        let issuer = issuer.map(str::trim).filter(|issuer| !issuer.is_empty());
        Self::new(
            issuer.or(label_issuer),
            account,
            key,
            algorithm,
            digits,
            token_type,
        )
    }

    /// Reads a URI.
    ///
    /// Scheme, type, parameter names and the algorithm are taken in any case, the colon of the label as `:`
    /// or `%3A`, the key in every form of [`base32::decode`](crate::base32::decode). Missing parameters have
    /// the default of the apps: SHA-1, 6 digits, 30 s, counter 0. The issuer parameter goes before the one in
    /// the label. Unknown parameters are ignored, FreeOTP's `image`, `color` and `lock` among them; its
    /// algorithms SHA224 and SHA384 and its 9 digits are refused by name, as are the types of token of vendors:
    /// Steam, Yandex (`yaotp`) and mOTP.
    ///
    /// # Errors
    ///
    /// A [`UriError`]; no default stands in for a value that is present but not understood.
    pub fn parse(uri: &str) -> Result<Self, UriError> {
        parse::parse(uri, TokenKey::new)
    }

    /// Reads a URI whose key may be shorter than 128 bits, for tokens that exist already.
    ///
    /// # Errors
    ///
    /// As for [`OtpauthUri::parse`].
    pub fn dangerous_parse_allow_short(uri: &str) -> Result<Self, UriError> {
        parse::parse(uri, TokenKey::dangerous_allow_short)
    }

    /// Who issued the token: the name of the realm or organisation.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whose token it is: the name of the user or principal.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Hash function.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Digits of each value.
    #[must_use]
    pub fn digits(&self) -> Digits {
        self.digits
    }

    /// The type of the token.
    #[must_use]
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The parameters of a TOTP token; `None` if it is another.
    #[must_use]
    pub fn to_totp(&self) -> Option<Totp> {
        match self.token_type {
            TokenType::Totp { period } => Some(
                Totp::default()
                    .with_algorithm(self.algorithm)
                    .with_digits(self.digits)
                    .with_step(period),
            ),
            TokenType::Hotp { .. } => None,
        }
    }

    /// The parameters and the next counter of an HOTP token; `None` if it is another.
    #[must_use]
    pub fn to_hotp(&self) -> Option<(Hotp, u64)> {
        match self.token_type {
            TokenType::Hotp { counter } => Some((
                Hotp {
                    algorithm: self.algorithm,
                    digits: self.digits,
                },
                counter,
            )),
            TokenType::Totp { .. } => None,
        }
    }

    /// Writes the URI, every parameter spelled out.
    #[must_use]
    pub fn to_uri(&self) -> Zeroizing<String> {
        let (kind, (name, value)) = match self.token_type {
            TokenType::Totp { period } => ("totp", ("period", period.get())),
            TokenType::Hotp { counter } => ("hotp", ("counter", counter)),
        };
        let secret = self.key.to_base32();
        let issuer = self.issuer.as_deref();
        // An octet is at most three characters, the issuer stands there twice, and 128 are more than what is
        // fixed and the numbers: the buffer never grows, so that no part of the key stays behind in freed
        // memory.
        let names = issuer
            .map_or(0, str::len)
            .saturating_mul(2)
            .saturating_add(self.account.len());
        let capacity = names
            .saturating_mul(3)
            .saturating_add(secret.len())
            .saturating_add(128);
        let mut uri = Zeroizing::new(String::with_capacity(capacity));

        uri.push_str("otpauth://");
        uri.push_str(kind);
        uri.push('/');
        if let Some(issuer) = issuer {
            percent::encode(issuer, &mut uri);
            uri.push(':');
        }
        percent::encode(&self.account, &mut uri);
        uri.push_str("?secret=");
        uri.push_str(&secret);
        if let Some(issuer) = issuer {
            uri.push_str("&issuer=");
            percent::encode(issuer, &mut uri);
        }
        uri.push_str("&algorithm=");
        uri.push_str(self.algorithm.as_str());
        uri.push_str("&digits=");
        percent::push_decimal(self.digits.get().into(), &mut uri);
        uri.push('&');
        uri.push_str(name);
        uri.push('=');
        percent::push_decimal(value, &mut uri);
        uri
    }
}

/// Why a text is no `otpauth://` URI of a token, or a token has none. Names and numbers only: the URI is a
/// secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// More than [`MAX_URI_LEN`] octets.
    #[error("the URI is longer than {MAX_URI_LEN} octets")]
    TooLong,
    /// It does not begin with `otpauth://`.
    #[error("the URI does not begin with otpauth://")]
    Scheme,
    /// It begins with `otpauth-migration://`: [`Migration::parse`](migration::Migration::parse) reads it.
    #[error("the URI is the export of a whole app, not of one token")]
    Migration,
    /// The token is of this type, which only its vendor's apps compute: `steam`, `yaotp` or `motp`.
    #[error("tokens of the type {0} are not supported")]
    Vendor(&'static str),
    /// The type is neither `totp` nor `hotp`.
    #[error("the type of the token is neither totp nor hotp")]
    TokenType,
    /// A `#`, which would cut off all that follows (RFC 3986 §3.5); within a value it is written `%23`.
    #[error("the URI has a fragment: '#' within a value is written %23")]
    Fragment,
    /// `%` without two hexadecimal digits, or octets that are no UTF-8 (RFC 3986 §2.1).
    #[error("the percent-encoding of the URI is malformed")]
    PercentEncoding,
    /// The account is missing, has control characters, or has a colon without an issuer before it.
    #[error("the account is empty, or has a control character or a colon")]
    Account,
    /// The issuer has a control character or a colon, the separator of the label.
    #[error("the issuer has a control character or a colon")]
    Issuer,
    /// The same parameter stands there twice.
    #[error("the parameter {0} stands there twice")]
    Duplicate(&'static str),
    /// There is no key.
    #[error("the parameter secret is missing")]
    MissingSecret,
    /// The key is unusable.
    #[error("the parameter secret is unusable")]
    Key(#[from] KeyError),
    /// A hash function that other apps know: SHA224, SHA384 or MD5.
    #[error("the algorithm {0} is not supported")]
    Algorithm(&'static str),
    /// A number of digits outside 6..=8.
    #[error("{0} digits are not supported, only 6 to 8")]
    Digits(u8),
    /// The value of a parameter is not understood: an unknown algorithm, period 0, no number.
    #[error("the value of the parameter {0} is not supported")]
    Value(&'static str),
    /// A TOTP token with a `T0` other than 0, for which URIs have no word.
    #[error("an otpauth URI cannot tell a T0 other than 0")]
    T0,
}
