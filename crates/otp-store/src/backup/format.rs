//! Frames and values, written and read with a MAC over all of them.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    backup::BackupError,
    seal::SealKey,
    sql::{Column, Value},
};

/// What a backup begins with, before the number of its format and a newline.
const MAGIC: &[u8] = b"otp-backup-";
/// The first line of this format.
const FIRST_LINE: &[u8] = b"otp-backup-4\n";
const FORMAT: u32 = 4;
/// Much longer than any row.
const LONGEST: usize = 1 << 20;
const MAC_LEN: usize = 32;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FrameKind {
    Header,
    User,
    Replay,
    Token,
    Client,
    Lockout,
    Rule,
    End,
}

impl FrameKind {
    const ALL: [(Self, u8); 8] = [
        (Self::Header, b'H'),
        (Self::User, b'U'),
        (Self::Replay, b'R'),
        (Self::Token, b'T'),
        (Self::Client, b'C'),
        (Self::Lockout, b'L'),
        (Self::Rule, b'A'),
        (Self::End, b'E'),
    ];

    fn octet(self) -> u8 {
        Self::ALL
            .into_iter()
            .find(|(kind, _)| *kind == self)
            .map_or(0, |(_, octet)| octet)
    }

    fn of(octet: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| *known == octet)
            .map(|(kind, _)| kind)
    }
}

/// A value that a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Null,
    Integer(i64),
    Text(String),
    Octets(Vec<u8>),
}

impl Held {
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::Octets(octets) => Some(octets),
            _ => None,
        }
    }

    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text),
            Self::Octets(octets) => Value::Octets(octets),
        }
    }
}

impl Column for Held {
    fn read(value: Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Octets(octets) => Self::Octets(octets.to_vec()),
        })
    }
}

fn encode(values: &[Held]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut variable = |tag: u8, value: &[u8]| {
        octets.push(tag);
        octets.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        octets.extend(value);
    };
    for value in values {
        match value {
            Held::Text(text) => variable(2, text.as_bytes()),
            Held::Octets(value) => variable(3, value),
            // Of one length each, but written alike: a reader needs one rule.
            Held::Null => variable(0, &[]),
            Held::Integer(number) => variable(1, &number.to_be_bytes()),
        }
    }
    octets
}

fn decode(mut octets: &[u8]) -> Option<Vec<Held>> {
    let mut values = Vec::new();
    while let Some(([tag, length @ ..], rest)) = octets.split_first_chunk::<5>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        values.push(match (tag, value) {
            (0, []) => Held::Null,
            (1, number) => Held::Integer(i64::from_be_bytes(number.try_into().ok()?)),
            (2, text) => Held::Text(String::from_utf8(text.to_vec()).ok()?),
            (3, octets) => Held::Octets(octets.to_vec()),
            _ => return None,
        });
        octets = rest;
    }
    octets.is_empty().then_some(values)
}

fn mac_of(key: &SealKey) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    Hmac::new_from_slice(&*key.backup_key()).expect("any length is a key")
}

/// Writes frames.
pub(super) struct Writer<W> {
    out: W,
    mac: Hmac<Sha256>,
}

impl<W: Write> Writer<W> {
    /// Begins a backup under `key`.
    pub(super) fn begin(out: W, key: &SealKey) -> Result<Self, BackupError> {
        let mut writer = Self {
            out,
            mac: mac_of(key),
        };
        writer.put(FIRST_LINE)?;
        Ok(writer)
    }

    pub(super) fn frame(&mut self, kind: FrameKind, values: &[Held]) -> Result<(), BackupError> {
        let payload = encode(values);
        self.head(kind, payload.len())?;
        self.put(&payload)
    }

    /// Writes the MAC; what was written is handed to the operating system.
    pub(super) fn end(mut self) -> Result<(), BackupError> {
        self.head(FrameKind::End, MAC_LEN)?;
        let tag = self.mac.finalize().into_bytes();
        self.out
            .write_all(&tag)
            .and_then(|()| self.out.flush())
            .map_err(cannot_write)
    }

    fn head(&mut self, kind: FrameKind, length: usize) -> Result<(), BackupError> {
        let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        self.put(&[kind.octet(), a, b, c, d])
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), BackupError> {
        self.mac.update(octets);
        self.out.write_all(octets).map_err(cannot_write)
    }
}

fn cannot_write(error: io::Error) -> BackupError {
    BackupError::Write(Arc::new(error))
}

/// Reads frames; what they hold is to be believed after the last one alone.
pub(super) struct Reader<R> {
    input: R,
    /// `None` before the key is known.
    mac: Option<Hmac<Sha256>>,
    /// What was read before the key was known.
    early: Vec<u8>,
    offset: u64,
    last: FrameKind,
    /// The number of the format.
    format: u32,
}

/// A frame that is no end.
pub(super) type Frame = (FrameKind, Vec<Held>);

impl<R: Read> Reader<R> {
    /// Reads the first line and the header.
    pub(super) fn begin(input: R) -> Result<(Self, Vec<Held>), BackupError> {
        let mut reader = Self {
            input,
            mac: None,
            early: Vec::new(),
            offset: 0,
            last: FrameKind::Header,
            format: FORMAT,
        };
        reader.first_line()?;
        match reader.read_frame()? {
            (FrameKind::Header, payload) => {
                let header = decode(&payload).ok_or_else(|| reader.malformed())?;
                Ok((reader, header))
            }
            _ => Err(reader.malformed()),
        }
    }

    /// Goes on, now that the header has named the key.
    pub(super) fn with_key(mut self, key: &SealKey) -> Self {
        let mut mac = mac_of(key);
        mac.update(&std::mem::take(&mut self.early));
        self.mac = Some(mac);
        self
    }

    /// The next frame; `None` at the end, when the MAC is right and nothing follows.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, BackupError> {
        let before = self.mac.clone();
        let (kind, payload) = self.read_frame()?;
        if kind == FrameKind::Header || kind < self.last {
            return Err(self.malformed());
        }
        self.last = kind;
        if kind != FrameKind::End {
            let values = decode(&payload).ok_or_else(|| self.malformed())?;
            return Ok(Some((kind, values)));
        }
        let [a, b, c, d] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut mac = before.ok_or(BackupError::Changed)?;
        mac.update(&[kind.octet(), a, b, c, d]);
        mac.verify_slice(&payload).map_err(|_| BackupError::Changed)?;
        let mut more = [0];
        match self.input.read(&mut more) {
            Ok(0) => Ok(None),
            Ok(_) => Err(self.malformed()),
            Err(error) => Err(BackupError::Read(Arc::new(error))),
        }
    }

    /// Whether it was written before this format.
    pub(super) fn is_older(&self) -> bool {
        self.format < FORMAT
    }

    pub(super) fn malformed(&self) -> BackupError {
        BackupError::Malformed(self.offset)
    }

    fn first_line(&mut self) -> Result<(), BackupError> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            if line.len() > 32 {
                return Err(BackupError::NotABackup);
            }
            match self.octets(1) {
                Ok(octet) => line.extend(octet),
                Err(BackupError::Torn(_))
                    if !(MAGIC.starts_with(&line) || line.starts_with(MAGIC)) || line.is_empty() =>
                {
                    return Err(BackupError::NotABackup);
                }
                Err(error) => return Err(error),
            }
        }
        let number = line
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.strip_suffix(b"\n"))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok());
        match number {
            Some(found) if found > FORMAT => Err(BackupError::NewerFormat { found, known: FORMAT }),
            Some(found) if found > 0 => {
                self.format = found;
                Ok(())
            }
            _ => Err(BackupError::NotABackup),
        }
    }

    fn read_frame(&mut self) -> Result<(FrameKind, Vec<u8>), BackupError> {
        let head = self.octets(5)?;
        let (Some(&octet), Some(length)) = (head.first(), head.last_chunk::<4>()) else {
            return Err(self.malformed());
        };
        let kind = FrameKind::of(octet).ok_or_else(|| self.malformed())?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(self.malformed());
        }
        Ok((kind, self.octets(length)?))
    }

    fn octets(&mut self, count: usize) -> Result<Vec<u8>, BackupError> {
        let mut octets = vec![0; count];
        self.input.read_exact(&mut octets).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                BackupError::Torn(self.offset)
            } else {
                BackupError::Read(Arc::new(error))
            }
        })?;
        self.offset = self
            .offset
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        match &mut self.mac {
            Some(mac) => mac.update(&octets),
            None => self.early.extend(&octets),
        }
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn key() -> SealKey {
        SealKey::generate(&mut StdRng::seed_from_u64(1))
    }

    fn rows() -> Vec<Frame> {
        vec![
            (
                FrameKind::User,
                vec![Held::Text("alice".into()), Held::Null, Held::Integer(-1)],
            ),
            (
                FrameKind::Replay,
                vec![Held::Octets(vec![7; 16]), Held::Integer(9)],
            ),
        ]
    }

    fn written(rows: &[Frame]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, &key()).unwrap();
        writer.frame(FrameKind::Header, &[Held::Integer(5)]).unwrap();
        for (kind, values) in rows {
            writer.frame(*kind, values).unwrap();
        }
        writer.end().unwrap();
        out
    }

    fn read(octets: &[u8]) -> Result<Vec<Frame>, BackupError> {
        let (reader, _header) = Reader::begin(octets)?;
        let mut reader = reader.with_key(&key());
        let mut rows = Vec::new();
        while let Some(row) = reader.next()? {
            rows.push(row);
        }
        Ok(rows)
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&written(&rows())).unwrap(), rows());
        assert_eq!(read(&written(&[])).unwrap(), []);
    }

    #[test]
    fn no_bit_can_be_changed_and_no_octet_left_out_or_added() {
        let whole = written(&rows());
        for length in 0..whole.len() {
            let refused = read(&whole[..length]).unwrap_err();
            assert!(
                matches!(refused, BackupError::Torn(_) | BackupError::NotABackup),
                "{length}: {refused}"
            );
        }
        for index in FIRST_LINE.len()..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[index] ^= 1 << bit;
                assert!(read(&changed).is_err(), "octet {index}, bit {bit}");
            }
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(matches!(read(&longer), Err(BackupError::Malformed(_))));
    }

    #[test]
    fn other_files_and_newer_formats_are_told_apart() {
        let newer = [b"otp-backup-5\n", &written(&rows())[FIRST_LINE.len()..]].concat();
        assert!(matches!(
            read(&newer),
            Err(BackupError::NewerFormat { found: 5, known: 4 })
        ));
        for other in [&b""[..], b"SQLite format 3\0", b"otp-backup-x\n", &[b'o'; 100]] {
            assert!(matches!(read(other), Err(BackupError::NotABackup)), "{other:?}");
        }
    }

    #[test]
    fn frames_keep_their_order() {
        let mut swapped = rows();
        swapped.reverse();
        assert!(matches!(read(&written(&swapped)), Err(BackupError::Malformed(_))));
        let header = vec![(FrameKind::Header, vec![Held::Null])];
        assert!(matches!(read(&written(&header)), Err(BackupError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut input = FIRST_LINE.to_vec();
            input.extend([b'H', 0, 0, 0, 5, 0, 0, 0, 0, 0]);
            input.extend(octets);
            prop_assert!(read(&input).is_err());
        }
    }
}
