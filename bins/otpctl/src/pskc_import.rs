//! Tokens from PSKC key containers (RFC 6030), as manufacturers deliver them.
//!
//! A container is read whole or not at all, and every key that cannot be a token is reported with its line. The user is
//! the `UserId` of the key or of its device, of a distinguished name its `UID`, unless one is given. The label is the
//! `FriendlyName`, or else the serial number, where that is a label that no key before has.
//!
//! ```
//! # use otpctl::{csv_import::ShortKeys, pskc_import::{self, Options}};
//! let file = br#"<KeyContainer xmlns="urn:ietf:params:xml:ns:keyprov:pskc" Version="1.0">
//!   <KeyPackage><DeviceInfo><SerialNo>4711</SerialNo></DeviceInfo>
//!     <Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
//!       <AlgorithmParameters><ResponseFormat Encoding="DECIMAL" Length="6"/></AlgorithmParameters>
//!       <Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret></Data>
//!       <UserId>UID=alice,DC=example,DC=com</UserId>
//!     </Key></KeyPackage></KeyContainer>"#;
//! let options = Options { short_keys: ShortKeys::Refuse, ignore_signature: false, user: None, now: 1_700_000_000 };
//! let tokens = pskc_import::parse(file, None, &options).unwrap();
//! assert_eq!(tokens.rows[0].user.as_str(), "alice");
//! assert_eq!(tokens.rows[0].label.as_ref().unwrap().as_str(), "4711");
//! ```

use std::{collections::HashSet, fmt};

use otp_core::{HotpState, TokenKey, Totp, TotpState};
use otp_validation::{NameError, UserName};
use pskc::{
    Container, Credential, DateTime, Decoder, KeyPackage, KeySource, KeyUsage, PinUsageMode, Policy,
    Position, PskcError,
};

use crate::{
    Label,
    csv_import::{Kind, Row, ShortKeys},
    values::{LARGEST_COUNTER, LONGEST_PERIOD},
};

/// What the operator decides about a container.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to do with keys of less than 16 octets.
    pub short_keys: ShortKeys,
    /// Whether a signed container is read without verifying the signature.
    pub ignore_signature: bool,
    /// Whose all the tokens are, whatever the container says.
    pub user: Option<UserName>,
    /// The time, in seconds since the Unix epoch.
    pub now: u64,
}

/// What a container holds.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The tokens, in the order of the file.
    pub rows: Vec<Row>,
    /// How many of them have an `ExpiryDate`, and the earliest: tokens have no place for it.
    pub expiring: Option<(usize, DateTime)>,
}

/// One thing that is wrong with a container or with one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file is no container, or not one that can be read.
    #[error(transparent)]
    Container(#[from] PskcError),
    /// A key that cannot be a token.
    #[error("{at}, element Key: {problem}; {}", problem.remedy())]
    Key {
        /// Where its package begins.
        at: Position,
        /// Why it cannot.
        problem: Problem,
    },
}

impl ImportError {
    /// Where it is.
    pub fn position(&self) -> Position {
        match self {
            Self::Container(error) => error.at,
            Self::Key { at, .. } => *at,
        }
    }

    /// What is wrong, without place and remedy.
    pub fn problem(&self) -> &dyn fmt::Display {
        match self {
            Self::Container(error) => &error.problem,
            Self::Key { problem, .. } => problem,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Container(error) => error.problem.remedy(),
            Self::Key { problem, .. } => problem.remedy(),
        }
    }
}

/// Why a key cannot be a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither the key nor its device has a `UserId`.
    #[error("the key names no user")]
    NoUser,
    /// A distinguished name without `UID`.
    #[error("the UserId is a distinguished name without UID")]
    NoUid,
    /// A name that cannot be a user's.
    #[error("{0}")]
    User(NameError),
    /// A PIN.
    #[error("the key is a PIN")]
    Pin,
    /// The server would have to check a PIN.
    #[error("the policy wants a PIN that the server checks")]
    PinPolicy,
    /// The device appends a check digit.
    #[error("the device appends a check digit to its codes")]
    CheckDigit,
    /// The policy does not permit one-time passwords.
    #[error("the policy does not permit one-time passwords")]
    KeyUsage,
    /// The policy limits how often the key is used.
    #[error("the policy limits the number of transactions")]
    Transactions,
    /// The key is not valid any more.
    #[error("the key expired at {0}")]
    Expired(DateTime),
    /// The key is not valid yet.
    #[error("the key is not valid before {0}")]
    NotYetValid(DateTime),
    /// The counter leaves no room for another.
    #[error("the counter is too large")]
    Counter,
    /// A time step of more than a day.
    #[error("the time interval is longer than a day")]
    TimeInterval,
    /// The last time step that was used lies in the future.
    #[error("the time is later than now")]
    Time,
    /// A device whose clock is more than a day off.
    #[error("the clock of the device is more than a day off")]
    TimeDrift,
}

impl Problem {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoUser => "add <UserId>, or say --user",
            Self::NoUid => "write UID=…, or say --user",
            Self::User(_) => "write another name, or say --user",
            Self::Pin => "remove its package; give the user a password instead",
            Self::PinPolicy => "remove PINPolicy; give the user a password instead",
            Self::CheckDigit => "have the device set to codes without check digit",
            Self::KeyUsage => "ask for a key whose KeyUsage is OTP",
            Self::Transactions => "remove NumberOfTransactions",
            Self::Expired(_) => "remove its package",
            Self::NotYetValid(_) => "import it then",
            Self::Counter => "have a new key made",
            Self::TimeInterval => "write a number of seconds from 1 to 86400",
            Self::Time => "write the number of time intervals since 1970, or remove Time",
            Self::TimeDrift => "set the clock of the device, and remove TimeDrift",
        }
    }
}

/// Whether a file looks like XML: a CSV file never begins with `<`.
pub fn is_xml(file: &[u8]) -> bool {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    file.trim_ascii_start().first() == Some(&b'<')
}

/// Reads a container of tokens; `source` opens an encrypted one.
///
/// # Errors
///
/// Every key that is wrong, in the order of the file; alone what concerns all of them, for example that a passphrase is
/// needed.
pub fn parse(file: &[u8], source: Option<&KeySource>, options: &Options) -> Result<Tokens, Vec<ImportError>> {
    let mut decoder = Decoder::new();
    if options.short_keys == ShortKeys::DangerousAllow {
        decoder = decoder.dangerous_allow_short_keys();
    }
    if options.ignore_signature {
        decoder = decoder.dangerous_ignore_signature();
    }
    let container = decoder
        .decode_all(file, source)
        .map_err(|errors| errors.into_iter().map(ImportError::from).collect::<Vec<_>>())?;
    tokens(container, options)
}

fn tokens(container: Container, options: &Options) -> Result<Tokens, Vec<ImportError>> {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    let mut expiring: Option<(usize, DateTime)> = None;
    let mut names = HashSet::new();
    for package in container.keys {
        let at = package.position;
        let expiry = expiry_date(&package);
        match row(package, options) {
            Ok(mut row) => {
                // The serial number of a device with several keys names the first of them.
                row.label = row
                    .label
                    .filter(|label| names.insert((row.user.clone(), label.clone())));
                if let Some(date) = expiry {
                    let (count, earliest) = expiring.unwrap_or((0, date));
                    expiring = Some((count.saturating_add(1), earliest.min(date)));
                }
                rows.push(row);
            }
            Err(problem) => errors.push(ImportError::Key { at, problem }),
        }
    }
    if errors.is_empty() {
        Ok(Tokens { rows, expiring })
    } else {
        Err(errors)
    }
}

fn expiry_date(package: &KeyPackage) -> Option<DateTime> {
    let device = package.device.as_ref().and_then(|device| device.expiry_date);
    package.key.policy.expiry_date.into_iter().chain(device).min()
}

fn row(package: KeyPackage, options: &Options) -> Result<Row, Problem> {
    let user = user(&package, options)?;
    check_dates(&package, options.now)?;
    check_policy(&package.key.policy)?;
    if package.key.check_digit {
        return Err(Problem::CheckDigit);
    }
    let (key, kind) = kind(package.key.credential, options.now)?;
    let serial = package.device.and_then(|device| device.serial_no);
    let label = [package.key.friendly_name, serial]
        .into_iter()
        .flatten()
        .find_map(|text| text.parse::<Label>().ok());
    Ok(Row {
        line: package.position.line,
        user,
        label,
        key,
        kind,
    })
}

fn user(package: &KeyPackage, options: &Options) -> Result<UserName, Problem> {
    if let Some(user) = &options.user {
        return Ok(user.clone());
    }
    let device = package.device.as_ref().and_then(|device| device.user_id.as_ref());
    let text = package.key.user_id.as_ref().or(device).ok_or(Problem::NoUser)?;
    let name = if text.contains('=') {
        uid(text).ok_or(Problem::NoUid)?
    } else {
        text
    };
    UserName::parse(name.as_bytes()).map_err(Problem::User)
}

/// The `UID` of a distinguished name (RFC 4514) without escapes: an escaped name is none that a user types.
fn uid(name: &str) -> Option<&str> {
    if name.contains(['\\', '"']) {
        return None;
    }
    name.split([',', '+', ';']).find_map(|part| {
        let (kind, value) = part.split_once('=')?;
        kind.trim().eq_ignore_ascii_case("uid").then(|| value.trim())
    })
}

fn check_dates(package: &KeyPackage, now: u64) -> Result<(), Problem> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let device_start = package.device.as_ref().and_then(|device| device.start_date);
    let start = package
        .key
        .policy
        .start_date
        .into_iter()
        .chain(device_start)
        .max();
    if let Some(date) = start.filter(|date| date.unix_seconds() > now) {
        return Err(Problem::NotYetValid(date));
    }
    match expiry_date(package).filter(|date| date.unix_seconds() <= now) {
        Some(date) => Err(Problem::Expired(date)),
        None => Ok(()),
    }
}

fn check_policy(policy: &Policy) -> Result<(), Problem> {
    if !policy.permits(KeyUsage::Otp) {
        return Err(Problem::KeyUsage);
    }
    if policy.number_of_transactions.is_some() {
        return Err(Problem::Transactions);
    }
    // A PIN that the device checks is no concern of the server's.
    let mode = policy.pin.as_ref().map(|pin| pin.usage_mode);
    match mode {
        None | Some(Some(PinUsageMode::Local)) => Ok(()),
        Some(_) => Err(Problem::PinPolicy),
    }
}

fn kind(credential: Credential, now: u64) -> Result<(TokenKey, Kind), Problem> {
    match credential {
        Credential::Hotp {
            key,
            hotp,
            state: HotpState { next },
        } => {
            if next > LARGEST_COUNTER {
                return Err(Problem::Counter);
            }
            Ok((key, Kind::Hotp { hotp, counter: next }))
        }
        Credential::Totp { key, totp, state } => {
            check_totp(&totp, state, now)?;
            Ok((key, Kind::Totp { totp, state }))
        }
        // PINs, and whatever a later version of the crate knows.
        _ => Err(Problem::Pin),
    }
}

fn check_totp(totp: &Totp, state: TotpState, now: u64) -> Result<(), Problem> {
    let step = totp.step().get();
    if step > LONGEST_PERIOD {
        return Err(Problem::TimeInterval);
    }
    let steps_of_a_day = LONGEST_PERIOD.checked_div(step).unwrap_or(0);
    // A device may be ahead; a time that is later still would keep it out for good.
    let now = totp.time_step(now).map_or(0, u64::from);
    if state.next > now.saturating_add(steps_of_a_day) {
        return Err(Problem::Time);
    }
    if state.drift.unsigned_abs() > steps_of_a_day {
        return Err(Problem::TimeDrift);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
