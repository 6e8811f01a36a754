//! The newest lines of a node's log.

use photondb_proto::v1::report::{Log, LogCall, LogLine};

use crate::telemetry::log_lines;

pub(super) fn lines(call: &LogCall) -> Log {
    let lines = log_lines().after(call.after_nanos).into_iter().map(|line| LogLine {
        at_nanos: line.unix_nanos,
        uptime_micros: u64::try_from(line.uptime.as_micros()).unwrap_or(u64::MAX),
        level: line.level.to_owned(),
        message: line.message,
    });
    Log { lines: lines.collect() }
}
