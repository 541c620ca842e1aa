//! Chains of records: numbers, links, heads.

use std::{fmt, str::FromStr};

use otp_validation::UnixTime;

use crate::{
    Digests, Record, StoreError,
    commit::Change,
    error::Fault,
    sql::{Row, Sql, values},
    value::{exact, time, unsigned},
};

/// Names a chain, for good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub(crate) [u8; 16]);

/// The link of a record: HMAC-SHA256 over the link before it, its place and itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link(pub(crate) [u8; 32]);

impl Link {
    /// What the first record of a chain is linked to.
    pub(crate) const FIRST: Self = Self([0; 32]);
}

/// The end of a chain at some moment, written `CHAIN:NUMBER:LINK`.
///
/// Noted where whoever can write to the database cannot, it shows later whether anything up to it was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The number of its last record; 0 if it has none.
    pub number: u64,
    /// The link of that record.
    pub link: Link,
}

/// A text that is no head of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a head of a chain, CHAIN:NUMBER:LINK, as `otpctl audit verify` prints it")]
pub struct HeadError;

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (chain, rest) = text.split_once(':').ok_or(HeadError)?;
        let (number, link) = rest.split_once(':').ok_or(HeadError)?;
        // `parse` would take a sign.
        if !number.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(HeadError);
        }
        Ok(Self {
            chain: ChainId(octets(chain)?),
            number: number.parse().map_err(|_| HeadError)?,
            link: Link(octets(link)?),
        })
    }
}

fn octets<const N: usize>(text: &str) -> Result<[u8; N], HeadError> {
    let mut octets = [0; N];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(HeadError);
    };
    if pairs.len() != N {
        return Err(HeadError);
    }
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        *octet = nibble(*high)? << 4 | nibble(*low)?;
    }
    Ok(octets)
}

fn nibble(digit: u8) -> Result<u8, HeadError> {
    let value = char::from(digit).to_digit(16).ok_or(HeadError)?;
    u8::try_from(value).map_err(|_| HeadError)
}

fn hexadecimal(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainId({self})")
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({self})")
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.chain, self.number, self.link)
    }
}

/// The end of a chain inside of the transaction that appends to it. Nobody else does meanwhile.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The chain's row.
    pub(crate) row: i64,
    pub(crate) head: Head,
    /// The number that it had when the transaction took it.
    taken_at: u64,
    /// When the newest code was accepted that the transaction spends, if it spends any.
    accepted_at: Option<UnixTime>,
}

impl Tail {
    /// Takes a chain for the rest of the transaction.
    pub(crate) fn claim(transaction: Sql<'_>) -> Result<Self, Fault> {
        let free = transaction.optional(transaction.claim_chain(), values![], Self::read)?;
        match free {
            Some(tail) => Ok(tail),
            None => transaction.one(transaction.make_chain(), values![], Self::read),
        }
    }

    pub(super) fn read(row: &Row<'_>) -> Result<Self, Fault> {
        Self::new(
            row.get("id")?,
            row.get("name")?,
            row.get("number")?,
            row.get("link")?,
        )
    }

    pub(crate) fn new(row: i64, name: [u8; 16], number: i64, link: [u8; 32]) -> Result<Self, Fault> {
        let number = unsigned("the number of a record", number)?;
        Ok(Self {
            row,
            head: Head {
                chain: ChainId(name),
                number,
                link: Link(link),
            },
            taken_at: number,
            accepted_at: None,
        })
    }

    /// Gives `record` its place behind all others; the caller writes it there.
    pub(crate) fn extend(&mut self, digests: &Digests, record: &Record) -> Result<Place, StoreError> {
        let number = self.head.number.saturating_add(1);
        let link = digests.link(&self.head, number, record.at, record.request, &record.text);
        self.head = Head {
            number,
            link,
            ..self.head
        };
        Ok(Place {
            number: exact("the number of a record", number)?,
            link,
        })
    }

    /// Appends `record`.
    pub(crate) fn append(
        &mut self,
        transaction: Sql<'_>,
        digests: &Digests,
        record: &Record,
    ) -> Result<(), Fault> {
        let place = self.extend(digests, record)?;
        transaction.execute(
            "INSERT INTO audit (chain, number, at, request, record, link) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![
                self.row,
                place.number,
                time(record.at),
                record.request.map(u64::cast_signed),
                &*record.text,
                &place.link.0,
            ],
        )?;
        Ok(())
    }

    /// Notes when a code was accepted, for whoever asks whether a clock has gone back since.
    pub(crate) fn note(&mut self, change: &Change) {
        self.accepted_at = self.accepted_at.max(change.accepted_at());
    }

    /// When the newest code was accepted that the transaction spends; 0 if it spends none.
    pub(crate) fn accepted_at(&self) -> i64 {
        self.accepted_at.map_or(0, time)
    }

    /// Leaves the chain to others, with what was appended.
    pub(crate) fn release(self, transaction: Sql<'_>) -> Result<(), Fault> {
        if self.head.number == self.taken_at {
            return Ok(());
        }
        let (taken_at, number) = self.numbers()?;
        let rows = transaction.execute(
            "UPDATE audit_chains
             SET number = ?3, link = ?4, accepted_at = CASE WHEN accepted_at < ?5 THEN ?5 ELSE accepted_at END
             WHERE id = ?1 AND number = ?2",
            values![self.row, taken_at, number, &self.head.link.0, self.accepted_at()],
        )?;
        if rows == 1 {
            Ok(())
        } else {
            Err(StoreError::corrupt("a chain of the audit trail that two have written to").into())
        }
    }

    /// The numbers of the last record before and now.
    pub(crate) fn numbers(&self) -> Result<(i64, i64), StoreError> {
        let number = |number| exact("the number of a record", number);
        Ok((number(self.taken_at)?, number(self.head.number)?))
    }
}

/// Where a record stands in its chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) number: i64,
    pub(crate) link: Link,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head {
        chain: ChainId([0x1f; 16]),
        number: 12,
        link: Link([0xa0; 32]),
    };

    #[test]
    fn a_head_is_written_and_read() {
        let text = HEAD.to_string();
        assert_eq!(text, format!("{}:12:{}", "1f".repeat(16), "a0".repeat(32)));
        assert_eq!(text.parse(), Ok(HEAD));
        assert_eq!(text.to_uppercase().parse(), Ok(HEAD));
        let refused = [
            "".to_owned(),
            "1f:12:a0".to_owned(),
            text.replace(":12:", ":-12:"),
            text.replace(":12:", ":+12:"),
            text.replace(":12:", "::"),
            text.replace(":12:", ":18446744073709551616:"),
            text.replacen("1f", "1g", 1),
            text.replacen("1f", "é", 1),
            text[1..].to_owned(),
            format!("{text}0"),
            format!("{text}00"),
            format!("{text}:"),
        ];
        for text in refused {
            assert_eq!(text.parse::<Head>(), Err(HeadError), "{text}");
        }
    }

    #[test]
    fn a_link_depends_on_everything_before_it_and_in_it() {
        let digests = Digests::new(&[7; 32]);
        let link =
            |head: &Head, number, at, request, text| digests.link(head, number, UnixTime(at), request, text);
        let other_chain = Head {
            chain: ChainId([0; 16]),
            ..HEAD
        };
        let other_link = Head {
            link: Link::FIRST,
            ..HEAD
        };
        let links = [
            link(&HEAD, 13, 5, Some(1), "{}"),
            link(&other_chain, 13, 5, Some(1), "{}"),
            link(&other_link, 13, 5, Some(1), "{}"),
            link(&HEAD, 14, 5, Some(1), "{}"),
            link(&HEAD, 13, 6, Some(1), "{}"),
            link(&HEAD, 13, 5, Some(2), "{}"),
            link(&HEAD, 13, 5, Some(0), "{}"),
            link(&HEAD, 13, 5, None, "{}"),
            link(&HEAD, 13, 5, Some(1), "{ }"),
            Digests::new(&[8; 32]).link(&HEAD, 13, UnixTime(5), Some(1), "{}"),
        ];
        let distinct: std::collections::HashSet<_> = links.iter().collect();
        assert_eq!(distinct.len(), links.len());
        assert_eq!(links[0], link(&HEAD, 13, 5, Some(1), "{}"));
    }
}
