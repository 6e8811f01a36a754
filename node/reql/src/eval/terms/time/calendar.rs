//! The calendar of a moment, counted in microseconds as RethinkDB does, with its limits: dates have years from 1400 to
//! 9999, while the clock goes on beyond.

use super::epoch;
use crate::datum::Datum;
use crate::datum::time::{date_from_days, days_from_date, sanitize_zone, zone_offset};
use crate::error::{Error, Result};

const MICROS_PER_SECOND: i128 = 1_000_000;
const SECONDS_PER_DAY: i128 = 86_400;
const MICROS_PER_DAY: i128 = SECONDS_PER_DAY * MICROS_PER_SECOND;

/// A moment, or a reading of a clock on a wall: microseconds since 1970-01-01. Wide enough for every double that is a
/// number of seconds somebody could mean; what is beyond saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(i128);

/// What the calendar or the clock can tell of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Year,
    Month,
    Day,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    /// Whole seconds.
    Seconds,
}

/// Days since 1970-01-01. The day is checked before the month and the month before the year, as in RethinkDB.
pub fn midnight(year: i32, month: i32, day: i32) -> Result<i64> {
    if !(1..=31).contains(&day) {
        return Err(fault("Day of month value is out of range 1..31"));
    }
    if !(1..=12).contains(&month) {
        return Err(fault("Month number is out of range 1..12"));
    }
    days_from_date(year.into(), month.into(), day.into())
}

/// Hours and minutes in microseconds. If either is negative the whole is.
pub fn clock_micros(hours: i32, minutes: i32) -> i128 {
    let seconds = i128::from(hours).abs() * 3600 + i128::from(minutes).abs() * 60;
    let sign = if hours < 0 || minutes < 0 { -1 } else { 1 };
    sign * seconds * MICROS_PER_SECOND
}

impl Instant {
    /// Midnight of a day.
    pub fn at(days: i64) -> Instant {
        Instant(i128::from(days) * MICROS_PER_DAY)
    }

    /// The moment of a time.
    pub fn of(moment: &Datum) -> Result<Instant> {
        Ok(Instant(0).plus_seconds(epoch(moment)?))
    }

    /// Later by seconds, cut to microseconds.
    pub fn plus_seconds(self, seconds: f64) -> Instant {
        let whole = seconds.trunc();
        let micros = seconds * 1e6 - whole * 1e6;
        Instant(self.0 + (whole as i64 as i128) * MICROS_PER_SECOND + micros as i128)
    }

    /// Later by microseconds.
    pub fn plus_micros(self, micros: i128) -> Instant {
        Instant(self.0 + micros)
    }

    /// What the clock shows in a zone at this moment. Errors: the calendar knows no such zone.
    pub fn local(self, zone: &str) -> Result<Instant> {
        // The hours of `+99:00`, which is what `+99` becomes, are only looked at here.
        let offset = zone_offset(zone).or_else(|error| sanitize_zone(zone).and(Err(error)))?;
        Ok(Instant(self.0 + i128::from(offset) * MICROS_PER_SECOND))
    }

    /// The moment at which the clock shows this in a zone. Errors: the calendar knows no such zone.
    pub fn minus_zone(self, zone: &str) -> Result<Instant> {
        Ok(Instant(self.0 - i128::from(zone_offset(zone)?) * MICROS_PER_SECOND))
    }

    /// A reading of a clock in ISO 8601, with the zone behind it and milliseconds when it is at no whole second. Like
    /// RethinkDB this cuts them off and does not round: 1.001 is a little less than what it stands for, and shows `.000`.
    pub fn print(self, zone: &str) -> Result<String> {
        let (year, month, day) = self.date()?;
        let (hour, minute, second) = (self.part(Part::Hours)?, self.part(Part::Minutes)?, self.part(Part::Seconds)?);
        let fraction = match self.0.rem_euclid(MICROS_PER_SECOND) {
            0 => String::new(),
            micros => format!(".{:03}", micros / 1_000),
        };
        Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
    }

    /// Seconds since 1970-01-01.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Seconds from an earlier moment to this one.
    pub fn seconds_since(self, earlier: Instant) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    /// Midnight of the same day.
    pub fn start_of_day(self) -> Result<Instant> {
        self.date()?;
        Ok(Instant(self.0.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY))
    }

    /// Refuses what is in no year of the calendar.
    pub fn check_year(self) -> Result<()> {
        self.date().map(|_| ())
    }

    /// Something of the calendar or the clock.
    pub fn part(self, part: Part) -> Result<i64> {
        let second_of_day = self.0.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
        let clock = |value: i128| Ok(value as i64);
        match part {
            Part::Year => Ok(self.date()?.0),
            Part::Month => Ok(self.date()?.1),
            Part::Day => Ok(self.date()?.2),
            // 1970-01-01 was a Thursday; Monday is 1.
            Part::DayOfWeek => clock((self.0.div_euclid(MICROS_PER_DAY) + 3).rem_euclid(7) + 1),
            Part::DayOfYear => {
                let (year, ..) = self.date()?;
                let day = self.0.div_euclid(MICROS_PER_DAY) as i64;
                Ok(day - days_from_date(year, 1, 1)? + 1)
            }
            Part::Hours => clock(second_of_day / 3600),
            Part::Minutes => clock(second_of_day / 60 % 60),
            Part::Seconds => clock(second_of_day % 60),
        }
    }

    /// Year, month and day.
    fn date(self) -> Result<(i64, i64, i64)> {
        let days = self.0.div_euclid(MICROS_PER_DAY);
        // Ten thousand years are fewer than four million days.
        let date = i64::try_from(days).ok().filter(|days| days.abs() < 4_000_000).map(date_from_days);
        match date {
            Some(date) if (1400..=9999).contains(&date.0) => Ok(date),
            _ => Err(fault("Year is out of valid range: 1400..9999")),
        }
    }
}

fn fault(what: &str) -> Error {
    Error::logic(format!("Error in time logic: {what}."))
}
