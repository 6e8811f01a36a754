//! The newest lines of the process's log, kept in memory for the system table `logs`.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use photondb_runtime::clock::{Clock, Moment};
use photondb_runtime::system::SystemClock;
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, in nanoseconds since 1970-01-01T00:00:00Z; no two lines have the same, and later lines have greater ones.
    pub unix_nanos: u64,
    /// When, since the process began to log.
    pub uptime: Duration,
    /// In RethinkDB's words.
    pub level: &'static str,
    /// What happened.
    pub message: String,
}

/// The lines of this process.
pub struct LogLines {
    clock: SystemClock,
    began: Moment,
    lines: Mutex<VecDeque<LogLine>>,
    newest: watch::Sender<u64>,
}

/// Those of this process; empty until its log was started.
pub fn log_lines() -> &'static LogLines {
    static LINES: OnceLock<LogLines> = OnceLock::new();
    LINES.get_or_init(LogLines::new)
}

impl LogLines {
    fn new() -> LogLines {
        let clock = SystemClock::new();
        let began = clock.now();
        LogLines { clock, began, lines: Mutex::default(), newest: watch::channel(0).0 }
    }

    /// The lines after that time, oldest first; zero: all.
    pub fn after(&self, unix_nanos: u64) -> Vec<LogLine> {
        let lines = self.lines.lock();
        let old = lines.partition_point(|line| line.unix_nanos <= unix_nanos);
        lines.range(old..).cloned().collect()
    }

    /// Tells of new lines.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn add(&self, level: Level, mut message: String) {
        if message.len() > LOG_LINE_BYTES_MAX {
            let end = (0..=LOG_LINE_BYTES_MAX).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
            message.truncate(end);
            message.push_str("...");
        }
        let uptime = self.clock.now().since(self.began);
        let wall = u64::try_from(self.clock.wall().micros).unwrap_or(0).saturating_mul(1_000);
        let unix_nanos = {
            let mut lines = self.lines.lock();
            let unix_nanos = wall.max(lines.back().map_or(0, |line| line.unix_nanos + 1));
            if lines.len() == LOG_LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(LogLine { unix_nanos, uptime, level: level_name(level), message });
            unix_nanos
        };
        self.newest.send_replace(unix_nanos);
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

/// Puts events among the lines of this process.
pub(super) struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        log_lines().add(*event.metadata().level(), text.message + &text.fields);
    }
}

/// The message and behind it the fields, as the log has them.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn lines_have_their_fields_and_order_and_the_oldest_go() {
        let lines = LogLines::new();
        for number in 0..LOG_LINES_MAX + 5 {
            lines.add(Level::INFO, format!("line {number}"));
        }
        let all = lines.after(0);
        assert_eq!(lines.after(all[2].unix_nanos), all[3..]);
        assert_eq!((all.len(), all[0].message.as_str()), (LOG_LINES_MAX, "line 5"));
        assert!(all.windows(2).all(|pair| pair[0].unix_nanos < pair[1].unix_nanos));
        lines.add(Level::WARN, "ü".repeat(LOG_LINE_BYTES_MAX));
        assert!(lines.after(0).last().is_some_and(|line| line.message.len() <= LOG_LINE_BYTES_MAX + 3));
    }

    #[test]
    fn events_become_lines() {
        let subscriber = tracing_subscriber::registry().with(Keep);
        tracing::subscriber::with_default(subscriber, || tracing::warn!(number = 7, "a test {}", "speaks"));
        let lines = log_lines().after(0);
        assert!(lines.iter().any(|line| line.level == "warn" && line.message == "a test speaks number=7"), "{lines:?}");
    }
}
