//! `logs`: the newest lines of the server's log. The key is `[time, server]`.

use photondb_reql::datum::time::date_from_days;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, News, Viewer, fields};
use crate::catalog;
use crate::telemetry::log_lines;

/// The table.
pub(super) struct Logs;

impl Contents for Logs {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let node = viewer.ground.node();
        let server = catalog::server(&viewer.state, node, viewer.format);
        let row = |line: crate::telemetry::LogLine| {
            let key = vec![Datum::from(time_of(line.unix_nanos)), Datum::from(node.to_string())];
            Datum::Object(Object::from([
                ("id", Datum::from(key)),
                ("level", Datum::from(line.level)),
                ("message", Datum::from(line.message)),
                ("server", server.clone()),
                ("timestamp", fields::time(i64::try_from(line.unix_nanos / 1_000).unwrap_or(i64::MAX))),
                ("uptime", Datum::Number(line.uptime.as_secs_f64())),
            ]))
        };
        Ok(log_lines().all().into_iter().map(row).collect())
    }

    fn news(&self) -> News {
        News::OfTheLog
    }
}

/// `2026-11-20T16:37:41.152878770`, in UTC.
fn time_of(unix_nanos: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let (seconds, nanos) = (unix_nanos / SECOND, unix_nanos % SECOND);
    // There are fewer days in 64 bits of nanoseconds than fit.
    let (year, month, day) = date_from_days(i64::try_from(seconds / 86_400).unwrap_or(i64::MAX));
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rethinkdb_writes_them() {
        assert_eq!(time_of(1_795_192_661_152_878_770), "2026-11-20T16:37:41.152878770");
        assert_eq!(time_of(0), "1970-01-01T00:00:00.000000000");
    }
}
