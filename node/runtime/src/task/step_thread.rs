//! A named thread that does one kind of work in steps: the log writer, checkpoints.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use tokio::sync::Notify;

use super::{sleep, spawn_local, timeout};

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

/// The most that [`StepThread::of_current`] waits before it asks whether there is still something to wait for.
pub const LATENCY_MAX: Duration = Duration::from_secs(1);

/// Owns the thread. Dropping it asks the thread to stop after the step that is going on, and joins it.
pub struct StepThread {
    waking: Waking,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Wakes a step thread. A wake during a step makes it run once more.
#[derive(Clone, Debug)]
pub struct Waking(Sleeper);

#[derive(Clone, Debug)]
enum Sleeper {
    Thread(Thread),
    Task(Arc<Notify>),
}

impl Waking {
    /// Runs the step soon. Cheap when the thread is running already.
    pub fn wake(&self) {
        match &self.0 {
            Sleeper::Thread(thread) => thread.unpark(),
            // Kept until the task sleeps, like the token of a thread.
            Sleeper::Task(task) => task.notify_one(),
        }
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
        let waking = Waking(Sleeper::Thread(thread.thread().clone()));
        Ok(StepThread { waking, stop, thread: Some(thread) })
    }

    /// No thread of its own: a task of the calling thread's local set runs the steps, each after the time that `latency`
    /// says it takes; when that is [`LATENCY_MAX`], it is asked again after it. For programs that run everything on one thread. It ends with that thread's runtime, or after the step
    /// that follows the drop of what is returned; nobody waits for that.
    pub fn of_current(
        mut step: impl FnMut() -> Step + 'static,
        mut latency: impl FnMut() -> Duration + 'static,
    ) -> StepThread {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, work) = (stop.clone(), Arc::new(Notify::new()));
        let woken = work.clone();
        spawn_local(async move {
            while !stopped.load(Ordering::Acquire) {
                loop {
                    let spent = latency();
                    sleep(spent).await;
                    if spent < LATENCY_MAX || stopped.load(Ordering::Acquire) {
                        break;
                    }
                }
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                match step() {
                    Step::Again => {}
                    Step::Idle => woken.notified().await,
                    // Woken or not, it is time.
                    Step::After(duration) => drop(timeout(duration, woken.notified()).await),
                    Step::Stop => break,
                }
            }
        });
        StepThread { waking: Waking(Sleeper::Task(work)), stop, thread: None }
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
    fn steps_of_the_calling_thread_take_their_time_and_end_when_dropped() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
            let (seen, start) = (steps.clone(), tokio::time::Instant::now());
            let step = move || {
                seen.lock().unwrap().push(start.elapsed().as_millis());
                if seen.lock().unwrap().len() == 1 { Step::After(Duration::from_millis(10)) } else { Step::Idle }
            };
            let thread = StepThread::of_current(step, || Duration::from_millis(2));
            sleep(Duration::from_millis(50)).await;
            thread.waking().wake();
            sleep(Duration::from_millis(50)).await;
            assert_eq!(*steps.lock().unwrap(), [2, 14, 52]);
            let waking = thread.waking();
            drop(thread);
            waking.wake();
            sleep(Duration::from_millis(50)).await;
            assert_eq!(steps.lock().unwrap().len(), 3);
        });
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
