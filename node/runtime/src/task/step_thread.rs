//! A named thread that does one kind of work in steps: the log writer, checkpoints.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// What a step wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do: run again at once.
    Again,
    /// Nothing to do until somebody wakes the thread.
    Idle,
    /// Nothing to do for this long, unless somebody wakes the thread.
    After(Duration),
    /// End the thread.
    Stop,
}

/// Owns the thread. Dropping it asks the thread to stop after the step that is going on, and joins it.
pub struct StepThread {
    waking: Waking,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Wakes a step thread. A wake during a step makes it run once more.
#[derive(Clone, Debug)]
pub struct Waking {
    thread: Thread,
}

impl Waking {
    /// Runs the step soon. Cheap when the thread is running already.
    pub fn wake(&self) {
        self.thread.unpark();
    }
}

impl StepThread {
    /// Starts the thread `name`, which runs `step` until it says [`Step::Stop`]. A panic in `step` is a broken invariant
    /// of the node, whose writes would wait for ever: it ends the process.
    pub fn start(name: impl Into<String>, mut step: impl FnMut() -> Step + Send + 'static) -> io::Result<StepThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let name = name.into();
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                match catch_unwind(AssertUnwindSafe(&mut step)) {
                    Ok(Step::Again) => {}
                    // A wake that came since the last park makes the next park return at once, so none is lost.
                    Ok(Step::Idle) => thread::park(),
                    Ok(Step::After(duration)) => thread::park_timeout(duration),
                    Ok(Step::Stop) => break,
                    Err(_) => {
                        tracing::error!(thread = name, "a thread the node cannot do without has panicked; ending");
                        std::process::abort();
                    }
                }
            }
        })?;
        Ok(StepThread { waking: Waking { thread: thread.thread().clone() }, stop, thread: Some(thread) })
    }

    /// A way to wake the thread.
    pub fn waking(&self) -> Waking {
        self.waking.clone()
    }

    /// Waits until the thread has ended by itself ([`Step::Stop`]).
    pub fn join(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: panics end the process.
            let _ = thread.join();
        }
    }
}

impl Drop for StepThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waking.wake();
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_idle_thread_runs_when_woken_and_never_misses_a_wake() {
        let (work, todo) = mpsc::channel::<u32>();
        let (done, results) = mpsc::channel();
        let thread = StepThread::start("steps", move || match todo.try_recv() {
            Ok(number) => {
                done.send(number).unwrap();
                Step::Again
            }
            Err(mpsc::TryRecvError::Empty) => Step::Idle,
            Err(mpsc::TryRecvError::Disconnected) => Step::Stop,
        })
        .unwrap();
        for number in 0..1_000 {
            work.send(number).unwrap();
            thread.waking().wake();
            if number % 3 == 0 {
                assert_eq!(results.recv_timeout(Duration::from_secs(10)), Ok(number));
            } else {
                results.recv_timeout(Duration::from_secs(10)).unwrap();
            }
        }
        drop(work);
        thread.waking().wake();
        thread.join();
    }

    #[test]
    fn a_sleeping_thread_goes_on_by_itself_and_stops_when_dropped() {
        let (tick, ticks) = mpsc::channel();
        let thread = StepThread::start("ticks", move || {
            tick.send(()).unwrap();
            Step::After(Duration::from_millis(1))
        })
        .unwrap();
        for _ in 0..3 {
            ticks.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        drop(thread);
        while ticks.try_recv().is_ok() {}
        assert_eq!(ticks.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
