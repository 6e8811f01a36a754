//! New lines of all servers' logs. Only those are asked for that come after the ones that are known.

use std::collections::BTreeMap;
use std::time::Duration;

use photondb_proto::NodeId;
use photondb_proto::v1::report::call::Ask;
use photondb_proto::v1::report::{LogCall, LogLine};
use photondb_query::table::{Change, Position, Subscription};
use photondb_reql::error::{Error, Result};
use photondb_runtime::{fiber, task};
use tokio::sync::watch;

use super::super::{Source, logs};
use crate::limits::SYSTEM_FEED_LOOK_PERIOD;
use crate::telemetry::log_lines;

/// Lines are gathered for so long before they are shown: each look asks every server.
const GATHERED_FOR: Duration = Duration::from_millis(50);

/// A subscription to `logs`.
pub(in super::super) struct LogFeed {
    source: Source,
    /// The newest line of each server that was seen, in nanoseconds since the epoch.
    seen: BTreeMap<NodeId, u64>,
    /// When the feed began. Of a server that is first heard of later, only lines that are newer are new.
    began: u64,
    /// Tells of lines of this server.
    here: watch::Receiver<u64>,
    position: u64,
}

impl LogFeed {
    pub fn open(source: Source) -> LogFeed {
        let mut here = log_lines().watch();
        here.mark_unchanged();
        let micros = source.ground.foundation().clock.wall().micros;
        let began = u64::try_from(micros).unwrap_or(0).saturating_mul(1_000);
        let mut feed = LogFeed { source, seen: BTreeMap::new(), began, here, position: 0 };
        // Each server's clock is its own: what it has now is old.
        for (node, line) in logs::lines(feed.source.ground.ask_all(Ask::Log(LogCall { after_nanos: 0 }))) {
            feed.seen.insert(node, line.at_nanos);
        }
        feed
    }

    fn new_lines(&mut self) -> Vec<(NodeId, LogLine)> {
        let after = |node| *self.seen.get(&node).unwrap_or(&self.began);
        let ask = |node| Some(Ask::Log(LogCall { after_nanos: after(node) }));
        let heard = fiber::wait(self.source.ground.reporter().ask_each(ask));
        let mut lines: Vec<_> = logs::lines(heard).filter(|(node, line)| line.at_nanos > after(*node)).collect();
        lines.sort_by_key(|(_, line)| line.at_nanos);
        for (node, line) in &lines {
            let newest = self.seen.entry(*node).or_default();
            *newest = line.at_nanos.max(*newest);
        }
        lines
    }
}

impl Subscription for LogFeed {
    fn next(&mut self) -> Result<Vec<Change>> {
        loop {
            let changes = self.try_next()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            let waited = fiber::wait(task::timeout(SYSTEM_FEED_LOOK_PERIOD, self.here.changed()));
            match waited {
                // Nothing was logged here; perhaps elsewhere.
                Err(_) => {}
                Ok(Ok(())) => fiber::wait(task::sleep(GATHERED_FOR)),
                Ok(Err(_)) => return Err(Error::op_failed("The server is shutting down.")),
            }
        }
    }

    fn try_next(&mut self) -> Result<Vec<Change>> {
        self.here.mark_unchanged();
        let lines = self.new_lines();
        let viewer = self.source.viewer();
        let rows: Vec<_> = lines.into_iter().map(|(node, line)| logs::row(&viewer, node, line)).collect();
        let changes = rows.into_iter().map(|row| {
            self.position += 1;
            Change {
                old: None,
                new: Some(row),
                position: Position { index: self.position, ..Position::default() },
                then: Default::default(),
            }
        });
        Ok(changes.collect())
    }
}
