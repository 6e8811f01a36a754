//! A named thread that runs tasks: a current-thread runtime with a local set.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::JoinHandle;
use crate::limits::EXECUTOR_STACK_BYTES;

type Job = Box<dyn FnOnce() + Send>;

/// Owns the thread. Dropping it ends the thread: its tasks are dropped where they wait (fibers are unwound), then it is
/// joined.
pub struct Executor {
    handle: Option<Handle>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Sends work to an executor's thread. Holding one does not keep the thread alive.
#[derive(Clone)]
pub struct Handle {
    runtime: tokio::runtime::Handle,
    jobs: mpsc::UnboundedSender<Job>,
}

impl Executor {
    /// Starts the thread `name`.
    pub fn start(name: impl Into<String>) -> io::Result<Executor> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut received) = mpsc::unbounded_channel::<Job>();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let handle = Handle { runtime: runtime.handle().clone(), jobs };
        let thread = thread::Builder::new().name(name.into()).stack_size(EXECUTOR_STACK_BYTES).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async move {
                loop {
                    tokio::select! {
                        biased;
                        _ = &mut stopped => break,
                        job = received.recv() => match job {
                            Some(job) => job(),
                            None => break,
                        },
                    }
                }
            });
        })?;
        Ok(Executor { handle: Some(handle), stop: Some(stop), thread: Some(thread) })
    }

    /// No thread of its own: its tasks run on the calling one, which is inside a current-thread runtime and a local set of
    /// somebody else's, and end with that runtime. For programs that run everything on one thread.
    pub fn of_current() -> Executor {
        Executor { handle: Some(Handle::of_current()), stop: None, thread: None }
    }

    /// A way to send work to the thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone().expect("the handle is taken by drop alone")
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.handle = None;
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("an executor's thread panicked");
        }
    }
}

impl Handle {
    /// A handle to the calling thread; see [`Executor::of_current`].
    pub fn of_current() -> Handle {
        let (jobs, mut received) = mpsc::unbounded_channel::<Job>();
        tokio::task::spawn_local(async move {
            while let Some(job) = received.recv().await {
                job();
            }
        });
        Handle { runtime: tokio::runtime::Handle::current(), jobs }
    }

    /// Starts a task on the thread.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.spawn(future)
    }

    /// Starts, on the thread's local set, the task that `make` returns there. Nothing happens when the executor has
    /// ended.
    pub fn spawn_local<F>(&self, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        // A closed channel means that the executor is gone, and with it everything the task could serve.
        let _ = self.jobs.send(Box::new(move || {
            tokio::task::spawn_local(make());
        }));
    }

    /// Runs `future` on the thread and blocks the caller, which must not be a task, until it is done. `None` when the
    /// executor ended first or the task panicked.
    pub fn block_on<F>(&self, future: F) -> Option<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (send, receive) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let _ = send.send(future.await);
        });
        receive.recv().ok()
    }

    /// The runtime itself, for libraries that ask for one.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::fiber;

    #[test]
    fn work_runs_on_the_named_thread() {
        let executor = Executor::start("worker-7").unwrap();
        let name = executor.handle().block_on(async { thread::current().name().map(str::to_owned) });
        assert_eq!(name.unwrap().as_deref(), Some("worker-7"));
    }

    #[test]
    fn local_tasks_may_hold_what_is_not_send() {
        let executor = Executor::start("local").unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        executor.handle().spawn_local(move || async move {
            let local = Rc::new(5);
            tokio::task::yield_now().await;
            send.send(*local).unwrap();
        });
        assert_eq!(receive.recv(), Ok(5));
    }

    #[test]
    fn dropping_the_executor_unwinds_the_fibers_it_runs() {
        struct Flag(Arc<AtomicBool>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(dropped.clone());
        let executor = Executor::start("short-lived").unwrap();
        let handle = executor.handle();
        let (started, wait_start) = std::sync::mpsc::channel();
        handle.spawn_local(move || async move {
            let fiber = fiber::run(fiber::StackSize::SMALL, move || {
                let _flag = flag;
                started.send(()).unwrap();
                fiber::wait(std::future::pending::<()>());
            });
            let _ = fiber.await;
        });
        wait_start.recv().unwrap();
        drop(executor);
        assert!(dropped.load(Ordering::SeqCst));
        assert_eq!(handle.block_on(async { 1 }), None);
    }
}
