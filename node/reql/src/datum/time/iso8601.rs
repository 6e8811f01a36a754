//! ISO 8601: what RethinkDB reads and writes of it. Week dates are recognised and refused, as there.

use super::zone::{Digits, sanitize_zone, zone_of_library, zone_offset};
use super::{build, round_to_millis};
use crate::datum::Datum;
use crate::error::{Error, Result};

const SECONDS_PER_DAY: i64 = 86_400;

/// A date as the text gave it.
enum Date {
    Calendar { year: i64, month: i64, day: i64 },
    Ordinal { year: i64, day: i64 },
    Week,
}

/// A time from text such as `2014-09-12T10:30:00.5-07:00`. `default_zone` stands in for a zone the text does not name.
pub fn from_iso8601(text: &str, default_zone: Option<&str>) -> Result<Datum> {
    let (date_text, time_text) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let date = parse_date(date_text)?;
    let (millis, zone) = match time_text {
        None => (0, None),
        Some(time_text) => {
            let sign = ['-', '+', 'Z'].into_iter().find_map(|mark| time_text.find(mark));
            let millis = parse_time(&time_text[..sign.unwrap_or(time_text.len())])?;
            let zone = sign.map(|sign| sanitize_zone(&time_text[sign..])).transpose()?;
            (millis, zone)
        }
    };
    let days = match date {
        Date::Week => {
            return Err(Error::logic(
                "Due to limitations in the boost time library we use for parsing, we cannot support ISO week dates right \
                 now.  Sorry about that!  Please use years, calendar dates, or ordinal dates instead.",
            ));
        }
        Date::Calendar { year, month, day } => days_from_date(year, month, day)?,
        Date::Ordinal { year, day } => {
            if !(1..=366).contains(&day) {
                return Err(logic_of_time("Day of year value is out of range 1..366"));
            }
            days_from_date(year, 1, 1)? + day - 1
        }
    };
    // The zone for a text that names none is looked at last, and by other eyes.
    let zone = match zone {
        Some(zone) => zone,
        None => zone_of_library(default_zone.unwrap_or_default())?,
    };
    let seconds = days * SECONDS_PER_DAY - zone_offset(&zone)?;
    let epoch = seconds as f64 + millis as f64 / 1000.0;
    Ok(build(round_to_millis(epoch)?, &zone))
}

/// A fault of the calendar, in RethinkDB's frame.
pub(crate) fn logic_of_time(what: &str) -> Error {
    Error::logic(format!("Error in time logic: {what}."))
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

fn parse_date(text: &str) -> Result<Date> {
    let mut rest = Digits { whole: text, at: 0 };
    let year = number(rest.take(4)?);
    if rest.is_empty() {
        return Ok(Date::Calendar { year, month: 1, day: 1 });
    }
    let first_hyphen = rest.skip(b'-');
    let date = if rest.skip(b'W') {
        rest.take(2)?;
        if rest.is_empty() {
            return Ok(Date::Week);
        }
        rest.skip(b'-');
        rest.take(1)?;
        Date::Week
    } else if text.len() - rest.at == 3 {
        Date::Ordinal { year, day: number(rest.take(3)?) }
    } else {
        let month = number(rest.take(2)?);
        if first_hyphen && rest.is_empty() {
            return Ok(Date::Calendar { year, month, day: 1 });
        }
        if first_hyphen != rest.skip(b'-') {
            return Err(Error::logic(format!("Date string `{text}` must have 0 or 2 hyphens.")));
        }
        Date::Calendar { year, month, day: number(rest.take(2)?) }
    };
    if !rest.is_empty() {
        return Err(Error::logic(format!("Garbage characters `{}` at end of date string `{text}`.", rest.remainder())));
    }
    Ok(date)
}

/// Milliseconds since midnight. Like RethinkDB this does not mind an hour of 99: the day simply goes on.
fn parse_time(text: &str) -> Result<i64> {
    let mut rest = Digits { whole: text, at: 0 };
    let mut millis = number(rest.take(2)?) * 3_600_000;
    if rest.is_empty() {
        return Ok(millis);
    }
    let first_colon = rest.skip(b':');
    millis += number(rest.take(2)?) * 60_000;
    if rest.is_empty() {
        return Ok(millis);
    }
    if first_colon != rest.skip(b':') {
        return Err(Error::logic(format!("Time string `{text}` must have 0 or 2 colons.")));
    }
    millis += number(rest.take(2)?) * 1_000;
    if rest.skip(b'.') {
        let mut unit = 100;
        while !rest.is_empty() {
            millis += number(rest.take(1)?) * unit;
            unit /= 10;
        }
    }
    if !rest.is_empty() {
        return Err(Error::logic(format!("Garbage characters `{}` at end of time string `{text}`.", rest.remainder())));
    }
    Ok(millis)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar between the years 1400 and 9999, RethinkDB's range.
pub fn days_from_date(year: i64, month: i64, day: i64) -> Result<i64> {
    if !(1400..=9999).contains(&year) {
        return Err(logic_of_time("Year is out of valid range: 1400..9999"));
    }
    if !(1..=12).contains(&month) {
        return Err(logic_of_time("Month number is out of range 1..12"));
    }
    if !(1..=31).contains(&day) {
        return Err(logic_of_time("Day of month value is out of range 1..31"));
    }
    if day > days_in_month(year, month) {
        return Err(logic_of_time("Day of month is not valid for year"));
    }
    Ok(civil_days(year, month, day))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of any proleptic Gregorian date: years are counted from March, in eras of 400 years.
fn civil_days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days since 1970-01-01: the inverse of [`civil_days`].
pub fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::Str;
    use crate::datum::time::parts;

    fn epoch(text: &str) -> f64 {
        parts(&from_iso8601(text, None).unwrap()).unwrap().0
    }

    #[test]
    fn dates_and_days_are_inverse() {
        for days in (-200_000..3_000_000).step_by(37) {
            let (year, month, day) = date_from_days(days);
            assert_eq!(civil_days(year, month, day), days);
        }
        assert_eq!(date_from_days(0), (1970, 1, 1));
        assert_eq!(date_from_days(-1), (1969, 12, 31));
    }

    #[test]
    fn texts_in_every_form() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("1970-01-01T00:00:01.5-01:00", 3_601.5),
            ("19700102T000000Z", 86_400.0),
            ("1970-032T00Z", 2_678_400.0),
            ("2013-08-09T18:53:15.012345678Z", 1_376_074_395.012),
        ] {
            assert_eq!(epoch(text), seconds, "{text}");
        }
        let defaulted = from_iso8601("2014", Some("-07:00")).unwrap();
        assert_eq!(parts(&defaulted), Some((epoch("2014-01-01T07:00:00Z"), Str::from("-07:00"))));
    }

    #[test]
    fn complaints() {
        let message = |text: &str| from_iso8601(text, None).unwrap_err().message;
        assert_eq!(message("2014"), "ISO 8601 string has no time zone, and no default time zone was provided.");
        assert_eq!(message("201-1"), "Invalid date string `201-1` (got `-` but expected a digit).");
        assert_eq!(message("2014-01"), message("2014"));
        assert_eq!(message("2014-0101"), "Date string `2014-0101` must have 0 or 2 hyphens.");
        assert_eq!(message("2014-13-01"), "Error in time logic: Month number is out of range 1..12.");
        assert_eq!(message("2013-02-29"), "Error in time logic: Day of month is not valid for year.");
        assert!(message("2014-W05").starts_with("Due to limitations in the boost"));
        let defaulted = |text: &str| from_iso8601(text, Some("xx")).unwrap_err().message;
        assert_eq!(defaulted("2014"), "Invalid ISO 8601 timezone: `xx+00`.");
        assert_eq!(defaulted("2014-13-01"), message("2014-13-01"));
        assert_eq!(message("2013-01-01T00:00+20:00"), "Error in time logic: Offset out of range: 20:00:00.");
        assert_eq!(message("2013-13-01T00:00+20:00"), message("2014-13-01"));
    }
}
