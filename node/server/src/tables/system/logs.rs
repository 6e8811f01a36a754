//! `logs`: the newest lines of each server's log. The key is `[time, server]`.

use photondb_proto::NodeId;
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{LogCall, LogLine};
use photondb_reql::datum::time::date_from_days;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;

use super::{Contents, News, Viewer, fields};
use crate::catalog;
use crate::report::Heard;

/// The table.
pub(super) struct Logs;

impl Contents for Logs {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let lines = lines(viewer.ground.ask_all(Ask::Log(LogCall { after_nanos: 0 })));
        Ok(lines.map(|(node, line)| row(viewer, node, line)).collect())
    }

    fn news(&self) -> News {
        News::OfTheLog
    }
}

/// The lines that were told, and by whom.
pub(super) fn lines(heard: Vec<Heard>) -> impl Iterator<Item = (NodeId, LogLine)> {
    heard.into_iter().flat_map(|heard| {
        let lines = match heard.told {
            Some(Told::Log(log)) => log.lines,
            _ => Vec::new(),
        };
        lines.into_iter().map(move |line| (heard.node, line))
    })
}

/// As the table shows it.
pub(super) fn row(viewer: &Viewer<'_>, node: NodeId, line: LogLine) -> Datum {
    let key = vec![Datum::from(time_of(line.at_nanos)), Datum::from(node.to_string())];
    Datum::Object(Object::from([
        ("id", Datum::from(key)),
        ("level", Datum::from(line.level)),
        ("message", Datum::from(line.message)),
        ("server", catalog::server(&viewer.state, node, viewer.format)),
        ("timestamp", fields::time(i64::try_from(line.at_nanos / 1_000).unwrap_or(i64::MAX))),
        ("uptime", Datum::Number(line.uptime_micros as f64 / 1e6)),
    ]))
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
