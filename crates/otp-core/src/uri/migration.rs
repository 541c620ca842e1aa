//! `otpauth-migration://` URIs: the export of a whole authenticator app, as QR codes.
//!
//! ```text
//! otpauth-migration://offline?data=BASE64
//! ```
//!
//! The data are a Protocol Buffers message with one entry for each token. An export that does not fit into one
//! QR code is a [`Batch`] of several; each is read on its own, and whoever joins them compares the batches. The
//! form has no word for a period other than 30 s, nor for seven digits.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::percent::{self, Plus};
use super::protobuf::{Fields, Malformed, Value, push_integer, push_octets};
use super::{OtpauthUri, UriError};
use crate::{KeyError, TokenKey};

mod entry;

pub use entry::EntryError;

/// Octets of the longest URI that is read and written; a QR code holds less than 4296.
pub const MAX_URI_LEN: usize = 16_384;

const SCHEME: &str = "otpauth-migration://";
const HOST: &str = "offline";
/// Field numbers of the message.
const ENTRY: u64 = 1;
const VERSION: u64 = 2;
const BATCH_SIZE: u64 = 3;
const BATCH_INDEX: u64 = 4;
const BATCH_ID: u64 = 5;

/// Which part of an export a URI is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// How many URIs the export has.
    pub size: u32,
    /// Which of them this is, counted from 0.
    pub index: u32,
    /// A number that all URIs of the export have in common.
    pub id: i32,
}

impl Default for Batch {
    /// The only URI of its export.
    fn default() -> Self {
        Self {
            size: 1,
            index: 0,
            id: 0,
        }
    }
}

/// What an `otpauth-migration://` URI says: the tokens of an app.
///
/// ```
/// # use otp_core::uri::migration::{Batch, Migration};
/// # use otp_core::{OtpauthUri, TokenKey, Totp};
/// let key = TokenKey::from(*b"12345678901234567890");
/// let token = OtpauthUri::totp(Some("Example"), "alice", key, &Totp::default())?;
/// let uri = Migration::new(vec![token], Batch::default())?.to_uri();
/// let read = Migration::parse(&uri)?;
/// assert_eq!(read.tokens()[0].account(), "alice");
/// assert_eq!(read.batch(), Batch { size: 1, index: 0, id: 0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Migration {
    tokens: Vec<OtpauthUri>,
    batch: Batch,
}

impl Migration {
    /// Describes an export.
    ///
    /// # Errors
    ///
    /// - [`MigrationError::Entry`] with the first token that the form cannot tell: seven digits, a period other
    ///   than 30 s, a counter of more than 63 bits;
    /// - [`MigrationError::Batch`] if the index is not below the size, or either does not fit into 31 bits;
    /// - [`MigrationError::TooLong`] if the URI would be longer than [`MAX_URI_LEN`].
    pub fn new(tokens: Vec<OtpauthUri>, batch: Batch) -> Result<Self, MigrationError> {
        let fits = i32::try_from(batch.size).is_ok();
        if !fits || batch.index >= batch.size {
            return Err(MigrationError::Batch);
        }
        for (token, number) in tokens.iter().zip(1..) {
            entry::check(token).map_err(|error| MigrationError::Entry { number, error })?;
        }
        let migration = Self { tokens, batch };
        if migration.to_uri().len() > MAX_URI_LEN {
            return Err(MigrationError::TooLong);
        }
        Ok(migration)
    }

    /// Reads a URI. One entry that is not understood refuses the whole: a token that is missing without a word
    /// locks a user out.
    ///
    /// What an entry leaves unspecified has the default of the apps: SHA-1, 6 digits, TOTP, counter 0. A name
    /// `issuer:account` is split as the label of an `otpauth://` URI. Unknown fields are ignored.
    ///
    /// # Errors
    ///
    /// A [`MigrationError`].
    pub fn parse(uri: &str) -> Result<Self, MigrationError> {
        parse(uri, TokenKey::new)
    }

    /// Reads a URI whose keys may be shorter than 128 bits, for tokens that exist already.
    ///
    /// # Errors
    ///
    /// As for [`Migration::parse`].
    pub fn dangerous_parse_allow_short(uri: &str) -> Result<Self, MigrationError> {
        parse(uri, TokenKey::dangerous_allow_short)
    }

    /// The tokens, in the order of the export.
    #[must_use]
    pub fn tokens(&self) -> &[OtpauthUri] {
        &self.tokens
    }

    /// The tokens, without the export around them.
    #[must_use]
    pub fn into_tokens(self) -> Vec<OtpauthUri> {
        self.tokens
    }

    /// Which part of an export this is.
    #[must_use]
    pub fn batch(&self) -> Batch {
        self.batch
    }

    /// Writes the URI, padding included.
    #[must_use]
    pub fn to_uri(&self) -> Zeroizing<String> {
        // Sized in advance: a buffer that grew would leave keys behind in freed memory.
        let capacity = self.tokens.iter().map(entry::max_len).sum::<usize>();
        let mut message = Zeroizing::new(Vec::with_capacity(capacity.saturating_add(64)));
        for token in &self.tokens {
            push_octets(&mut message, ENTRY, &entry::encode(token));
        }
        push_integer(&mut message, VERSION, 1);
        push_integer(&mut message, BATCH_SIZE, self.batch.size.into());
        push_integer(&mut message, BATCH_INDEX, self.batch.index.into());
        push_integer(&mut message, BATCH_ID, self.batch.id.into());

        let data = Zeroizing::new(Base64::encode_string(&message));
        let mut uri = Zeroizing::new(String::with_capacity(
            data.len().saturating_mul(3).saturating_add(64),
        ));
        uri.push_str(SCHEME);
        uri.push_str(HOST);
        uri.push_str("?data=");
        percent::encode(&data, &mut uri);
        uri
    }
}

type ToKey = fn(&[u8]) -> Result<TokenKey, KeyError>;

fn parse(uri: &str, to_key: ToKey) -> Result<Migration, MigrationError> {
    if uri.len() > MAX_URI_LEN {
        return Err(MigrationError::TooLong);
    }
    let rest = match uri.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => return Err(MigrationError::Scheme),
    };
    let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !host.trim_end_matches('/').eq_ignore_ascii_case(HOST) {
        return Err(MigrationError::Scheme);
    }
    let mut data = None;
    for parameter in query.split('&') {
        if let Some(("data", value)) = parameter.split_once('=')
            && data.replace(value).is_some()
        {
            return Err(MigrationError::Data);
        }
    }
    message(&decode(data.ok_or(MigrationError::Data)?)?, to_key)
}

/// Percent-encoding, then base64 with its padding or without.
fn decode(data: &str) -> Result<Zeroizing<Vec<u8>>, MigrationError> {
    // A `+` is a symbol of base64, not a space.
    let text = percent::decode(data, Plus::Literal).map_err(|_: UriError| MigrationError::Data)?;
    let symbols = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(symbols.len());
    if padding != 0 && (padding > 2 || text.len() % 4 != 0) {
        return Err(MigrationError::Data);
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(symbols.len()));
    octets.resize(symbols.len(), 0);
    let len = Base64Unpadded::decode(symbols, &mut octets)
        .map_err(|_| MigrationError::Data)?
        .len();
    octets.truncate(len);
    Ok(octets)
}

fn message(message: &[u8], to_key: ToKey) -> Result<Migration, MigrationError> {
    let mut tokens = Vec::new();
    let (mut size, mut index, mut id) = (None, None, None);
    for field in Fields::of(message) {
        match field? {
            (ENTRY, Value::Octets(octets)) => {
                let number = tokens.len().saturating_add(1);
                let token = entry::decode(octets, to_key);
                tokens.push(token.map_err(|error| MigrationError::Entry { number, error })?);
            }
            (BATCH_SIZE, Value::Varint(value)) => size = Some(int32(value)?),
            (BATCH_INDEX, Value::Varint(value)) => index = Some(int32(value)?),
            (BATCH_ID, Value::Varint(value)) => id = Some(int32(value)?),
            (ENTRY | BATCH_SIZE | BATCH_INDEX | BATCH_ID, _) => return Err(MigrationError::Message),
            _ => {}
        }
    }
    let batch = Batch {
        size: u32::try_from(size.unwrap_or(1)).map_err(|_| MigrationError::Batch)?,
        index: u32::try_from(index.unwrap_or(0)).map_err(|_| MigrationError::Batch)?,
        id: id.unwrap_or(0),
    };
    if batch.index >= batch.size {
        return Err(MigrationError::Batch);
    }
    Ok(Migration { tokens, batch })
}

/// An `int32`, whose sign is extended to 64 bits.
fn int32(value: u64) -> Result<i32, MigrationError> {
    i32::try_from(value.cast_signed()).map_err(|_| MigrationError::Message)
}

/// Why a text is no `otpauth-migration://` URI, or tokens have none. Numbers and names only: the URI is a
/// secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// More than [`MAX_URI_LEN`] octets.
    #[error("the URI is longer than {MAX_URI_LEN} octets")]
    TooLong,
    /// It does not begin with `otpauth-migration://offline`.
    #[error("the URI does not begin with otpauth-migration://offline")]
    Scheme,
    /// There is not exactly one parameter `data` in percent-encoded base64 (RFC 4648 §4).
    #[error("the parameter data is missing, twice there, or not base64")]
    Data,
    /// The data are no message of this kind: the QR code was not read to its end, or is of something else.
    #[error("the data are no export of an app")]
    Message,
    /// The place in the batch is outside of the batch.
    #[error("the number of the URI is not below the number of URIs of the export")]
    Batch,
    /// A token cannot be taken over.
    #[error("entry {number} of the export")]
    Entry {
        /// Which entry, counted from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        error: EntryError,
    },
}

impl From<Malformed> for MigrationError {
    fn from(Malformed: Malformed) -> Self {
        Self::Message
    }
}
