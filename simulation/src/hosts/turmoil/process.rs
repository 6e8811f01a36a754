//! A process of a machine: its tasks on a runtime of its own, whose time the simulation lets pass.
//!
//! turmoil steps every host in each step. So what a process does is not a host of turmoil, but a runtime beside it that is
//! stepped by the machine: at another rate, when the machine's clock runs at another one, or not at all, when it is paused.
//! Nothing of a paused process runs, not even what a library has spawned; when it wakes, every timer that should have struck
//! meanwhile strikes at once, as after SIGSTOP and SIGCONT.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, RngSeed, Runtime, UnhandledPanic};
use tokio::task::LocalSet;
use tokio::time::{Instant, advance, sleep};

/// The finest time that a runtime's timers know.
const GRAIN: Duration = Duration::from_millis(1);

/// Tasks that run while the simulation lets time pass. Dropping it is a crash: nothing of it runs to any end.
pub struct Process {
    runtime: Option<Runtime>,
    local: LocalSet,
}

impl Process {
    /// A process that begins with `main` as soon as time passes. `seed` decides what tokio leaves open.
    pub fn start(seed: u64, main: impl Future<Output = ()> + 'static) -> Process {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).rng_seed(RngSeed::from_bytes(&bytes));
        let runtime = builder.unhandled_panic(UnhandledPanic::ShutdownRuntime).build();
        let runtime = runtime.expect("a runtime without I/O needs nothing from the system");
        let mut local = LocalSet::new();
        local.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        // Timers have whole milliseconds of a time that began somewhere within one.
        runtime.block_on(async { sleep(GRAIN).await });
        runtime.block_on(local.run_until(async { drop(tokio::task::spawn_local(main)) }));
        Process { runtime: Some(runtime), local }
    }

    /// Lets it run while so much of its time passes.
    pub fn run_for(&self, duration: Duration) {
        self.runtime().block_on(self.local.run_until(async { sleep(duration).await }));
    }

    /// So much time passes, and nothing of it runs.
    pub fn skip(&self, duration: Duration) {
        self.runtime().block_on(advance(duration));
    }

    /// Where its time is now.
    pub fn instant(&self) -> Instant {
        let _inside = self.runtime().enter();
        Instant::now()
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken by drop alone")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What waits in the local set is dropped after what was spawned beside it, as turmoil does.
        drop(self.runtime.take());
    }
}

/// A machine's time over all lives of its processes. Clones are the same.
#[derive(Clone, Default)]
pub struct MachineTime {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Nanoseconds since the beginning of the run at which the process stands.
    now: AtomicU64,
    /// What the time of the process's runtime was then.
    anchor: Mutex<Option<Instant>>,
    /// How far the wall clock has jumped, in microseconds.
    jumped: AtomicI64,
}

impl MachineTime {
    /// The process stands at `now`, where its own time is `instant`; without a process there is none.
    pub fn set(&self, now: Duration, instant: Option<Instant>) {
        self.inner.now.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        *self.inner.anchor.lock() = instant;
    }

    /// The wall clock, and no other, jumps by so many microseconds.
    pub fn jump(&self, micros: i64) {
        self.inner.jumped.fetch_add(micros, Ordering::Relaxed);
    }

    /// How far it has jumped so far.
    pub fn jumped(&self) -> i64 {
        self.inner.jumped.load(Ordering::Relaxed)
    }

    /// The time since the beginning of the run, as the machine counts it.
    pub fn now(&self) -> Duration {
        let began = Duration::from_nanos(self.inner.now.load(Ordering::Relaxed));
        // From outside, time stands where the last step has left it.
        match *self.inner.anchor.lock() {
            Some(anchor) if Handle::try_current().is_ok() => began + Instant::now().saturating_duration_since(anchor),
            _ => began,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_of_a_paused_process_runs_and_every_timer_is_late_at_once() {
        let events = Rc::new(RefCell::new(Vec::new()));
        let (ticks, spins, foreign) = (events.clone(), events.clone(), Arc::new(AtomicU64::new(0)));
        let counted = foreign.clone();
        let (wake, mut woken) = tokio::sync::mpsc::unbounded_channel::<()>();
        let process = Process::start(1, async move {
            tokio::task::spawn_local(async move {
                while woken.recv().await.is_some() {
                    spins.borrow_mut().push("message");
                }
            });
            // As a library does it, on the runtime itself.
            tokio::spawn(async move {
                loop {
                    sleep(millis(3)).await;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
            let began = Instant::now();
            sleep(millis(10)).await;
            assert_eq!(began.elapsed(), millis(10));
            ticks.borrow_mut().push("on time");
            sleep(millis(10)).await;
            assert_eq!(began.elapsed(), millis(5_016), "the clock went on");
            ticks.borrow_mut().push("late");
        });
        // What is due at the very end of a stretch belongs to the next one.
        process.run_for(millis(16));
        assert_eq!(*events.borrow(), ["on time"]);
        assert_eq!(foreign.load(Ordering::Relaxed), 5);
        wake.send(()).unwrap();
        assert_eq!(*events.borrow(), ["on time"], "a message to a paused process waits");
        process.skip(millis(5_000));
        assert_eq!(*events.borrow(), ["on time"]);
        assert_eq!(foreign.load(Ordering::Relaxed), 5);
        process.run_for(millis(1));
        let mut after = events.borrow()[1..].to_vec();
        after.sort_unstable();
        assert_eq!(after, ["late", "message"]);
        assert_eq!(foreign.load(Ordering::Relaxed), 6, "what was due many times strikes once");
    }

    #[test]
    fn a_machine_s_time_stands_still_outside_and_goes_on_inside() {
        let time = MachineTime::default();
        let (seen, inside) = (Rc::new(RefCell::new(Vec::new())), time.clone());
        let kept = seen.clone();
        let process = Process::start(1, async move {
            sleep(millis(2)).await;
            kept.borrow_mut().push(inside.now());
        });
        time.set(millis(100), Some(process.instant()));
        process.run_for(millis(5));
        assert_eq!(*seen.borrow(), [millis(102)]);
        assert_eq!(time.now(), millis(100));
        time.set(millis(105), Some(process.instant()));
        drop(process);
        assert_eq!(time.now(), millis(105));
    }
}
