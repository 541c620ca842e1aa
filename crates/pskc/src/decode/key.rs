//! `Key`: identifiers, algorithm parameters, policy (RFC 6030 §4.2, §4.3.4, §5).

use otp_core::{Algorithm, Digits, Hotp, HotpState, Totp, TotpState};

use super::data::Data;
use super::encryption::Opener;
use super::{Decoder, once, string};
use crate::container::{Credential, Key, Pin};
use crate::error::{KEY_ALGORITHM, SUITE, quote};
use crate::uri::KeyAlgorithm;
use crate::xml::Element;
use crate::{DateTime, KeyUsage, PinPolicy, PinUsageMode, Policy, Problem, PskcError, ValueFormat};

impl Decoder {
    pub(super) fn key(&self, element: &Element, opener: &Opener) -> Result<Key, PskcError> {
        let children = element.children(&["Id", "Algorithm"])?;
        let id = element
            .attribute("Id")
            .ok_or_else(|| element.error(Problem::Missing("Id")))?;
        let id = element.filled(id)?.to_owned();
        let algorithm = element
            .attribute("Algorithm")
            .ok_or_else(|| element.error(Problem::Missing("Algorithm")))?;
        let algorithm = KeyAlgorithm::read(algorithm).ok_or_else(|| {
            element.error(Problem::Algorithm {
                what: KEY_ALGORITHM,
                value: quote(algorithm),
            })
        })?;
        let (mut issuer, mut parameters, mut profile, mut reference) = (None, None, None, None);
        let (mut friendly_name, mut data, mut user_id, mut policy) = (None, None, None, None);
        for child in children {
            match child.name() {
                "Issuer" => once(&mut issuer, string(child)?, child)?,
                "AlgorithmParameters" => once(&mut parameters, Parameters::read(child, algorithm)?, child)?,
                "KeyProfileId" => once(&mut profile, string(child)?, child)?,
                "KeyReference" => once(&mut reference, string(child)?, child)?,
                "FriendlyName" => once(&mut friendly_name, string(child)?, child)?,
                "Data" => once(&mut data, Data::read(child, algorithm, opener)?, child)?,
                "UserId" => once(&mut user_id, string(child)?, child)?,
                "Policy" => once(&mut policy, read_policy(child)?, child)?,
                _ => return Err(child.unsupported()),
            }
        }
        // A key that is derived on both sides (RFC 6030, figure 4) has no Secret: there is nothing to take over.
        let data = data.ok_or_else(|| element.error(Problem::Missing("Data")))?;
        let parameters = parameters.unwrap_or_default();
        Ok(Key {
            id,
            issuer,
            key_profile_id: profile,
            key_reference: reference,
            friendly_name,
            credential: self.credential(element, algorithm, &parameters, &data)?,
            check_digit: parameters
                .response
                .as_ref()
                .is_some_and(|response| response.check_digit),
            user_id,
            policy: policy.unwrap_or_default(),
        })
    }

    fn credential(
        &self,
        element: &Element,
        algorithm: KeyAlgorithm,
        parameters: &Parameters,
        data: &Data<'_>,
    ) -> Result<Credential, PskcError> {
        if algorithm == KeyAlgorithm::Pin {
            let pin = Pin::new(data.secret()?).map_err(|_| element.error(Problem::Pin))?;
            let length = parameters.response.as_ref().map(|response| response.length);
            if length.is_some_and(|length| usize::try_from(length) != Ok(pin.as_bytes().len())) {
                return Err(element.error(Problem::Pin));
            }
            return Ok(Credential::Pin(pin));
        }
        // RFC 6030 §10.1: it MUST be there. A guess would make a token whose codes never match.
        let response = parameters.response.as_ref();
        let response = response.ok_or_else(|| element.error(Problem::Missing("ResponseFormat")))?;
        let digits = response.digits()?;
        let key = data.token_key(self.short_keys)?;
        let algorithm_of_mac = parameters.suite.unwrap_or_default();
        Ok(if algorithm == KeyAlgorithm::Hotp {
            Credential::Hotp {
                key,
                hotp: Hotp {
                    algorithm: algorithm_of_mac,
                    digits,
                },
                state: HotpState {
                    next: data.counter.unwrap_or_default(),
                },
            }
        } else {
            Credential::Totp {
                key,
                totp: Totp::default()
                    .with_algorithm(algorithm_of_mac)
                    .with_digits(digits)
                    .with_step(data.time_interval.unwrap_or(Totp::DEFAULT_STEP)),
                state: TotpState {
                    // `Time` fits 31 bits: the sum does not saturate.
                    next: data.time.map_or(0, |time| time.saturating_add(1)),
                    drift: data.time_drift.unwrap_or_default(),
                },
            }
        })
    }
}

/// `AlgorithmParameters` (RFC 6030 §4.3.4).
#[derive(Default)]
struct Parameters<'a> {
    suite: Option<Algorithm>,
    response: Option<ResponseFormat<'a>>,
}

struct ResponseFormat<'a> {
    element: &'a Element,
    length: u64,
    check_digit: bool,
}

impl ResponseFormat<'_> {
    fn digits(&self) -> Result<Digits, PskcError> {
        let digits = u8::try_from(self.length)
            .ok()
            .and_then(|length| Digits::try_from(length).ok());
        digits.ok_or_else(|| {
            self.element.error(Problem::Number {
                value: self.length.to_string(),
                min: Digits::SIX.get().into(),
                max: Digits::EIGHT.get().into(),
            })
        })
    }
}

impl<'a> Parameters<'a> {
    fn read(element: &'a Element, algorithm: KeyAlgorithm) -> Result<Self, PskcError> {
        let mut parameters = Self::default();
        for child in element.children(&[])? {
            match child.name() {
                "Suite" if algorithm == KeyAlgorithm::Pin => {
                    return Err(child.error(Problem::Inapplicable("a PIN")));
                }
                "Suite" => {
                    let text = child.text()?;
                    let suite = text.parse().map_err(|_| {
                        child.error(Problem::Algorithm {
                            what: SUITE,
                            value: quote(text),
                        })
                    })?;
                    once(&mut parameters.suite, suite, child)?;
                }
                "ResponseFormat" => once(&mut parameters.response, response_format(child)?, child)?,
                // Some writers put an empty one beside CheckDigits: it says nothing.
                "ChallengeFormat" if child.is_empty() => {}
                _ => return Err(child.unsupported()),
            }
        }
        Ok(parameters)
    }
}

fn response_format(element: &Element) -> Result<ResponseFormat<'_>, PskcError> {
    if let Some(child) = element.children(&["Encoding", "Length", "CheckDigits"])?.first() {
        return Err(child.unsupported());
    }
    match element.attribute("Encoding") {
        Some("DECIMAL") => {}
        Some(encoding) => return Err(element.error(Problem::Encoding(quote(encoding)))),
        None => return Err(element.error(Problem::Missing("Encoding"))),
    }
    let length = element
        .attribute("Length")
        .ok_or_else(|| element.error(Problem::Missing("Length")))?;
    let check_digit = match element.attribute("CheckDigits") {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(value) => {
            return Err(element.error(Problem::Value {
                value: quote(value),
                expected: "true and false",
            }));
        }
    };
    Ok(ResponseFormat {
        element,
        length: number(element, length, 1, 255)?,
        check_digit,
    })
}

/// `Policy` (RFC 6030 §5). What is unknown in it forbids the use of the key, and is refused.
fn read_policy(element: &Element) -> Result<Policy, PskcError> {
    let mut policy = Policy::default();
    for child in element.children(&[])? {
        match child.name() {
            "StartDate" => once(&mut policy.start_date, date(child)?, child)?,
            "ExpiryDate" => once(&mut policy.expiry_date, date(child)?, child)?,
            "PINPolicy" => once(&mut policy.pin, pin_policy(child)?, child)?,
            "KeyUsage" => policy.key_usage.push(value(
                child,
                child.text()?,
                KeyUsage::read,
                "OTP, CR, Encrypt, Integrity, Verify, Unlock, Decrypt, KeyWrap, Unwrap, Derive and Generate",
            )?),
            "NumberOfTransactions" => {
                let count = number(child, child.text()?, 0, i64::MAX)?;
                once(&mut policy.number_of_transactions, count, child)?;
            }
            _ => return Err(child.unsupported()),
        }
    }
    Ok(policy)
}

fn pin_policy(element: &Element) -> Result<PinPolicy, PskcError> {
    let known = [
        "PINKeyId",
        "PINUsageMode",
        "MaxFailedAttempts",
        "MinLength",
        "MaxLength",
        "PINEncoding",
    ];
    if let Some(child) = element.children(&known)?.first() {
        return Err(child.unsupported());
    }
    let count = |name| match element.attribute(name) {
        None => Ok(None),
        Some(text) => {
            let count: u64 = number(element, text, 0, u32::MAX.into())?;
            Ok(u32::try_from(count).ok())
        }
    };
    let mode = |text| {
        value(
            element,
            text,
            PinUsageMode::read,
            "Local, Prepend, Append and Algorithmic",
        )
    };
    let formats = "DECIMAL, HEXADECIMAL, ALPHANUMERIC, BASE64 and BINARY";
    let format = |text| value(element, text, ValueFormat::read, formats);
    Ok(PinPolicy {
        key_id: element.attribute("PINKeyId").map(str::to_owned),
        usage_mode: element.attribute("PINUsageMode").map(mode).transpose()?,
        max_failed_attempts: count("MaxFailedAttempts")?,
        min_length: count("MinLength")?,
        max_length: count("MaxLength")?,
        encoding: element.attribute("PINEncoding").map(format).transpose()?,
    })
}

fn value<T>(
    element: &Element,
    text: &str,
    read: impl FnOnce(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, PskcError> {
    read(text).ok_or_else(|| {
        element.error(Problem::Value {
            value: quote(text),
            expected,
        })
    })
}

pub(super) fn date(element: &Element) -> Result<DateTime, PskcError> {
    element.text()?.parse().map_err(|problem| element.error(problem))
}

/// A whole number from `min` to `max`: digits, and a sign where the range has negative numbers.
pub(super) fn number<T: TryFrom<i64>>(
    element: &Element,
    text: &str,
    min: i64,
    max: i64,
) -> Result<T, PskcError> {
    let magnitude = text.strip_prefix('-').filter(|_| min < 0).unwrap_or(text);
    let digits = !magnitude.is_empty() && magnitude.bytes().all(|octet| octet.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number
        .filter(|number| (min..=max).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            element.error(Problem::Number {
                value: quote(text),
                min,
                max,
            })
        })
}
