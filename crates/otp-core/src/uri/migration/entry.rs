//! One token of an export.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::super::protobuf::{Fields, Malformed, Value, push_integer, push_octets};
use super::super::{OtpauthUri, TokenType, UriError};
use crate::{Algorithm, Digits, KeyError, TokenKey, Totp};

/// Field numbers of an entry.
const SECRET: u64 = 1;
const NAME: u64 = 2;
const ISSUER: u64 = 3;
const ALGORITHM: u64 = 4;
const DIGITS: u64 = 5;
const TYPE: u64 = 6;
const COUNTER: u64 = 7;

/// Octets that an entry has at most beside its key and names.
const OVERHEAD: usize = 64;

/// The fields of an entry that were there, undecoded.
#[derive(Default)]
struct Entry<'a> {
    secret: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    issuer: Option<&'a [u8]>,
    algorithm: Option<u64>,
    digits: Option<u64>,
    token_type: Option<u64>,
    counter: Option<u64>,
}

impl<'a> Entry<'a> {
    fn read(message: &'a [u8]) -> Result<Self, EntryError> {
        let mut entry = Self::default();
        for field in Fields::of(message) {
            let (number, value) = field.map_err(|Malformed| EntryError::Message)?;
            let twice = match (number, value) {
                (SECRET, Value::Octets(value)) => entry.secret.replace(value).is_some(),
                (NAME, Value::Octets(value)) => entry.name.replace(value).is_some(),
                (ISSUER, Value::Octets(value)) => entry.issuer.replace(value).is_some(),
                (ALGORITHM, Value::Varint(value)) => entry.algorithm.replace(value).is_some(),
                (DIGITS, Value::Varint(value)) => entry.digits.replace(value).is_some(),
                (TYPE, Value::Varint(value)) => entry.token_type.replace(value).is_some(),
                (COUNTER, Value::Varint(value)) => entry.counter.replace(value).is_some(),
                (SECRET..=COUNTER, _) => return Err(EntryError::Message),
                _ => false,
            };
            // Two keys, of which each app takes another, are no token.
            if twice {
                return Err(EntryError::Message);
            }
        }
        Ok(entry)
    }
}

pub(super) fn decode(
    message: &[u8],
    to_key: impl FnOnce(&[u8]) -> Result<TokenKey, KeyError>,
) -> Result<OtpauthUri, EntryError> {
    let entry = Entry::read(message)?;
    let algorithm = match entry.algorithm.unwrap_or_default() {
        0 | 1 => Algorithm::Sha1,
        2 => Algorithm::Sha256,
        3 => Algorithm::Sha512,
        4 => return Err(EntryError::Md5),
        other => return Err(EntryError::Algorithm(other)),
    };
    let digits = match entry.digits.unwrap_or_default() {
        0 | 1 => Digits::SIX,
        2 => Digits::EIGHT,
        other => return Err(EntryError::Digits(other)),
    };
    let token_type = match entry.token_type.unwrap_or_default() {
        0 | 2 => TokenType::Totp {
            period: Totp::DEFAULT_STEP,
        },
        1 => {
            let counter = entry.counter.unwrap_or_default();
            // The field is signed.
            if counter > i64::MAX.cast_unsigned() {
                return Err(EntryError::Counter);
            }
            TokenType::Hotp { counter }
        }
        other => return Err(EntryError::TokenType(other)),
    };
    let key = to_key(entry.secret.unwrap_or_default())?;
    let (name, issuer) = (text(entry.name)?, text(entry.issuer)?);
    OtpauthUri::from_label(Some(issuer), name, key, algorithm, digits, token_type).map_err(
        |error| match error {
            UriError::Issuer => EntryError::Issuer,
            _ => EntryError::Account,
        },
    )
}

fn text(octets: Option<&[u8]>) -> Result<&str, EntryError> {
    core::str::from_utf8(octets.unwrap_or_default()).map_err(|_| EntryError::Message)
}

/// Whether the form can tell the token.
pub(super) fn check(token: &OtpauthUri) -> Result<(), EntryError> {
    if token.digits() == Digits::SEVEN {
        return Err(EntryError::SevenDigits);
    }
    match token.token_type() {
        TokenType::Totp { period } if period != Totp::DEFAULT_STEP => Err(EntryError::Period(period.get())),
        TokenType::Hotp { counter } if i64::try_from(counter).is_err() => Err(EntryError::Counter),
        _ => Ok(()),
    }
}

/// Encodes a token that was checked.
pub(super) fn encode(token: &OtpauthUri) -> Zeroizing<Vec<u8>> {
    let issuer = token.issuer().unwrap_or_default();
    let mut name = String::with_capacity(max_len(token));
    if !issuer.is_empty() {
        name.push_str(issuer);
        name.push(':');
    }
    name.push_str(token.account());
    let algorithm = match token.algorithm() {
        Algorithm::Sha1 => 1,
        Algorithm::Sha256 => 2,
        Algorithm::Sha512 => 3,
    };
    let digits = if token.digits() == Digits::EIGHT { 2 } else { 1 };
    let (token_type, counter) = match token.token_type() {
        TokenType::Hotp { counter } => (1, counter),
        TokenType::Totp { .. } => (2, 0),
    };
    let mut message = Zeroizing::new(Vec::with_capacity(max_len(token)));
    push_octets(&mut message, SECRET, token.key().as_bytes());
    push_octets(&mut message, NAME, name.as_bytes());
    push_octets(&mut message, ISSUER, issuer.as_bytes());
    push_integer(&mut message, ALGORITHM, algorithm);
    push_integer(&mut message, DIGITS, digits);
    push_integer(&mut message, TYPE, token_type);
    push_integer(&mut message, COUNTER, counter.cast_signed());
    message
}

/// Octets that the entry of a token has at most: its key, its account, its issuer twice, and the rest.
pub(super) fn max_len(token: &OtpauthUri) -> usize {
    let issuer = token.issuer().map_or(0, str::len);
    [
        token.key().as_bytes().len(),
        token.account().len(),
        issuer,
        issuer,
    ]
    .into_iter()
    .fold(OVERHEAD, usize::saturating_add)
}

/// Why an entry of an export is no token, or a token no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The entry is malformed: a field is cut off, of the wrong kind or twice there, or a name is no UTF-8.
    #[error("the entry is malformed")]
    Message,
    /// The algorithm is MD5.
    #[error("the algorithm MD5 is not supported")]
    Md5,
    /// An algorithm that the form does not know.
    #[error("the algorithm has the unknown number {0}")]
    Algorithm(u64),
    /// A number of digits that the form does not know.
    #[error("the digits have the unknown number {0}")]
    Digits(u64),
    /// A type of token that the form does not know.
    #[error("the type of the token has the unknown number {0}")]
    TokenType(u64),
    /// The counter is negative, or needs more than 63 bits.
    #[error("the counter is outside 0..=2^63-1")]
    Counter,
    /// The form has no word for seven digits.
    #[error("an export cannot tell seven digits")]
    SevenDigits,
    /// The form has no word for a period other than 30 s; this is the token's, in seconds.
    #[error("an export cannot tell a period of {0} s, only 30 s")]
    Period(u64),
    /// The key is unusable or missing.
    #[error("the key is unusable")]
    Key(#[from] KeyError),
    /// The account is missing or has control characters.
    #[error("the account is empty or has a control character")]
    Account,
    /// The issuer has a control character or a colon.
    #[error("the issuer has a control character or a colon")]
    Issuer,
}
