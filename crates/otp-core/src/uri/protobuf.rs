//! The part of Protocol Buffers that exports of apps need: fields of a message, read and written.
//!
//! Reading is total and stricter than the format asks for: groups, which were given up long ago, and numbers of
//! more than 64 bits are refused. Writing gives the one shortest form.

use alloc::vec::Vec;

/// The octets are no message: a field is cut off, or of a kind that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A field's number and value.
pub(super) type Field<'a> = (u64, Value<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Wire type 0: integers and enumerations.
    Varint(u64),
    /// Wire type 2: octets, strings and messages.
    Octets(&'a [u8]),
    /// Wire types 1 and 5, for which the exports have no use.
    Fixed,
}

/// The fields of a message in the order in which they stand there.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint()?;
                Value::Octets(self.take(usize::try_from(len).map_err(|_| Malformed)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        match key >> 3 {
            0 => Err(Malformed),
            number => Ok((number, value)),
        }
    }

    /// Seven bits an octet, the lowest first; the top bit says that another octet follows.
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (&octet, rest) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = rest;
            let bits = u64::from(octet & 0x7f);
            number |= bits << shift;
            if number >> shift != bits {
                return Err(Malformed); // more than 64 bits
            }
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    /// Ends after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Appends an integer; 0 is the default and is left out.
pub(super) fn push_integer(message: &mut Vec<u8>, field: u64, number: i64) {
    if number != 0 {
        push_varint(message, field << 3);
        push_varint(message, number.cast_unsigned());
    }
}

/// Appends octets; an empty string is the default and is left out.
pub(super) fn push_octets(message: &mut Vec<u8>, field: u64, octets: &[u8]) {
    if !octets.is_empty() {
        push_varint(message, field << 3 | 2);
        push_varint(message, octets.len() as u64);
        message.extend_from_slice(octets);
    }
}

fn push_varint(message: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push((number & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, Malformed> {
        Fields::of(message).collect()
    }

    #[test]
    fn the_examples_of_the_format_are_read() {
        assert_eq!(fields(&[]), Ok(vec![]));
        // "Encoding": Test1 { a: 150 }, Test2 { b: "testing" }.
        assert_eq!(fields(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Varint(150))]));
        assert_eq!(
            fields(b"\x12\x07testing"),
            Ok(vec![(2, Value::Octets(b"testing"))])
        );
        let fixed = [0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4];
        assert_eq!(fields(&fixed), Ok(vec![(1, Value::Fixed), (2, Value::Fixed)]));
        let mut minus_two = vec![0x08, 0xfe];
        minus_two.extend([0xff; 8]);
        minus_two.push(0x01);
        assert_eq!(fields(&minus_two), Ok(vec![(1, Value::Varint(u64::MAX - 1))]));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let rows: [&[u8]; 10] = [
            &[0x08],                                                             // no value
            &[0x08, 0x80],                                                       // cut off
            &[0x00, 0x00],                                                       // field 0
            &[0x0b],                                                             // a group begins
            &[0x0c],                                                             // a group ends
            &[0x0e, 0x00],                                                       // wire type 6
            &[0x12, 0x02, 0x00],                                                 // one octet is missing
            &[0x09, 0, 0, 0, 0, 0, 0, 0],                                        // seven of eight
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], // 65 bits
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // 2^64 - 1 octets
        ];
        for row in rows {
            assert_eq!(fields(row), Err(Malformed), "{row:x?}");
        }
    }

    #[test]
    fn numbers_round_trip() {
        for number in [1, -1, 127, 128, 300, i64::MAX, i64::MIN] {
            let mut message = vec![];
            push_integer(&mut message, 3, number);
            assert_eq!(
                fields(&message),
                Ok(vec![(3, Value::Varint(number.cast_unsigned()))])
            );
        }
        let mut message = vec![];
        push_integer(&mut message, 3, 0);
        push_octets(&mut message, 4, b"");
        assert!(message.is_empty());
    }
}
