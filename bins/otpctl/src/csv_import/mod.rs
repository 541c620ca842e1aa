//! Tokens from CSV: `user,label,type,secret,algorithm,digits,period,counter`.
//!
//! The first line names the columns, in any order. `user` and `secret` are needed; every other column may be missing or
//! empty, which stands for the default. Blanks around a value do not count. Secrets are base32, or hexadecimal after
//! `hex:`; `counter` is the next counter of an HOTP token.
//!
//! A file is read whole or not at all, and every line that is wrong is reported, not only the first:
//!
//! ```
//! # use otpctl::csv_import::{self, ShortKeys};
//! let errors = csv_import::parse(b"user,secret,digits\nalice,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,9\nbob,,", ShortKeys::Refuse)
//!     .unwrap_err();
//! assert_eq!(errors.len(), 2);
//! assert_eq!(errors[0].to_string(), r#"line 2, column "digits": the value "9" is not a number of digits; write 6, 7 or 8"#);
//! assert_eq!(errors[1].to_string(), r#"line 3, column "secret": the value is missing; every line needs a user and a secret"#);
//! ```

mod column;
mod error;
mod row;

use std::collections::HashMap;

use csv::{ByteRecord, ReaderBuilder};
use otp_validation::UserName;

pub use column::Column;
pub use error::{LineError, Problem};
pub use row::{Kind, Row};

use column::Header;

use crate::Label;

/// What to do with keys of less than 16 octets (RFC 4226 §4 R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortKeys {
    /// They are errors.
    Refuse,
    /// They are taken, because the devices that hold them cannot be replaced yet.
    DangerousAllow,
}

/// Reads a file of tokens.
///
/// # Errors
///
/// Every line that is wrong, in the order of the file.
pub fn parse(file: &[u8], short_keys: ShortKeys) -> Result<Vec<Row>, Vec<LineError>> {
    // Spreadsheets put a byte order mark in front of UTF-8.
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut reader = Reader::new(file);

    if !reader.next()? {
        return Err(vec![LineError::whole(1, Problem::Empty)]);
    }
    let header = Header::read(&reader.record, reader.line)?;

    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let mut names: HashMap<(UserName, Label), u64> = HashMap::new();
    while reader.next()? {
        let (record, line) = (&reader.record, reader.line);
        if record.len() != header.len() {
            errors.push(LineError::whole(
                line,
                Problem::Fields {
                    found: record.len(),
                    expected: header.len(),
                },
            ));
            continue;
        }
        let Some(row) = row::read(&header, record, line, short_keys, &mut errors) else {
            continue;
        };
        if let Some(label) = &row.label
            && let Some(first) = names.insert((row.user.clone(), label.clone()), line)
        {
            errors.push(LineError::new(line, Column::Label, Problem::Repeated { first }));
        }
        rows.push(row);
    }
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

/// Reads records and knows the line in which each begins.
struct Reader<'a> {
    csv: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    /// Where the record begins, counted from 1 as editors count.
    line: u64,
    /// What has not been counted yet.
    rest: &'a [u8],
    /// How much has.
    counted: u64,
}

impl<'a> Reader<'a> {
    fn new(file: &'a [u8]) -> Self {
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(file);
        Self {
            csv,
            record: ByteRecord::new(),
            line: 1,
            rest: file,
            counted: 0,
        }
    }

    /// Goes to the next record; empty lines are no records.
    fn next(&mut self) -> Result<bool, Vec<LineError>> {
        // Octets in memory can always be read, and records of any shape were asked for.
        let read = self.csv.read_byte_record(&mut self.record);
        let read = read.map_err(|_| vec![LineError::whole(self.line, Problem::Unreadable)])?;
        if read {
            self.count_lines();
        }
        Ok(read)
    }

    /// The position of a record is where the one before it ended: empty lines may lie between, and the second half of
    /// a line end.
    fn count_lines(&mut self) {
        let start = self.record.position().map_or(0, csv::Position::byte);
        while let Some((octet, rest)) = self.rest.split_first() {
            if self.counted >= start && !matches!(octet, b'\r' | b'\n') {
                break;
            }
            let half = *octet == b'\r' && rest.first() == Some(&b'\n');
            if matches!(octet, b'\r' | b'\n') && !half {
                self.line = self.line.saturating_add(1);
            }
            self.counted = self.counted.saturating_add(1);
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests;
