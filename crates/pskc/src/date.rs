//! Points in time as XML Schema writes them: `xs:dateTime`, in UTC (RFC 6030 §5).

use std::fmt;
use std::str::FromStr;

/// A point in time in whole seconds, of the years 1 to 9999.
///
/// RFC 6030 §5 wants UTC. A text with another offset is converted, one without any is taken as UTC; fractions of a
/// second are cut off.
///
/// ```
/// # use pskc::DateTime;
/// let date: DateTime = "2006-05-01T02:00:00+02:00".parse()?;
/// assert_eq!(date.unix_seconds(), 1_146_441_600);
/// assert_eq!(date.to_string(), "2006-05-01T00:00:00Z");
/// # Ok::<(), pskc::Problem>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(i64);

/// Seconds of a day.
const DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl DateTime {
    /// The point that lies `seconds` after 1970-01-01T00:00:00Z; `None` outside of the years 1 to 9999.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        RANGE.contains(&seconds).then_some(Self(seconds))
    }

    /// Seconds since 1970-01-01T00:00:00Z; negative before it.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }
}

impl FromStr for DateTime {
    type Err = crate::Problem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| crate::Problem::Date(crate::error::quote(text)))
    }
}

/// `YYYY-MM-DDThh:mm:ss[.f][Z|±hh:mm]`.
fn read(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once('T')?;
    let (year, month, day) = three(date, '-', [4, 2, 2])?;
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at_checked(at)?,
        None => (time, ""),
    };
    let clock = match clock.split_once('.') {
        Some((clock, fraction)) if digits(fraction, None) => clock,
        Some(_) => return None,
        None => clock,
    };
    let (hour, minute, second) = three(clock, ':', [2, 2, 2])?;
    let length = if month == 2 && is_leap(year) {
        29
    } else {
        *LENGTHS.get(usize::try_from(month).ok()?)?
    };
    let valid =
        (1..=9999).contains(&year) && (1..=length).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !valid {
        return None;
    }
    let seconds = days(year, month, day)? * DAY + hour * 3600 + minute * 60 + second;
    DateTime::from_unix_seconds(seconds.checked_sub(offset_seconds(offset)?)?)
}

/// Days of each month, from January on at index 1; February of a common year.
const LENGTHS: [i64; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, clock) = match text {
        "" | "Z" => return Some(0),
        _ => (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?),
    };
    let (hours, minutes) = clock.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    // XML Schema Part 2, §3.2.7.3: at most 14 hours.
    (minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn three(text: &str, separator: char, lengths: [usize; 3]) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(separator);
    let [a, b, c] = lengths.map(|length| parts.next().and_then(|part| number(part, length)));
    parts.next().is_none().then_some((a?, b?, c?))
}

fn number(text: &str, length: usize) -> Option<i64> {
    digits(text, Some(length)).then(|| text.parse().ok()).flatten()
}

fn digits(text: &str, length: Option<usize>) -> bool {
    !text.is_empty()
        && text.bytes().all(|octet| octet.is_ascii_digit())
        && length.is_none_or(|length| text.len() == length)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar, for years 1 to 9999.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let before: i64 = LENGTHS.iter().take(usize::try_from(month).ok()?).sum();
    let leap_day = i64::from(month > 2 && is_leap(year));
    let years = year - 1;
    Some(years * 365 + years / 4 - years / 100 + years / 400 + before + leap_day + day - 1 - 719_162)
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        // The year is at least the one that every year's being a leap year would give: a step or two upwards find it.
        let mut year = (day + 719_162) / 366 + 1;
        while days(year + 1, 1, 1).is_some_and(|first| first <= day) {
            year += 1;
        }
        let month = (1..=12)
            .rev()
            .find(|month| days(year, *month, 1).is_some_and(|first| first <= day))
            .unwrap_or(1);
        let day = day - days(year, month, 1).unwrap_or(day) + 1;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z",
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_dates() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2006-05-31T00:00:00Z", 1_149_033_600),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2037-12-31T00:00:00Z", 2_145_830_400),
            ("1969-12-31T23:59:59Z", -1),
            ("0001-01-01T00:00:00Z", *RANGE.start()),
            ("9999-12-31T23:59:59Z", *RANGE.end()),
            ("1900-03-01T00:00:00Z", -2_203_891_200),
        ] {
            let date: DateTime = text.parse().unwrap();
            assert_eq!(date.unix_seconds(), seconds, "{text}");
            assert_eq!(date.to_string(), text);
        }
        for (text, canonical) in [
            ("2009-01-01T00:30:00.999+01:00", "2008-12-31T23:30:00Z"),
            ("2009-01-01T00:30:00-14:00", "2009-01-01T14:30:00Z"),
            ("2009-01-01T00:30:00", "2009-01-01T00:30:00Z"),
        ] {
            assert_eq!(text.parse::<DateTime>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "T",
            "2006-05-01",
            "2006-05-01T00:00Z",
            "2006-13-01T00:00:00Z",
            "2006-00-01T00:00:00Z",
            "2006-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2006-05-01T24:00:00Z",
            "2006-05-01T00:60:00Z",
            "2006-05-01T00:00:60Z",
            "2006-05-01T00:00:00.Z",
            "2006-05-01T00:00:00+15:00",
            "2006-05-01T00:00:00+0100",
            "2006-05-01T00:00:00ZZ",
            "06-05-01T00:00:00Z",
            "+006-05-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "2006-05-01T00:00:00Zé",
            "2006-05-01T00:00:00+é:00",
        ] {
            assert!(text.parse::<DateTime>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_survives_its_text(seconds in RANGE) {
            let date = DateTime::from_unix_seconds(seconds).unwrap();
            prop_assert_eq!(date.to_string().parse(), Ok(date));
        }
    }
}
