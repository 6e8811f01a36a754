//! Many seeds on several threads, until something fails or a budget is spent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::sums::Sums;
use crate::{Plan, Report, run};

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Runs at least, however long they take.
    pub runs_min: u64,
    /// Runs at most.
    pub runs_max: u64,
    /// After this no run begins beyond the least.
    pub time: Duration,
    /// How many at once.
    pub threads: usize,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Of the runs that held.
    pub sums: Sums,
    /// Runs that failed, unless nobody stopped at the first.
    pub failed: Vec<Report>,
}

/// Name of the threads that run seeds. What panics there is in the report, and need not be printed.
pub const THREAD: &str = "fault run";

/// Runs seeds from `first` on, each of `steps` actions. `keep_going`: failures end nothing.
pub fn campaign(first: u64, steps: u64, budget: Budget, keep_going: bool) -> Outcome {
    let (began, next, stop) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
    let outcome = Mutex::new(Outcome::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= budget.runs_max || (number >= budget.runs_min && began.elapsed() >= budget.time) {
                return;
            }
            let report = run(&Plan::draw(first + number, steps), false);
            let mut outcome = outcome.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if report.violation.is_none() {
                outcome.sums.add(&report);
                continue;
            }
            outcome.failed.push(report);
            stop.store(!keep_going, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..budget.threads {
            let thread = thread::Builder::new().name(THREAD.to_owned());
            thread.spawn_scoped(scope, work).expect("the system has a thread for us");
        }
    });
    outcome.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Keeps what panics in a run from being printed: the report has it.
pub fn hush_runs() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() != Some(THREAD) {
            print(panic);
        }
    }));
}
