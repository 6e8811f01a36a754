//! The thread that writes pages: checkpoints when they are due, between them cold nodes while memory is short of room for
//! changes, and when nothing of that is to be done it frees what dropped trees leave behind, and compacts the page file.
//!
//! One thread, because a checkpoint and [`Engine::evict_step`] take turns anyway: each needs the books of the page file for
//! itself. What that means for writers:
//!
//! - While a checkpoint runs nothing else is evicted. It gives memory back itself, a piece of about 1 MiB at a time, so a
//!   writer that waits for memory then waits for a piece, as it does between checkpoints. The exception is the end of a
//!   checkpoint, from its last piece to the superblock: two syncs of the disk. Until then at most the quarter of the budget
//!   that eviction keeps free, and what the checkpoint gave back, can be filled; past it writers wait for the syncs.
//! - A commit waits for neither. It meets the lock of its tree set, which is held for one piece's addresses.
//! - Purging the log behind a checkpoint is left to the Raft thread: it waits for the log, and this thread must not.
//!
//! Steps that nobody waits for are small and have pauses between them, so that they get out of the way of those that
//! somebody does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::gauge;
use photondb_consensus::{Groups, OnFatal};
use photondb_runtime::clock::{Clock, Moment};
use photondb_runtime::task::{Handle, JoinHandle, Step, StepThread, Threads};
use photondb_storage::fault::buggify;
use photondb_storage::limits::EVICTION_PIECE_BYTES;
use photondb_storage::{Engine, StorageError};

use super::PAGE_WRITER;
use crate::limits::{
    BUGGIFIED_PAUSE, CHECKPOINT_PERIOD_MAX, COMPACTION_SLOTS_PER_STEP, EVICTION_RETRY_PERIOD, RECLAIM_PAGES_PER_STEP,
    STORAGE_LOOK_PERIOD, TIDY_PAUSE,
};

/// Starts the thread. It sleeps until memory gets short, and looks at what else there may be to do every
/// [`STORAGE_LOOK_PERIOD`].
pub(in crate::node) fn start_page_writer(
    threads: &dyn Threads,
    engine: &Engine,
    groups: &Groups,
    raft: Handle,
    clock: Arc<dyn Clock>,
    fatal: OnFatal,
    compacting: Arc<AtomicBool>,
) -> io::Result<StepThread> {
    let mut pages = Pages {
        engine: engine.clone(),
        groups: groups.clone(),
        raft,
        schedule: Schedule::new(engine, clock.now()),
        clock,
        fatal,
        longest_checkpoint: Duration::ZERO,
        purging: None,
        compacting,
    };
    let thread = threads.steps(PAGE_WRITER, Box::new(move || pages.step()))?;
    let waking = thread.waking();
    engine.set_memory_waker(Box::new(move || waking.wake()));
    Ok(thread)
}

struct Pages {
    engine: Engine,
    groups: Groups,
    raft: Handle,
    clock: Arc<dyn Clock>,
    fatal: OnFatal,
    schedule: Schedule,
    longest_checkpoint: Duration,
    /// The log is being purged behind the last checkpoint.
    purging: Option<JoinHandle<()>>,
    /// Shown to others.
    compacting: Arc<AtomicBool>,
}

impl Pages {
    fn step(&mut self) -> Step {
        // First, because evicting alone would go on for ever under load, and the log would never end.
        if self.schedule.is_due(&self.engine, self.clock.now()) {
            self.checkpoint()
        } else if self.engine.should_evict() {
            self.evict()
        } else {
            self.tidy()
        }
    }

    fn checkpoint(&mut self) -> Step {
        let began = self.clock.now();
        match self.engine.checkpoint_in_passing() {
            Ok(report) => {
                let took = self.clock.now().since(began);
                tracing::debug!(?report, ?took, "checkpoint");
                self.longest_checkpoint = self.longest_checkpoint.max(took);
                gauge!("photondb_storage_checkpoint_last_seconds").set(took.as_secs_f64());
                gauge!("photondb_storage_checkpoint_max_seconds").set(self.longest_checkpoint.as_secs_f64());
                self.purge();
                if self.schedule.made(&self.engine, self.clock.now()) {
                    tracing::info!("pages can be written again");
                }
                Step::Again
            }
            Err(error) => match self.failed("a checkpoint", &error) {
                // Cold nodes may still find a place, and writers wait for that.
                Step::After(_) if self.engine.should_evict() => Step::Again,
                step => step,
            },
        }
    }

    fn evict(&mut self) -> Step {
        match self.engine.evict_step(EVICTION_PIECE_BYTES) {
            // Nothing could be written: everything that changed belongs to transactions that go on.
            Ok(false) if self.engine.should_evict() => Step::After(EVICTION_RETRY_PERIOD),
            Ok(_) => Step::Again,
            Err(error) => self.failed("writing changed pages", &error),
        }
    }

    /// Writes may be refused until a checkpoint succeeds, so the next attempt does not wait until one is due.
    fn failed(&mut self, what: &str, error: &StorageError) -> Step {
        if error.is_fatal() {
            (self.fatal)(format!("{what} failed: {error}"));
            return Step::Stop;
        }
        if self.schedule.failed(self.clock.now()) {
            tracing::error!(%error, "{what} failed and is tried again and again; writes may be refused");
        }
        Step::After(STORAGE_LOOK_PERIOD)
    }

    /// What nobody waits for.
    fn tidy(&mut self) -> Step {
        match self.engine.reclaim_step(RECLAIM_PAGES_PER_STEP) {
            Ok(0) => {}
            Ok(_) => return Step::After(TIDY_PAUSE),
            // The trees that can be read are freed all the same, by checkpoints too.
            Err(error) => tracing::debug!(%error, "a dropped tree cannot be read; its space is lost"),
        }
        let compacted = self.engine.compact_step(COMPACTION_SLOTS_PER_STEP);
        self.compacting.store(matches!(compacted, Ok(1..)), Ordering::Relaxed);
        match compacted {
            Ok(0) if buggify!("server/pages-looked-at-early") => Step::After(BUGGIFIED_PAUSE),
            Ok(0) => Step::After(STORAGE_LOOK_PERIOD),
            Ok(_) => Step::After(TIDY_PAUSE),
            Err(error) if error.is_fatal() => self.failed("compaction", &error),
            // The page that cannot be read stays where it is; what lies in other extents is moved in a later round.
            Err(error) => {
                tracing::warn!(%error, "compaction stopped at a page, and begins anew later");
                Step::After(STORAGE_LOOK_PERIOD)
            }
        }
    }

    /// Lets every group forget the log that the checkpoint has made superfluous.
    fn purge(&mut self) {
        let still = self.purging.as_ref().is_some_and(|purging| !purging.is_finished());
        if still || buggify!("server/log-not-purged") {
            // What it leaves is purged behind the next checkpoint.
            return;
        }
        let groups = self.groups.list();
        self.purging = Some(self.raft.spawn(async move {
            for group in groups {
                if let Err(error) = group.purge_behind().await {
                    tracing::debug!(group = %group.id(), %error, "its log was not purged");
                }
            }
        }));
    }
}

/// When the next checkpoint is due.
struct Schedule {
    /// When the last one was made, and what the log had written by then.
    last: Moment,
    last_log_bytes: u64,
    /// Pages could not be written; when to try again.
    retry: Option<Moment>,
}

impl Schedule {
    fn new(engine: &Engine, now: Moment) -> Schedule {
        Schedule { last: now, last_log_bytes: engine.wal().metrics().bytes_written, retry: None }
    }

    fn is_due(&self, engine: &Engine, now: Moment) -> bool {
        if let Some(retry) = self.retry {
            return now >= retry;
        }
        let idle_bytes = engine.wal().metrics().bytes_written - self.last_log_bytes;
        let changed = || engine.metrics().dirty_bytes > 0 || idle_bytes > LOG_IDLE_BYTES;
        engine.should_checkpoint() || (now.since(self.last) >= CHECKPOINT_PERIOD_MAX && changed())
    }

    fn is_failing(&self) -> bool {
        self.retry.is_some()
    }

    /// A checkpoint was made; gives whether it is the first after failures.
    fn made(&mut self, engine: &Engine, now: Moment) -> bool {
        let failed_before = self.is_failing();
        *self = Schedule::new(engine, now);
        failed_before
    }

    /// Pages could not be written; gives whether that is new.
    fn failed(&mut self, now: Moment) -> bool {
        self.retry.replace(now + STORAGE_LOOK_PERIOD).is_none()
    }
}

/// What a checkpoint and idle marks write to the log themselves; less than this is not a change.
const LOG_IDLE_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use photondb_runtime::clock::ManualClock;
    use photondb_storage::{EngineOptions, TreeId, TreeSetId};

    use super::*;

    fn engine_with_a_change() -> Engine {
        let engine = Engine::in_memory(EngineOptions::default());
        let set = engine.create_tree_set(TreeSetId(1)).expect("is new");
        let mut transaction = set.begin();
        transaction.create_tree(TreeId(1)).expect("is new");
        transaction.put(TreeId(1), b"key", b"value").expect("fits");
        transaction.commit().expect("commits");
        engine
    }

    #[test]
    fn a_change_waits_a_minute_at_most_and_without_one_nothing_is_due() {
        let clock = ManualClock::default();
        let unchanged = Engine::in_memory(EngineOptions::default());
        let changed = engine_with_a_change();
        let mut idle = Schedule::new(&unchanged, clock.now());
        let mut busy = Schedule::new(&changed, clock.now());
        clock.advance(CHECKPOINT_PERIOD_MAX - Duration::from_millis(1));
        assert!(!busy.is_due(&changed, clock.now()));
        clock.advance(Duration::from_millis(1));
        assert!(busy.is_due(&changed, clock.now()));
        assert!(!idle.is_due(&unchanged, clock.now()));
        assert!(!busy.made(&changed, clock.now()) && !idle.made(&unchanged, clock.now()));
        assert!(!busy.is_due(&changed, clock.now()));
    }

    #[test]
    fn after_a_failure_it_is_tried_again_soon_until_it_succeeds() {
        let clock = ManualClock::default();
        let engine = Engine::in_memory(EngineOptions::default());
        let mut schedule = Schedule::new(&engine, clock.now());
        assert!(schedule.failed(clock.now()), "is new");
        assert!(!schedule.is_due(&engine, clock.now()));
        clock.advance(STORAGE_LOOK_PERIOD);
        assert!(schedule.is_due(&engine, clock.now()));
        assert!(!schedule.failed(clock.now()), "is known");
        clock.advance(STORAGE_LOOK_PERIOD);
        assert!(schedule.made(&engine, clock.now()), "ends the failures");
        assert!(!schedule.is_due(&engine, clock.now()));
    }
}
