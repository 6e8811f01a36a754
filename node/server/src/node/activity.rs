//! How much is asked, read and written, in all and lately: what the system tables `stats` and `_debug_stats` show.
//!
//! Each client thread counts for itself and for each table; totals are added up when somebody looks. Rates are the
//! difference between now and a sample that is one to two seconds old.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use photondb_proto::TableId;
use photondb_runtime::clock::Moment;
use photondb_storage::Engine;
use rustc_hash::FxHashMap;

use crate::client::running::RunningQueries;
use crate::limits::{ACTIVITY_SAMPLE_PERIOD, ACTIVITY_SAMPLES_MAX};

/// What one client thread did to one table.
#[derive(Debug, Default)]
pub struct TableCounts {
    read: AtomicU64,
    written: AtomicU64,
}

impl TableCounts {
    /// So many documents were read.
    pub fn read(&self, documents: usize) {
        self.read.fetch_add(documents as u64, Ordering::Relaxed);
    }

    /// So many documents were changed.
    pub fn written(&self, documents: usize) {
        self.written.fetch_add(documents as u64, Ordering::Relaxed);
    }
}

/// Documents read and written since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// Read.
    pub read: u64,
    /// Inserted, changed or deleted.
    pub written: u64,
}

impl Documents {
    fn plus(self, other: Documents) -> Documents {
        Documents { read: self.read + other.read, written: self.written + other.written }
    }
}

/// Totals at one moment.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// When.
    pub at: Moment,
    /// Queries begun.
    pub queries: u64,
    /// By table; tables of which nothing was read or written are not there.
    pub tables: FxHashMap<TableId, Documents>,
    /// Bytes read from the page file.
    pub disk_read_bytes: u64,
    /// Bytes written to the page file and to the log.
    pub disk_written_bytes: u64,
}

impl Totals {
    /// Of one table.
    pub fn of(&self, table: TableId) -> Documents {
        self.tables.get(&table).copied().unwrap_or_default()
    }

    /// Of all tables, those that were dropped included.
    pub fn documents(&self) -> Documents {
        self.tables.values().copied().fold(Documents::default(), Documents::plus)
    }

    /// How fast a number grew since `before`, for each second.
    pub fn rate(&self, before: &Totals, number: impl Fn(&Totals) -> u64) -> f64 {
        let seconds = self.at.since(before.at).as_secs_f64();
        if seconds <= 0.0 { 0.0 } else { number(self).saturating_sub(number(before)) as f64 / seconds }
    }
}

/// The counts of all client threads, and samples of them.
#[derive(Debug, Default)]
pub struct Activity {
    counts: Mutex<Vec<(TableId, Arc<TableCounts>)>>,
    samples: Mutex<VecDeque<Totals>>,
}

impl Activity {
    /// Counts for one more client thread and table.
    pub fn counts(&self, table: TableId) -> Arc<TableCounts> {
        let counts = Arc::new(TableCounts::default());
        self.counts.lock().push((table, counts.clone()));
        counts
    }

    /// Everything until now.
    pub fn totals(&self, at: Moment, running: &RunningQueries, engine: &Engine) -> Totals {
        let mut tables: FxHashMap<TableId, Documents> = FxHashMap::default();
        for (table, counts) in &*self.counts.lock() {
            let more = Documents {
                read: counts.read.load(Ordering::Relaxed),
                written: counts.written.load(Ordering::Relaxed),
            };
            let documents = tables.entry(*table).or_default();
            *documents = documents.plus(more);
        }
        let (engine, log) = (engine.metrics(), engine.wal().metrics());
        Totals {
            at,
            queries: running.begun(),
            tables,
            disk_read_bytes: engine.page_bytes_read,
            disk_written_bytes: engine.page_bytes_written + engine.page_bytes_evicted + log.bytes_written,
        }
    }

    /// Keeps totals for rates.
    pub fn sample(&self, totals: Totals) {
        let mut samples = self.samples.lock();
        samples.push_back(totals);
        while samples.len() > ACTIVITY_SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// The newest sample that is old enough to tell a rate from; before there is one: nothing, at the start of the clock.
    pub fn before(&self, now: Moment) -> Totals {
        let samples = self.samples.lock();
        let old = |sample: &&Totals| now.since(sample.at) >= ACTIVITY_SAMPLE_PERIOD - SLACK;
        samples.iter().rev().find(old).or(samples.front()).cloned().unwrap_or_default()
    }
}

/// Timers are not exact.
const SLACK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use photondb_storage::EngineOptions;

    use super::*;

    #[test]
    fn rates_are_told_from_the_last_second_and_totals_from_all_threads() {
        let (activity, running) = (Activity::default(), RunningQueries::new(1));
        let engine = Engine::in_memory(EngineOptions::default());
        let at = |seconds: u64| Moment::from_start(Duration::from_secs(seconds));
        let (one, other) = (activity.counts(TableId(1)), activity.counts(TableId(1)));
        one.read(5);
        for second in 0..10 {
            activity.sample(activity.totals(at(second), &running, &engine));
        }
        other.read(6);
        one.written(2);
        activity.counts(TableId(2)).written(1);
        let now = activity.totals(at(10), &running, &engine);
        assert_eq!(now.of(TableId(1)), Documents { read: 11, written: 2 });
        assert_eq!(now.documents(), Documents { read: 11, written: 3 });
        let before = activity.before(now.at);
        assert_eq!(before.at, at(9));
        assert_eq!(now.rate(&before, |totals| totals.documents().read), 6.0);
        assert_eq!(now.rate(&before, |totals| totals.of(TableId(2)).written), 1.0);
    }
}
