//! Dates: a text is a date exactly if a plain reading takes it, and the same second of it, counted year by year; any
//! second is written as a text that reads as the same.

use pskc::DateTime;

use crate::structured;

/// Checks any text, and any second.
pub fn check(input: &[u8]) {
    structured(input, text);
    structured(input, second);
}

fn text(text: &str) {
    let date = text.parse::<DateTime>().ok();
    assert_eq!(date.map(DateTime::unix_seconds), plainly(text), "{text:?}");
    if let Some(date) = date {
        assert_eq!(date.to_string().parse::<DateTime>(), Ok(date));
    }
}

fn second(seconds: i64) {
    // All of the range, and what lies around it.
    for seconds in [seconds, seconds % 300_000_000_000] {
        let date = DateTime::from_unix_seconds(seconds);
        assert_eq!(date.is_some(), (FIRST..=LAST).contains(&seconds));
        let Some(date) = date else { continue };
        assert_eq!(date.unix_seconds(), seconds);
        assert_eq!(plainly(&date.to_string()), Some(seconds));
    }
}

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// `xs:dateTime` in fixed columns, and days counted one year after the other.
fn plainly(text: &str) -> Option<i64> {
    let (fixed, rest) = text.split_at_checked(19)?;
    let shape: String = fixed
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if shape != "0000-00-00T00:00:00" {
        return None;
    }
    let number = |range: std::ops::Range<usize>| fixed[range].parse::<i64>().ok();
    let [year, month, day] = [number(0..4)?, number(5..7)?, number(8..10)?];
    let [hour, minute, second] = [number(11..13)?, number(14..16)?, number(17..19)?];

    let zone = match rest.strip_prefix('.') {
        Some(rest) => {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (zone.len() < rest.len()).then_some(zone)?
        }
        None => rest,
    };
    let offset = match zone.as_bytes() {
        [] | [b'Z'] => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d]
            if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            let two = |a: &u8, b: &u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let (hours, minutes) = (two(a, b), two(c, d));
            let minutes = (minutes < 60 && hours * 60 + minutes <= 840).then_some(hours * 60 + minutes)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };

    let is_leap = |year: i64| year % 400 == 0 || year % 4 == 0 && year % 100 != 0;
    let length = |month: i64| match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = year >= 1 && (1..=12).contains(&month) && (1..=length(month)).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: i64 = (1..year).map(|year| 365 + i64::from(is_leap(year))).sum();
    let days = years + (1..month).map(length).sum::<i64>() + day - 1;
    let seconds = FIRST + ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    (FIRST..=LAST).contains(&seconds).then_some(seconds)
}
