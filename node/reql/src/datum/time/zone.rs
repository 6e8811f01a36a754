//! Time zones, which are offsets from UTC and nothing more.

use std::ops::RangeInclusive;

use super::iso8601::logic_of_time;
use crate::error::{Error, Result};

/// From 12 hours west to 14 hours east of UTC, in seconds. A time may be in any zone, but only in one of these RethinkDB's
/// calendar can tell what the clock shows.
const OFFSETS_SECONDS: RangeInclusive<i64> = -12 * 3_600..=14 * 3_600;

/// The long form (`+hh:mm`) of an offset such as `Z`, `+1`... as ISO 8601 writes them: `+hh`, `+hhmm`, `+hh:mm`.
pub fn sanitize_zone(text: &str) -> Result<String> {
    if text == "-00" || text == "-00:00" {
        return Err(Error::logic(format!("`{text}` is not a valid time offset.")));
    }
    if text == "Z" {
        return Ok("+00:00".to_owned());
    }
    if !text.starts_with(['-', '+']) {
        return Err(Error::logic(format!("Timezone `{text}` does not start with `-` or `+`.")));
    }
    let mut rest = Digits { whole: text, at: 1 };
    let hours = rest.take(2)?;
    if rest.is_empty() {
        // RethinkDB looks at the hours of the other forms only.
        return Ok(format!("{}{hours}:00", &text[..1]));
    }
    rest.skip(b':');
    let minutes = rest.take(2)?;
    if !rest.is_empty() {
        return Err(Error::logic(format!(
            "Garbage characters `{}` at end of timezone string `{text}`.",
            rest.remainder()
        )));
    }
    if hours > "24" {
        return Err(Error::logic(format!("Hours out of range in `{text}`.")));
    }
    if minutes > "59" {
        return Err(Error::logic(format!("Minutes out of range in `{text}`.")));
    }
    Ok(format!("{}{hours}:{minutes}", &text[..1]))
}

/// Seconds east of UTC of a zone in the long form, for the calendar. Errors: the calendar knows no such zone.
pub fn zone_offset(zone: &str) -> Result<i64> {
    checked_offset(zone_seconds(zone))
}

fn checked_offset(seconds: i64) -> Result<i64> {
    if OFFSETS_SECONDS.contains(&seconds) {
        return Ok(seconds);
    }
    let sign = if seconds < 0 { "-" } else { "" };
    let size = seconds.abs();
    let (hours, minutes) = (size / 3_600, size / 60 % 60);
    Err(logic_of_time(&format!("Offset out of range: {sign}{hours:02}:{minutes:02}:{:02}", size % 60)))
}

/// The zone that RethinkDB's time library makes of a text that nobody has looked at: letters are a name, behind them stands
/// an offset, `[+-]h[:m]`. What it prints of both must be a zone then.
pub(super) fn zone_of_library(text: &str) -> Result<String> {
    // It reads a word.
    let text = text.split_ascii_whitespace().next().unwrap_or_default();
    let (name, offset) = text.split_at(text.bytes().take_while(u8::is_ascii_alphabetic).count());
    let invalid = |shown: &str| Error::logic(format!("Invalid ISO 8601 timezone: `{shown}`."));
    let seconds = checked_offset(offset_seconds(name, offset).ok_or_else(|| invalid(&format!("{text}+00")))?)?;
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60);
    let minutes = if minutes == 0 { String::new() } else { format!(":{minutes:02}") };
    let printed = format!("{name}{sign}{hours:02}{minutes}");
    match printed.as_str() {
        // The name that it has for no zone at all.
        "UTC+00" => Err(no_zone()),
        _ if text.is_empty() => Err(no_zone()),
        "Z+00" => Ok("+00:00".to_owned()),
        _ => sanitize_zone(&printed).map_err(|_| invalid(&printed)),
    }
}

fn no_zone() -> Error {
    Error::logic("ISO 8601 string has no time zone, and no default time zone was provided.")
}

/// Seconds of what stands behind the name of a zone: nothing, or `h[:m]` with a sign, which it needs where there is no name.
fn offset_seconds(name: &str, text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first() {
        None => return Some(0),
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        Some(_) if name.is_empty() => return None,
        Some(_) => (1, text),
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse::<i32>().ok() } else { None }
    };
    Some(sign * (i64::from(number(hours)?) * 3_600 + i64::from(number(minutes)?) * 60))
}

/// Seconds east of UTC of a zone in the long form; 0 for what is none.
fn zone_seconds(zone: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| zone.get(range).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let seconds = number(1..3) * 3600 + number(4..6) * 60;
    if zone.starts_with('-') { -seconds } else { seconds }
}

/// Reads fixed numbers of digits, with RethinkDB's complaints about anything else.
pub(super) struct Digits<'a> {
    pub whole: &'a str,
    pub at: usize,
}

impl<'a> Digits<'a> {
    pub fn is_empty(&self) -> bool {
        self.at >= self.whole.len()
    }

    pub fn remainder(&self) -> String {
        String::from_utf8_lossy(&self.whole.as_bytes()[self.at.min(self.whole.len())..]).into_owned()
    }

    pub fn skip(&mut self, byte: u8) -> bool {
        let found = self.whole.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub fn take(&mut self, count: usize) -> Result<&'a str> {
        let start = self.at;
        for _ in 0..count {
            match self.whole.as_bytes().get(self.at) {
                None => return Err(Error::logic(format!("Truncated date string `{}`.", self.whole))),
                Some(b'0'..=b'9') => self.at += 1,
                Some(_) => {
                    let found = self.whole[self.at..].chars().next().unwrap_or('?');
                    return Err(Error::logic(format!(
                        "Invalid date string `{}` (got `{found}` but expected a digit).",
                        self.whole
                    )));
                }
            }
        }
        Ok(&self.whole[start..self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_in_every_form() {
        for (text, clean) in
            [("Z", "+00:00"), ("+01", "+01:00"), ("-0730", "-07:30"), ("+13:45", "+13:45"), ("+24:00", "+24:00")]
        {
            assert_eq!(sanitize_zone(text).as_deref(), Ok(clean));
        }
        assert_eq!(zone_offset("-07:30"), Ok(-27_000));
        assert_eq!(zone_offset("+01:00"), Ok(3_600));
        assert_eq!(sanitize_zone("+99").as_deref(), Ok("+99:00"));
    }

    #[test]
    fn the_calendar_knows_zones_near_utc_only() {
        assert_eq!((zone_offset("-12:00"), zone_offset("+14:00")), (Ok(-43_200), Ok(50_400)));
        for (zone, message) in [
            ("+20:00", "Error in time logic: Offset out of range: 20:00:00."),
            ("+14:01", "Error in time logic: Offset out of range: 14:01:00."),
            ("-12:30", "Error in time logic: Offset out of range: -12:30:00."),
            ("+99:00", "Error in time logic: Offset out of range: 99:00:00."),
        ] {
            assert_eq!(zone_offset(zone).unwrap_err().message, message);
        }
    }

    #[test]
    fn the_library_takes_more_for_a_zone() {
        for (text, zone) in
            [("Z", "+00:00"), ("-00:00", "+00:00"), ("-7", "-07:00"), ("+02:00", "+02:00"), ("-1:05", "-01:05")]
        {
            assert_eq!(zone_of_library(text).as_deref(), Ok(zone), "{text}");
        }
        let no_zone = "ISO 8601 string has no time zone, and no default time zone was provided.";
        for (text, message) in [
            ("", no_zone),
            ("UTC", no_zone),
            ("xx", "Invalid ISO 8601 timezone: `xx+00`."),
            ("PST", "Invalid ISO 8601 timezone: `PST+00`."),
            ("PST-8:30", "Invalid ISO 8601 timezone: `PST-08:30`."),
            ("PST8", "Invalid ISO 8601 timezone: `PST+08`."),
            ("01:00", "Invalid ISO 8601 timezone: `01:00+00`."),
            ("+0100", "Error in time logic: Offset out of range: 100:00:00."),
        ] {
            assert_eq!(zone_of_library(text).unwrap_err().message, message, "{text}");
        }
    }

    #[test]
    fn complaints() {
        for (text, message) in [
            ("-00", "`-00` is not a valid time offset."),
            ("", "Timezone `` does not start with `-` or `+`."),
            ("PST", "Timezone `PST` does not start with `-` or `+`."),
            ("+1", "Truncated date string `+1`."),
            ("+1x", "Invalid date string `+1x` (got `x` but expected a digit)."),
            ("+25:00", "Hours out of range in `+25:00`."),
            ("+10:60", "Minutes out of range in `+10:60`."),
            ("+10:000", "Garbage characters `0` at end of timezone string `+10:000`."),
        ] {
            assert_eq!(sanitize_zone(text).unwrap_err().message, message);
        }
    }
}
