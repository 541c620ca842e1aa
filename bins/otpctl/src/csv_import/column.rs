//! The columns and the header line that names them.

use std::fmt;

use csv::ByteRecord;

use super::{LineError, Problem};

/// A column of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The user's name; needed.
    User,
    /// The token's name among the user's; default `totp` or `hotp`.
    Label,
    /// `totp` (the default) or `hotp`.
    Type,
    /// The key; needed.
    Secret,
    /// `SHA1` (the default), `SHA256` or `SHA512`.
    Algorithm,
    /// 6 (the default), 7 or 8.
    Digits,
    /// Seconds of a time step, default 30; TOTP only.
    Period,
    /// The next counter, default 0; HOTP only.
    Counter,
}

impl Column {
    /// Every column, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Label,
        Self::Type,
        Self::Secret,
        Self::Algorithm,
        Self::Digits,
        Self::Period,
        Self::Counter,
    ];

    /// The name in the header line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Label => "label",
            Self::Type => "type",
            Self::Secret => "secret",
            Self::Algorithm => "algorithm",
            Self::Digits => "digits",
            Self::Period => "period",
            Self::Counter => "counter",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|column| name.eq_ignore_ascii_case(column.name().as_bytes()))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which field of a line is which column.
#[derive(Debug)]
pub(super) struct Header {
    columns: Vec<Column>,
}

impl Header {
    /// Reads the first line of a file; a column nobody knows is an error, because a misspelt one would silently be
    /// replaced by defaults.
    pub(super) fn read(record: &ByteRecord, line: u64) -> Result<Self, Vec<LineError>> {
        let known = record
            .iter()
            .any(|name| Column::from_name(name.trim_ascii()).is_some());
        if !known {
            let separator = [b';', b'\t']
                .into_iter()
                .find(|separator| record.as_slice().contains(separator));
            let problem = separator.map_or(Problem::NoHeader, |found| Problem::Separator {
                found: char::from(found),
            });
            return Err(vec![LineError::whole(line, problem)]);
        }
        let mut columns = Vec::with_capacity(record.len());
        let mut errors = Vec::new();
        for name in record {
            match Column::from_name(name.trim_ascii()) {
                Some(column) if columns.contains(&column) => {
                    errors.push(LineError::new(line, column, Problem::RepeatedColumn));
                }
                Some(column) => columns.push(column),
                None => errors.push(LineError::whole(
                    line,
                    Problem::UnknownColumn(Problem::quote(name)),
                )),
            }
        }
        for column in [Column::User, Column::Secret] {
            if !columns.contains(&column) {
                errors.push(LineError::new(line, column, Problem::MissingColumn));
            }
        }
        if errors.is_empty() {
            Ok(Self { columns })
        } else {
            Err(errors)
        }
    }

    /// Number of fields of every line.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The value of `column` without the blanks around it; `None` if it is missing or empty.
    pub(super) fn value<'a>(&self, record: &'a ByteRecord, column: Column) -> Option<&'a [u8]> {
        let index = self.columns.iter().position(|candidate| *candidate == column)?;
        record
            .get(index)
            .map(<[u8]>::trim_ascii)
            .filter(|value| !value.is_empty())
    }
}
