//! The reading side.

use alloc::string::String;
use core::str::FromStr;

use zeroize::Zeroizing;

use super::percent::{self, Plus};
use super::{MAX_URI_LEN, OtpauthUri, TokenType, UriError};
use crate::{Algorithm, Digits, KeyError, TokenKey, Totp, base32};

const SCHEME: &str = "otpauth://";

pub(super) fn parse(
    uri: &str,
    to_key: impl FnOnce(&[u8]) -> Result<TokenKey, KeyError>,
) -> Result<OtpauthUri, UriError> {
    if uri.len() > MAX_URI_LEN {
        return Err(UriError::TooLong);
    }
    let rest = match uri.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => return Err(foreign_scheme(uri)),
    };
    if rest.contains('#') {
        return Err(UriError::Fragment);
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (kind, label) = path.split_once('/').unwrap_or((path, ""));
    let parameters = Parameters::parse(query)?;

    let token_type = if kind.eq_ignore_ascii_case("totp") {
        TokenType::Totp {
            period: number("period", parameters.period)?.unwrap_or(Totp::DEFAULT_STEP),
        }
    } else if kind.eq_ignore_ascii_case("hotp") {
        TokenType::Hotp {
            counter: number("counter", parameters.counter)?.unwrap_or_default(),
        }
    } else {
        return Err(named(kind, &VENDORS).map_or(UriError::TokenType, UriError::Vendor));
    };
    let algorithm = match parameters.algorithm {
        Some(name) => Algorithm::from_str(&name).map_err(|_| foreign_algorithm(&name))?,
        None => Algorithm::default(),
    };
    let digits = match number::<u8>("digits", parameters.digits)? {
        Some(digits) => Digits::try_from(digits).map_err(|error| UriError::Digits(error.0))?,
        None => Digits::default(),
    };
    let secret = parameters.secret.ok_or(UriError::MissingSecret)?;
    let key = to_key(&base32::decode(&secret).map_err(KeyError::Base32)?)?;

    let label = percent::decode(label, Plus::Literal)?;
    let issuer = parameters.issuer.as_deref().map(String::as_str);
    OtpauthUri::from_label(issuer, &label, key, algorithm, digits, token_type)
}

/// Types of token that are not RFC 4226's or RFC 6238's.
const VENDORS: [&str; 3] = ["steam", "yaotp", "motp"];

/// The one of `names` that is spelled so, in any case.
fn named(text: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().copied().find(|name| name.eq_ignore_ascii_case(text))
}

fn foreign_scheme(uri: &str) -> UriError {
    match uri.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("otpauth-migration") => UriError::Migration,
        Some((scheme, _)) => named(scheme, &VENDORS).map_or(UriError::Scheme, UriError::Vendor),
        None => UriError::Scheme,
    }
}

fn foreign_algorithm(name: &str) -> UriError {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    // The longest name, with HMAC before it, has ten letters.
    let mut text = [0; 10];
    if letters.clone().count() > text.len() {
        return UriError::Value("algorithm");
    }
    text.iter_mut()
        .zip(letters)
        .for_each(|(to, from)| *to = from.to_ascii_uppercase());
    let text = core::str::from_utf8(&text)
        .unwrap_or_default()
        .trim_end_matches('\0');
    let bare = text.strip_prefix("HMAC").unwrap_or(text);
    named(bare, &["SHA224", "SHA384", "MD5"]).map_or(UriError::Value("algorithm"), UriError::Algorithm)
}

/// The values of the known parameters, decoded; each is wiped, for a key may stand in the wrong one.
#[derive(Default)]
struct Parameters {
    secret: Option<Zeroizing<String>>,
    issuer: Option<Zeroizing<String>>,
    algorithm: Option<Zeroizing<String>>,
    digits: Option<Zeroizing<String>>,
    period: Option<Zeroizing<String>>,
    counter: Option<Zeroizing<String>>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, UriError> {
        let mut parameters = Self::default();
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let Some((name, slot)) = parameters.slot(name) else {
                continue;
            };
            // Two keys, of which each app takes another, are no token.
            if slot.is_some() {
                return Err(UriError::Duplicate(name));
            }
            *slot = Some(percent::decode(value, Plus::Space)?);
        }
        Ok(parameters)
    }

    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut Option<Zeroizing<String>>)> {
        [
            ("secret", &mut self.secret),
            ("issuer", &mut self.issuer),
            ("algorithm", &mut self.algorithm),
            ("digits", &mut self.digits),
            ("period", &mut self.period),
            ("counter", &mut self.counter),
        ]
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

/// Reads ASCII digits alone: `FromStr` would take a leading `+` as well.
fn number<T: FromStr>(name: &'static str, value: Option<Zeroizing<String>>) -> Result<Option<T>, UriError> {
    let Some(value) = value else { return Ok(None) };
    if !value.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(UriError::Value(name));
    }
    value.parse().map(Some).map_err(|_| UriError::Value(name))
}
