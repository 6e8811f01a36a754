//! The terms of times. Parsing and the object itself live in [`crate::datum::time`], the calendar of a time and its printing
//! in [`calendar`].

mod calendar;

use crate::datum::{Datum, Object, ObjectBuilder, Str, time};
use crate::error::{Error, Result, ResultExt};
use crate::eval::terms::bounds;
use crate::eval::{Args, Cx, Value, signature};
use crate::term::TermKind;
use calendar::{Instant, Part};

const EPOCH_FIELD: &str = "epoch_time";
const ZONE_FIELD: &str = "timezone";

/// A time moved by seconds, in the same zone.
pub fn shift(moment: &Datum, seconds: f64) -> Result<Datum> {
    let (epoch, zone) = time::require(moment)?;
    time::from_epoch(epoch + seconds, &zone)
}

/// `now`: the moment at which the query began.
pub fn now(args: &Args<'_>) -> Result<Value> {
    start_of_query(args.cx()).map(Value::Datum)
}

/// The moment at which the query began.
pub fn start_of_query(cx: &Cx) -> Result<Datum> {
    let seconds = cx.world().now_micros() as f64 / 1_000_000.0;
    time::from_epoch(seconds, "+00:00")
}

/// `time(year, month, day[, hours, minutes, seconds], zone)`.
pub fn time(args: &Args<'_>) -> Result<Value> {
    if args.len() != 4 && args.len() != 7 {
        return Err(Error::logic(format!("Got {} arguments to TIME (expected 4 or 7).", args.len())));
    }
    let (year, month, day) = (args.small_integer(0)?, args.small_integer(1)?, args.small_integer(2)?);
    let (hours, minutes, seconds) =
        if args.len() == 7 { (args.small_integer(3)?, args.small_integer(4)?, args.number(5)?) } else { (0, 0, 0.0) };
    let zone = args.string(args.len() - 1)?;
    let midnight = calendar::midnight(year, month, day)?;
    let zone = time::sanitize_zone(&zone)?;
    let local = Instant::at(midnight).plus_micros(calendar::clock_micros(hours, minutes)).plus_seconds(seconds);
    Ok(time::from_epoch(local.minus_zone(&zone)?.seconds(), &zone)?.into())
}

/// `iso8601`: the time a text stands for; `default_timezone` for those that name no zone.
pub fn from_iso8601(args: &Args<'_>) -> Result<Value> {
    let text = args.datum(0)?;
    let default = args.optarg_string("default_timezone")?;
    let parse = || time::from_iso8601(text.as_string()?, default.as_deref());
    Ok(parse().at(args.id(0))?.into())
}

/// `to_iso8601`.
pub fn to_iso8601(args: &Args<'_>) -> Result<Value> {
    let moment = moment(args, 0)?;
    let instant = Instant::of(&moment)?;
    let zone = zone(&moment)?;
    let local = instant.local(&zone)?;
    instant.check_year()?;
    Ok(Datum::from(local.print(&zone)?).into())
}

/// `epoch_time`: a time in UTC.
pub fn from_epoch(args: &Args<'_>) -> Result<Value> {
    Ok(time::from_epoch(args.number(0)?, "+00:00")?.into())
}

/// `to_epoch_time`.
pub fn to_epoch(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::Number(epoch(&moment(args, 0)?)?).into())
}

/// `in_timezone`: the same moment, shown elsewhere.
pub fn in_timezone(args: &Args<'_>) -> Result<Value> {
    let moment = moment(args, 0)?;
    let zone = args.datum(1)?;
    let zone = time::sanitize_zone(zone.as_string()?)?;
    let mut fields = ObjectBuilder::from(moment.as_object()?.clone());
    fields.insert(Str::from_static(ZONE_FIELD), zone);
    Ok(Datum::from_fields(fields.build())?.into())
}

/// `timezone`.
pub fn timezone(args: &Args<'_>) -> Result<Value> {
    let moment = moment(args, 0)?;
    Ok(moment.as_object()?.get(ZONE_FIELD).unwrap_or(Datum::Null).into())
}

/// `during`: whether a moment lies in a range.
pub fn during(args: &Args<'_>) -> Result<Value> {
    let (moment, left, right) = (moment(args, 0)?, moment(args, 1)?, moment(args, 2)?);
    let (moment, left, right) = (epoch(&moment)?, epoch(&left)?, epoch(&right)?);
    let outside = left > moment
        || (left == moment && bounds::left_is_open(args)?)
        || moment > right
        || (moment == right && bounds::right_is_open(args)?);
    Ok((!outside).into())
}

/// `date`: midnight of the day of a time, in its zone.
pub fn date(args: &Args<'_>) -> Result<Value> {
    let moment = moment(args, 0)?;
    let instant = Instant::of(&moment)?;
    let zone = zone(&moment)?;
    let midnight = instant.local(&zone)?.start_of_day()?;
    Ok(time::from_epoch(midnight.minus_zone(&zone)?.seconds(), &zone)?.into())
}

/// `time_of_day`: the seconds since midnight, in the time's zone.
pub fn time_of_day(args: &Args<'_>) -> Result<Value> {
    let moment = moment(args, 0)?;
    let local = Instant::of(&moment)?.local(&zone(&moment)?)?;
    let since = local.seconds_since(local.start_of_day()?);
    Ok(Datum::Number(time::round_to_millis(since)?).into())
}

/// `year`, `month`, `day`, `day_of_week`, `day_of_year`, `hours`, `minutes`, `seconds`.
pub fn part(args: &Args<'_>) -> Result<Value> {
    let part = match args.kind() {
        TermKind::Year => Part::Year,
        TermKind::Month => Part::Month,
        TermKind::Day => Part::Day,
        TermKind::DayOfWeek => Part::DayOfWeek,
        TermKind::DayOfYear => Part::DayOfYear,
        TermKind::Hours => Part::Hours,
        TermKind::Minutes => Part::Minutes,
        TermKind::Seconds => Part::Seconds,
        other => return Err(Error::internal(format!("`{}` is no part of a time.", other.name()))),
    };
    let moment = moment(args, 0)?;
    let local = Instant::of(&moment)?.local(&zone(&moment)?)?;
    let mut value = local.part(part)? as f64;
    if part == Part::Seconds {
        value += time::round_to_millis(epoch(&moment)?.fract())?;
    }
    Ok(Datum::Number(value).into())
}

/// `monday` (1) to `sunday` (7), `january` (1) to `december` (12).
pub fn constant(args: &Args<'_>) -> Result<Value> {
    let number = args.kind().number();
    let first = match args.kind() {
        kind if kind >= TermKind::January => TermKind::January,
        _ => TermKind::Monday,
    };
    Ok(Datum::from(u32::from(number - first.number() + 1)).into())
}

/// Argument `index` as a time. Like RethinkDB this lets every pseudo-type in; the others fail at the field they lack.
fn moment(args: &Args<'_>, index: usize) -> Result<Datum> {
    args.convert(index, |value, cx| {
        let datum = value.into_datum(cx)?;
        if datum.ptype_name().is_none() {
            return Err(Error::logic(format!("Not a TIME pseudotype: `{}`.", datum.print_truncated())));
        }
        Ok(datum)
    })
}

fn epoch(moment: &Datum) -> Result<f64> {
    signature::number(&moment.field(EPOCH_FIELD)?)
}

fn zone(moment: &Datum) -> Result<Str> {
    let fields: &Object = moment.as_object()?;
    match fields.get(ZONE_FIELD) {
        Some(zone) => signature::string(&zone),
        None => Ok(Str::from_static("+00:00")),
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn made_shown_and_taken_apart() {
        check(&[
            (
                r#"[136,[2013,7,29,23,30,0.1,"-07:00"]]"#,
                r#"{"$reql_type$":"TIME","epoch_time":1375165800.1,"timezone":"-07:00"}"#,
            ),
            (r#"[102,[[136,[2013,[120,[]],29,"Z"]]]]"#, "1375056000"),
            (r#"[102,[[136,[2001,3,29,23,0,60,"Z"]]]]"#, "985906860"),
            (r#"[102,[[99,["2013-07-30T20:56:05-07:00"]]]]"#, "1375242965"),
            (r#"[100,[[99,["2013-07-30T20:56:05"],{"default_timezone":"-07"}]]]"#, r#""2013-07-30T20:56:05-07:00""#),
            ("[100,[[101,[1375147296.6812]]]]", r#""2013-07-30T01:21:36.681+00:00""#),
            ("[100,[[101,[896571240]]]]", r#""1998-05-30T23:34:00+00:00""#),
            (r#"[100,[[104,[[101,[-0.5]],"+02"]]]]"#, r#""1970-01-01T01:59:59.500+02:00""#),
            // Cut to milliseconds, and not rounded.
            ("[100,[[101,[1.001]]]]", r#""1970-01-01T00:00:01.000+00:00""#),
            (r#"[100,[[99,["2004-04-06T04:58:24.524Z"]]]]"#, r#""2004-04-06T04:58:24.523+00:00""#),
            // A time may be where the calendar does not go.
            (r#"[127,[[104,[[101,[0]],"+20:00"]]]]"#, r#""+20:00""#),
            (r#"[127,[[99,["2013"],{"default_timezone":"-7"}]]]"#, r#""-07:00""#),
            (r#"[127,[[104,[[101,[0]],"-0130"]]]]"#, r#""-01:30""#),
            (r#"[100,[[106,[[104,[[101,[1436428422.339]],"-08:00"]]]]]]"#, r#""2015-07-08T00:00:00-08:00""#),
            ("[126,[[101,[1375147296.6812]]]]", "4896.681"),
            (
                "[2,[[128,[[101,[1375147296.681]]]],[129,[[101,[1375147296.681]]]],[130,[[101,[1375147296.681]]]],[131,[[101,[1375147296.681]]]],[132,[[101,[1375147296.681]]]],[133,[[101,[1375147296.681]]]],[134,[[101,[1375147296.681]]]],[135,[[101,[1375147296.681]]]]]]",
                "[2013,7,30,2,211,1,21,36.681]",
            ),
            (r#"[135,[[24,[[136,[2012,12,15,"Z"]],1000000000000.0]]]]"#, "40"),
            ("[105,[[101,[1]],[101,[1]],[101,[2]]]]", "true"),
            ("[105,[[101,[2]],[101,[1]],[101,[2]]]]", "false"),
            (r#"[105,[[101,[1]],[101,[1]],[101,[2]]],{"left_bound":"open"}]"#, "false"),
            ("[2,[[107,[]],[113,[]],[114,[]],[125,[]]]]", "[1,7,1,12]"),
            ("[25,[[103,[]],[103,[]]]]", "0"),
            ("[52,[[103,[]]]]", r#""PTYPE<TIME>""#),
        ]);
    }

    #[test]
    fn faults() {
        let offset = "QueryLogic: Error in time logic: Offset out of range: 20:00:00.";
        let no_zone = "QueryLogic: ISO 8601 string has no time zone, and no default time zone was provided.";
        check(&[
            ("[100,[null]]", "QueryLogic: Not a TIME pseudotype: `null`."),
            (r#"[99,["2013"]]"#, no_zone),
            (
                r#"[99,["2013-07-30T20:56:05"],{"default_timezone":"xx"}]"#,
                "QueryLogic: Invalid ISO 8601 timezone: `xx+00`.",
            ),
            (r#"[136,[2013,1,1,"+25:00"]]"#, "QueryLogic: Hours out of range in `+25:00`."),
            (r#"[136,[2013,1,1,"+20:00"]]"#, offset),
            (r#"[136,[2013,1,1,"+99"]]"#, "QueryLogic: Error in time logic: Offset out of range: 99:00:00."),
            (r#"[99,["2013-01-01T00+20:00"]]"#, offset),
            (r#"[99,["2013"],{"default_timezone":"+20"}]"#, offset),
            (r#"[99,["2013"],{"default_timezone":"UTC"}]"#, no_zone),
            (r#"[100,[[104,[[101,[0]],"+20:00"]]]]"#, offset),
            (r#"[106,[[104,[[101,[0]],"+20:00"]]]]"#, offset),
            (r#"[126,[[104,[[101,[0]],"+20:00"]]]]"#, offset),
            (r#"[128,[[104,[[101,[0]],"+20:00"]]]]"#, offset),
            (r#"[135,[[104,[[101,[0]],"+20:00"]]]]"#, offset),
            (
                r#"[104,[[101,[0]],"+99"]]"#,
                "QueryLogic: Invalid time object constructed (invalid timezone string `\"+99:00\"`):\n{\n\t\"$reql_type$\":\t\"TIME\",\n\t\"epoch_time\":\t0,\n\t\"timezone\":\t\"+99:00\"\n}",
            ),
            (
                r#"[128,[{"$reql_type$":"TIME","epoch_time":0,"timezone":"+99"}]]"#,
                "QueryLogic: Hours out of range in `+99:00`.",
            ),
            ("[101,[1e307]]", "QueryLogic: Non-finite number: inf"),
            (r#"[136,[2000,13,0,"Z"]]"#, "QueryLogic: Error in time logic: Day of month value is out of range 1..31."),
            (r#"[136,[10000,13,29,"Z"]]"#, "QueryLogic: Error in time logic: Month number is out of range 1..12."),
            (r#"[136,[10000,1,29,"Z"]]"#, "QueryLogic: Error in time logic: Year is out of valid range: 1400..9999."),
            (r#"[136,[2013,2,30,"Z"]]"#, "QueryLogic: Error in time logic: Day of month is not valid for year."),
            ("[136,[2013,2,3,4,5,6]]", "QueryLogic: Got 6 arguments to TIME (expected 4 or 7)."),
            (r#"[104,[[101,[0]],"PST"]]"#, "QueryLogic: Timezone `PST` does not start with `-` or `+`."),
            (
                r#"[128,[[24,[[136,[9999,12,31,"Z"]],86400]]]]"#,
                "QueryLogic: Error in time logic: Year is out of valid range: 1400..9999.",
            ),
        ]);
    }
}
