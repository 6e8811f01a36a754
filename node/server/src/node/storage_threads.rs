//! The threads that drive storage: one writes the log, one writes pages.

mod pages;

use std::io;

use photondb_consensus::OnFatal;
use photondb_runtime::task::{Step, StepThread, Threads};
use photondb_storage::Engine;
use photondb_storage::fault::buggify;

use crate::limits::{BUGGIFIED_PAUSE, LOG_IDLE_TIME, LOG_SHRINK_IDLE_TIME, STORAGE_LOOK_PERIOD};

pub(super) use pages::start_page_writer;

pub(super) const LOG_WRITER: &str = "log-writer";
pub(super) const PAGE_WRITER: &str = "page-writer";
pub(super) const RAFT: &str = "raft";

/// From here on a panic on a thread that the node cannot do without ends the process, after it was reported. Tokio would
/// catch one on the Raft thread, and whoever waited for what the task was doing would wait for ever.
pub(super) fn end_process_when_one_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            let current = std::thread::current();
            if let Some(thread @ (LOG_WRITER | PAGE_WRITER | RAFT)) = current.name() {
                tracing::error!(
                    thread,
                    "a thread the node cannot do without has panicked: {panic}; the process ends now. Nothing acknowledged is lost"
                );
                std::process::abort();
            }
        }));
    });
}

/// How long the log's queue has been empty.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Idle {
    /// It was not.
    No,
    /// For a moment.
    Short,
    /// For long enough that housekeeping was done.
    Long,
}

/// Starts the thread that writes and syncs the log whenever something is queued.
pub(super) fn start_log_writer(threads: &dyn Threads, engine: &Engine, fatal: OnFatal) -> io::Result<StepThread> {
    let wal = engine.wal().clone();
    let mut idle = Idle::No;
    let mut was_short = false;
    let steps = move || {
        if wal.is_short() != was_short {
            was_short = !was_short;
            match was_short {
                true => tracing::error!("the disk is full: writes are refused until there is space, reads go on"),
                false => tracing::info!("there is space for the log again: writes are taken"),
            }
        }
        if buggify!("server/log-written-late") {
            return Step::After(BUGGIFIED_PAUSE);
        }
        let result = match wal.step() {
            Ok(true) => {
                idle = Idle::No;
                return Step::Again;
            }
            // Refused writes wake nobody: this thread alone notices that there is space again, or makes do with less.
            Ok(false) if wal.is_short() => {
                let tried = wal.prepare().or_else(|error| if error.is_full() { wal.shrink() } else { Err(error) });
                tried.map(|()| Step::After(STORAGE_LOOK_PERIOD))
            }
            // The log's own housekeeping waits until the queue has been empty for a while: a client that sends one
            // write after the other must not find the thread busy with it.
            Ok(false) if idle == Idle::No => {
                idle = Idle::Short;
                return Step::After(LOG_IDLE_TIME);
            }
            Ok(false) => match idle {
                Idle::Short => {
                    idle = Idle::Long;
                    let rest = if buggify!("server/log-shrunk-early") { BUGGIFIED_PAUSE } else { LOG_SHRINK_IDLE_TIME };
                    wal.prepare().and_then(|()| wal.idle_mark()).map(|()| Step::After(rest))
                }
                _ => wal.shrink().map(|()| Step::Idle),
            },
            Err(error) => Err(error),
        };
        match result {
            Ok(step) => step,
            // Space comes back with a checkpoint, or from outside; writes are refused until then.
            Err(error) if error.is_full() => Step::After(STORAGE_LOOK_PERIOD),
            Err(error) => {
                fatal(format!("the log cannot be written: {error}"));
                Step::Stop
            }
        }
    };
    let thread = threads.steps(LOG_WRITER, Box::new(steps))?;
    let waking = thread.waking();
    engine.wal().set_waker(Box::new(move || waking.wake()));
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set for the process in which the thread of that name panics.
    const PANICKING: &str = "PHOTONDB_TEST_PANICKING_THREAD";

    #[test]
    fn a_panic_on_a_thread_the_node_needs_ends_the_process_and_on_another_does_not() {
        if let Ok(thread) = std::env::var(PANICKING) {
            end_process_when_one_panics();
            let executor = photondb_runtime::task::Executor::start(thread).expect("a thread starts");
            // Tokio catches it.
            let caught = executor.handle().block_on(async { panic!("a task of this thread panics") });
            assert!(caught.map(|never: ()| never).is_none());
            return;
        }
        let name = std::thread::current().name().expect("tests have names").to_owned();
        for (thread, survives) in [(RAFT, false), ("worker-1", true)] {
            let mut child = Command::new(std::env::current_exe().expect("this test is a file"));
            let output = child.args(["--exact", &name]).env(PANICKING, thread).output().expect("starts");
            assert_eq!(output.status.success(), survives, "{thread}: {output:?}");
        }
    }
}
