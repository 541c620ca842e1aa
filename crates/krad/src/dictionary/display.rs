//! Attributes and values as people read them.

use std::{
    fmt::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{DataType, Definition, Dictionary, ExpandedAttribute};
use crate::Attribute;

/// An attribute with its name and its value in the form of its type, from [`Dictionary::display`].
#[derive(Debug, Clone, Copy)]
pub struct DisplayAttribute<'d, 'a> {
    dictionary: &'d Dictionary,
    attribute: Attribute<'a>,
}

impl Dictionary {
    /// Shows an attribute for a log: `Name = value`, or `Name:tag = value`; several with commas between them if
    /// others are nested in it.
    ///
    /// Text is quoted and escaped, so that it can neither end the line nor look like another attribute. What is
    /// encrypted or flagged `secret` is shown as `<hidden>`; what the dictionary does not know or what does not fit
    /// its type is hexadecimal.
    #[must_use]
    pub const fn display<'d, 'a>(&'d self, attribute: Attribute<'a>) -> DisplayAttribute<'d, 'a> {
        DisplayAttribute {
            dictionary: self,
            attribute,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, attribute: &ExpandedAttribute<'_, '_>) -> fmt::Result {
        let Some(definition) = attribute.definition else {
            write!(f, "Attr-{} = ", attribute.oid)?;
            return write_hex(f, attribute.value);
        };
        f.write_str(&definition.name)?;
        if let Some(tag) = attribute.tag {
            write!(f, ":{}", tag.get())?;
        }
        f.write_str(" = ")?;
        if definition.flags.secret || definition.flags.encryption.is_some() {
            return f.write_str("<hidden>");
        }
        self.write_value(f, definition, attribute.value)
    }

    fn write_value(&self, f: &mut fmt::Formatter<'_>, definition: &Definition, value: &[u8]) -> fmt::Result {
        if let Some(number) = integer(definition, value) {
            return match (self.value_name(definition, number), definition.data_type) {
                (Some(name), _) => f.write_str(name),
                (None, DataType::Signed) => {
                    write!(f, "{}", u32::try_from(number).unwrap_or_default().cast_signed())
                }
                (None, DataType::Date) => write_date(f, number),
                (None, _) => write!(f, "{number}"),
            };
        }
        match (definition.data_type, value) {
            (DataType::String, text) => write_text(f, text),
            (DataType::Ipaddr | DataType::ComboIp, &[a, b, c, d]) => {
                write!(f, "{}", Ipv4Addr::new(a, b, c, d))
            }
            (DataType::Ipv4prefix, &[_, length @ 0..=32, a, b, c, d]) => {
                write!(f, "{}/{length}", Ipv4Addr::new(a, b, c, d))
            }
            (DataType::Ipv6addr | DataType::ComboIp, address) if address.len() == 16 => {
                write!(f, "{}", ipv6(address))
            }
            (DataType::Ipv6prefix, &[_, length @ 0..=128, ref address @ ..])
                if (usize::from(length).div_ceil(8)..=16).contains(&address.len()) =>
            {
                write!(f, "{}/{length}", ipv6(address))
            }
            (DataType::Ifid, id) if id.len() == 8 => {
                let groups = id.as_chunks::<2>().0.iter();
                write_separated(f, groups.map(|&group| format!("{:x}", u16::from_be_bytes(group))))
            }
            (DataType::Ether, address) if address.len() == 6 => {
                write_separated(f, address.iter().map(|octet| format!("{octet:02x}")))
            }
            (_, octets) => write_hex(f, octets),
        }
    }
}

impl fmt::Display for DisplayAttribute<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.dictionary.expand(self.attribute).iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            self.dictionary.write(f, attribute)?;
        }
        Ok(())
    }
}

/// An integer of the length of its type; one octet shorter if a tag was split off.
fn integer(definition: &Definition, value: &[u8]) -> Option<u64> {
    let octets = usize::from(definition.data_type.integer_octets()?);
    let expected = if definition.flags.has_tag && value.len() == 3 {
        3
    } else {
        octets
    };
    (value.len() == expected).then(|| {
        value
            .iter()
            .fold(0, |number, &octet| number << 8 | u64::from(octet))
    })
}

/// An IPv6 address, missing octets as zero.
fn ipv6(octets: &[u8]) -> Ipv6Addr {
    let mut address = [0; 16];
    address.iter_mut().zip(octets).for_each(|(to, &from)| *to = from);
    Ipv6Addr::from(address)
}

/// Quoted; quotes, backslashes and control characters escaped, octets that are not UTF-8 as `\xHH`.
fn write_text(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for chunk in octets.utf8_chunks() {
        write!(f, "{}", chunk.valid().escape_debug())?;
        chunk
            .invalid()
            .iter()
            .try_for_each(|octet| write!(f, "\\x{octet:02x}"))?;
    }
    f.write_char('"')
}

fn write_hex(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    f.write_str("0x")?;
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

fn write_separated(f: &mut fmt::Formatter<'_>, mut parts: impl Iterator<Item = String>) -> fmt::Result {
    f.write_str(&parts.next().unwrap_or_default())?;
    parts.try_for_each(|part| write!(f, ":{part}"))
}

/// Seconds since the Unix epoch as a date and time in UTC (RFC 3339).
///
/// The civil calendar repeats every 400 years, so days are counted from 1 March 0000, where leap days come last in
/// their year.
fn write_date(f: &mut fmt::Formatter<'_>, seconds: u64) -> fmt::Result {
    const DAYS_TO_EPOCH: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = (seconds / 86_400).saturating_add(DAYS_TO_EPOCH);
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    // Leap days that have passed: one in 4 years, none in 100, one in 400.
    let leap_days = (day / 1_460)
        .saturating_add(day / 146_096)
        .saturating_sub(day / 36_524);
    let year = day.saturating_sub(leap_days) / 365;
    let before_year = (year.saturating_mul(365).saturating_add(year / 4)).saturating_sub(year / 100);
    let day = day.saturating_sub(before_year);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again: 153 in five.
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let day = day
        .saturating_sub(month.saturating_mul(153).saturating_add(2) / 5)
        .saturating_add(1);
    let month = if month < 10 {
        month.saturating_add(3)
    } else {
        month.saturating_sub(9)
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(year)
        .saturating_add(u64::from(month <= 2));
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    )
}
