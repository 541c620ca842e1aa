//! Points in time, as people write and read them: UTC, to the second.

use otp_validation::UnixTime;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A point in time.
    At(UnixTime),
    /// So many seconds before now, or after it.
    Ago(u64),
}

impl Moment {
    pub(crate) fn time(self, now: UnixTime) -> UnixTime {
        match self {
            Self::At(time) => time,
            Self::Ago(seconds) => UnixTime(now.0.saturating_sub(seconds)),
        }
    }

    /// As [`time`](Self::time), with so many seconds after now: for what has an end.
    pub(crate) fn ahead(self, now: UnixTime) -> UnixTime {
        match self {
            Self::At(time) => time,
            Self::Ago(seconds) => UnixTime(now.0.saturating_add(seconds)),
        }
    }
}

/// Reads `2026-11-22`, `2026-11-22T03:12`, `2026-11-22T03:12:05`, each with or without a `Z` and in UTC; or how long ago:
/// `90s`, `30m`, `2h`, `7d`.
pub(crate) fn parse(text: &str) -> Result<Moment, String> {
    let moment = ago(text).map(Moment::Ago).or_else(|| at(text).map(Moment::At));
    moment.ok_or_else(|| "write 2h, 30m, 7d, or 2026-11-22T03:12 in UTC".to_owned())
}

fn ago(text: &str) -> Option<u64> {
    let mut characters = text.chars();
    let unit = match characters.next_back()? {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return None,
    };
    number(characters.as_str())?.checked_mul(unit)
}

fn at(text: &str) -> Option<UnixTime> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0))?);
    let is_whole = date.next().is_none() && time.next().is_none();
    let is_clock = hour < 24 && minute < 60 && second < 60;
    if !is_whole || !is_clock || !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || day > days_of_month(year, month) {
        return None;
    }
    let days = days_before_year(year)
        .saturating_add((1..month).map(|month| days_of_month(year, month)).sum())
        .saturating_add(day.saturating_sub(1));
    let clock = hour
        .saturating_mul(HOUR)
        .saturating_add(minute.saturating_mul(MINUTE));
    Some(UnixTime(
        days.saturating_mul(DAY)
            .saturating_add(clock)
            .saturating_add(second),
    ))
}

/// Digits alone: `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// `2026-11-22T03:12:05Z`.
pub(crate) fn show(time: UnixTime) -> String {
    let (mut days, clock) = (time.0 / DAY, time.0 % DAY);
    // A guess that is never too late, and at most a few years too early.
    let mut year = 1970_u64.saturating_add(days / 366);
    if year > 9999 {
        return format!("{} s after 1970", time.0);
    }
    while days_before_year(year.saturating_add(1)) <= days {
        year = year.saturating_add(1);
    }
    days = days.saturating_sub(days_before_year(year));
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days = days.saturating_sub(days_of_month(year, month));
        month = month.saturating_add(1);
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z",
        days.saturating_add(1),
        clock / HOUR,
        clock % HOUR / MINUTE,
        clock % MINUTE
    )
}

fn days_before_year(year: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let before = year.saturating_sub(1);
    year.saturating_sub(1970)
        .saturating_mul(365)
        .saturating_add(leap_days(before).saturating_sub(leap_days(1969)))
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From `date -u -d … +%s`.
    const ROWS: [(&str, u64); 9] = [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-12-31T23:59:59Z", 31_535_999),
        ("1972-02-29T12:00:00Z", 68_212_800),
        ("2000-02-29T00:00:00Z", 951_782_400),
        ("2000-12-31T23:59:59Z", 978_307_199),
        ("2026-11-22T03:12:05Z", 1_795_317_125),
        ("2038-01-19T03:14:08Z", 2_147_483_648),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ];

    #[test]
    fn times_are_written_and_read() {
        for (text, seconds) in ROWS {
            assert_eq!(show(UnixTime(seconds)), text);
            assert_eq!(parse(text), Ok(Moment::At(UnixTime(seconds))));
        }
        assert_eq!(parse("2000-02-29"), Ok(Moment::At(UnixTime(951_782_400))));
        assert_eq!(parse("2000-02-29 00:01"), Ok(Moment::At(UnixTime(951_782_460))));
        assert_eq!(show(UnixTime(u64::MAX)), format!("{} s after 1970", u64::MAX));
    }

    #[test]
    fn how_long_ago_is_read() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("30m", 1800),
            ("2h", 7200),
            ("7d", 604_800),
        ] {
            assert_eq!(parse(text), Ok(Moment::Ago(seconds)));
        }
        assert_eq!(Moment::Ago(30).time(UnixTime(100)), UnixTime(70));
        assert_eq!(Moment::Ago(300).time(UnixTime(100)), UnixTime(0));
        assert_eq!(Moment::At(UnixTime(5)).time(UnixTime(100)), UnixTime(5));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let refused = [
            "",
            "h",
            "5",
            "-5h",
            "+5h",
            "5 h",
            "yesterday",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-00-01",
            "2026-11-31",
            "2100-02-29",
            "1969-12-31",
            "10000-01-01",
            "2026-11-22T24:00",
            "2026-11-22T00:60",
            "2026-11-22T00:00:60",
            "2026-11-22T00",
            "2026-11-22T00:00:00:00",
            "2026-11-22-01",
            "2026-11-22T00:00+01:00",
            "99999999999999999999d",
            "18446744073709551615d",
        ];
        for text in refused {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_is_read_back(seconds in 0..253_402_300_800_u64) {
            prop_assert_eq!(parse(&show(UnixTime(seconds))), Ok(Moment::At(UnixTime(seconds))));
        }
    }
}
