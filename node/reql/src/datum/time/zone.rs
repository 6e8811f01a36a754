//! Time zones, which are offsets from UTC and nothing more.

use crate::error::{Error, Result};

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
    let minutes = if rest.is_empty() {
        "00"
    } else {
        rest.skip(b':');
        rest.take(2)?
    };
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

/// Seconds east of UTC of a zone in the long form; 0 for what is none.
pub fn zone_seconds(zone: &str) -> i64 {
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
        assert_eq!(zone_seconds("-07:30"), -27_000);
        assert_eq!(zone_seconds("+01:00"), 3_600);
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
