//! Packets on a stream: their Length says where each one ends (RFC 6613 §2.1).

use std::fmt;

use nom::{IResult, Parser, bytes::complete::take, number::complete::be_u16, sequence::preceded};
use zeroize::Zeroizing;

use crate::{FramingError, MAX_PACKET_LENGTH, MIN_PACKET_LENGTH};

/// How many octets are missing until `buffer` begins with a whole packet; 0 if it does.
///
/// Before the Length field is there, that is what is missing from the first four octets.
///
/// ```
/// # use krad::bytes_needed;
/// assert_eq!(bytes_needed(&[1, 2, 0]), Ok(1));
/// assert_eq!(bytes_needed(&[1, 2, 0, 20]), Ok(16));
/// ```
///
/// # Errors
///
/// [`FramingError::Length`] if no packet can have this Length: the stream cannot be followed any further.
pub fn bytes_needed(buffer: &[u8]) -> Result<usize, FramingError> {
    match packet_length(buffer)? {
        None => Ok(PREFIX.saturating_sub(buffer.len())),
        Some(length) => Ok(length.saturating_sub(buffer.len())),
    }
}

/// Cuts a stream into packets, however it arrives.
///
/// It owns one buffer of fixed size, wiped on drop, and copies nothing for the common case of a whole packet
/// per read. It has no buffer before the first octets come, and none after [`release`](Self::release): a
/// server may have many streams on which nothing happens.
///
/// ```
/// # use krad::StreamDecoder;
/// let mut stream = StreamDecoder::new();
/// let packet = [3, 42, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// for octet in packet {
///     assert_eq!(stream.next_packet(), Ok(None));
///     stream.space()[0] = octet; // as a reader would
///     stream.filled(1);
/// }
/// assert_eq!(stream.next_packet(), Ok(Some(&packet[..])));
/// assert_eq!(stream.next_packet(), Ok(None));
/// ```
pub struct StreamDecoder {
    buffer: Zeroizing<Vec<u8>>,
    /// `start..end` of the buffer is what has arrived and was not returned yet.
    start: usize,
    end: usize,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: Zeroizing::default(),
            start: 0,
            end: 0,
        }
    }

    /// The next whole packet, `None` if more octets are needed. Its attributes are not checked yet.
    ///
    /// # Errors
    ///
    /// [`FramingError`], from then on at every call.
    pub fn next_packet(&mut self) -> Result<Option<&[u8]>, FramingError> {
        let Some(length) = packet_length(self.pending())? else {
            return Ok(None);
        };
        let end = self.start.saturating_add(length);
        if end > self.end {
            return Ok(None);
        }
        let packet = self.buffer.get(self.start..end);
        self.start = end;
        Ok(packet)
    }

    /// Where the next octets of the stream belong; never empty once [`next_packet`](Self::next_packet)
    /// returned `None`.
    pub fn space(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = Zeroizing::new(vec![0; 2 * MAX_PACKET_LENGTH]);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len().saturating_sub(self.end) < MAX_PACKET_LENGTH {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Records that `count` octets were written to the beginning of [`space`](Self::space).
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
    }

    /// Copies as much of `chunk` as there is space for, and returns what is left of it.
    #[must_use = "what did not fit has to be pushed again, after the packets were taken out"]
    pub fn push<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let space = self.space();
        let count = space.len().min(chunk.len());
        space.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        self.filled(count);
        chunk.get(count..).unwrap_or_default()
    }

    /// Lets go of the buffer if nothing is in it; the next octets bring a new one.
    pub fn release(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.buffer = Zeroizing::default();
        }
    }

    /// Whether a part of a packet has arrived, so that a deadline for the rest makes sense.
    #[must_use]
    pub const fn is_mid_packet(&self) -> bool {
        self.start < self.end
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}

impl Default for StreamDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StreamDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDecoder")
            .field("pending", &self.pending().len())
            .finish_non_exhaustive()
    }
}

/// The Length of the packet that begins `buffer`, `None` if its first four octets are not there yet.
fn packet_length(buffer: &[u8]) -> Result<Option<usize>, FramingError> {
    let Ok((_, length)) = length_field(buffer) else {
        return Ok(None);
    };
    if (MIN_PACKET_LENGTH..=MAX_PACKET_LENGTH).contains(&usize::from(length)) {
        Ok(Some(usize::from(length)))
    } else {
        Err(FramingError::Length(length))
    }
}

/// Length, after Code and Identifier.
fn length_field(input: &[u8]) -> IResult<&[u8], u16> {
    preceded(take(2_usize), be_u16).parse(input)
}

/// Octets up to the end of the Length field.
const PREFIX: usize = 4;
