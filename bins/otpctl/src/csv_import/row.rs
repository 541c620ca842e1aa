//! One token of a file.

use std::{num::NonZeroU64, str};

use csv::ByteRecord;
use otp_core::{Algorithm, Digits, Hotp, TokenKey, Totp, TotpState};
use otp_validation::UserName;

use super::{Column, LineError, Problem, ShortKeys, column::Header};
use crate::{
    Label, secret,
    values::{LARGEST_COUNTER, period},
};

/// One token to be imported.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line that it stands in.
    pub line: u64,
    /// Whose it is.
    pub user: UserName,
    /// What it is called; `None` for the default, `totp` or `hotp`.
    pub label: Option<Label>,
    /// Its key.
    pub key: TokenKey,
    /// What turns the key into codes.
    pub kind: Kind,
}

/// The algorithm of a token, with the state that a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Time based (RFC 6238).
    Totp {
        /// Hash, digits and time step.
        totp: Totp,
        /// The smallest step that may be accepted, and how far the device is ahead.
        state: TotpState,
    },
    /// Event based (RFC 4226).
    Hotp {
        /// Hash and digits.
        hotp: Hotp,
        /// The next counter.
        counter: u64,
    },
}

/// Reads one line; whatever is wrong with it goes to `errors`, one entry a value.
pub(super) fn read(
    header: &Header,
    record: &ByteRecord,
    line: u64,
    short_keys: ShortKeys,
    errors: &mut Vec<LineError>,
) -> Option<Row> {
    let mut reader = Reader {
        header,
        record,
        line,
        errors,
    };
    let user = reader.needed(Column::User, |value| {
        UserName::parse(value).map_err(Problem::User)
    });
    let label = reader.text(Column::Label, |value| value.parse().map_err(Problem::Label));
    let is_hotp = reader.text(Column::Type, |value| match value.to_ascii_lowercase().as_str() {
        "totp" => Ok(false),
        "hotp" => Ok(true),
        _ => Err(Problem::Type(Problem::quote(value.as_bytes()))),
    });
    let key = reader.needed(Column::Secret, |value| {
        let text = str::from_utf8(value).map_err(|_| Problem::NotUtf8)?;
        secret::parse(text, short_keys == ShortKeys::DangerousAllow).map_err(Problem::Secret)
    });
    let algorithm = reader.text(Column::Algorithm, |value| {
        value
            .parse()
            .map_err(|_| Problem::Algorithm(Problem::quote(value.as_bytes())))
    });
    let digits = reader.text(Column::Digits, |value| {
        number(value)
            .and_then(|number| u8::try_from(number).ok())
            .and_then(|number| Digits::try_from(number).ok())
            .ok_or_else(|| Problem::Digits(Problem::quote(value.as_bytes())))
    });
    let step = reader.text(Column::Period, |value| {
        number(value)
            .and_then(period)
            .ok_or_else(|| Problem::Period(Problem::quote(value.as_bytes())))
    });
    let counter = reader.text(Column::Counter, |value| {
        number(value)
            .filter(|counter| *counter <= LARGEST_COUNTER)
            .ok_or_else(|| Problem::Counter(Problem::quote(value.as_bytes())))
    });
    // What belongs to the other type is an error only where the type itself was understood.
    let kind = match is_hotp {
        Ok(Some(true)) => reader
            .absent(Column::Period, "hotp")
            .and(combine_hotp(algorithm, digits, counter)),
        Ok(Some(false) | None) => reader
            .absent(Column::Counter, "totp")
            .and(combine_totp(algorithm, digits, step)),
        Err(Reported) => Err(Reported),
    };
    match (user, label, key, kind) {
        (Ok(user), Ok(label), Ok(key), Ok(kind)) => Some(Row {
            line,
            user,
            label,
            key,
            kind,
        }),
        _ => None,
    }
}

fn combine_hotp(
    algorithm: Result<Option<Algorithm>, Reported>,
    digits: Result<Option<Digits>, Reported>,
    counter: Result<Option<u64>, Reported>,
) -> Result<Kind, Reported> {
    let hotp = Hotp {
        algorithm: algorithm?.unwrap_or_default(),
        digits: digits?.unwrap_or_default(),
    };
    Ok(Kind::Hotp {
        hotp,
        counter: counter?.unwrap_or_default(),
    })
}

fn combine_totp(
    algorithm: Result<Option<Algorithm>, Reported>,
    digits: Result<Option<Digits>, Reported>,
    step: Result<Option<NonZeroU64>, Reported>,
) -> Result<Kind, Reported> {
    let totp = Totp::default()
        .with_algorithm(algorithm?.unwrap_or_default())
        .with_digits(digits?.unwrap_or_default())
        .with_step(step?.unwrap_or(Totp::DEFAULT_STEP));
    Ok(Kind::Totp {
        totp,
        state: TotpState::default(),
    })
}

/// Digits and nothing else: no sign, no blank.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|octet| octet.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// What was wrong is among the errors already.
#[derive(Clone, Copy, Debug)]
struct Reported;

struct Reader<'a> {
    header: &'a Header,
    record: &'a ByteRecord,
    line: u64,
    errors: &'a mut Vec<LineError>,
}

impl Reader<'_> {
    fn report(&mut self, column: Column, problem: Problem) -> Reported {
        self.errors.push(LineError::new(self.line, column, problem));
        Reported
    }

    fn needed<T>(
        &mut self,
        column: Column,
        read: impl FnOnce(&[u8]) -> Result<T, Problem>,
    ) -> Result<T, Reported> {
        let value = self.header.value(self.record, column).ok_or(Problem::Missing);
        value
            .and_then(read)
            .map_err(|problem| self.report(column, problem))
    }

    fn text<T>(
        &mut self,
        column: Column,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Option<T>, Reported> {
        let Some(value) = self.header.value(self.record, column) else {
            return Ok(None);
        };
        let text = str::from_utf8(value).map_err(|_| Problem::NotUtf8);
        text.and_then(read)
            .map(Some)
            .map_err(|problem| self.report(column, problem))
    }

    fn absent(&mut self, column: Column, kind: &'static str) -> Result<(), Reported> {
        match self.header.value(self.record, column) {
            None => Ok(()),
            Some(_) => Err(self.report(column, Problem::Inapplicable(kind))),
        }
    }
}
