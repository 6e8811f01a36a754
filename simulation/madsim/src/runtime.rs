//! Runtimes: the one that runs the world. A thread with one of its own cannot be made.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;

use madsim::runtime::NodeHandle;

use crate::task::JoinHandle;

/// Makes no runtime.
#[derive(Debug)]
pub struct Builder(());

impl Builder {
    /// One thread.
    pub fn new_current_thread() -> Builder {
        Builder(())
    }

    /// Timers and sockets.
    pub fn enable_all(&mut self) -> &mut Builder {
        self
    }

    /// Timers.
    pub fn enable_time(&mut self) -> &mut Builder {
        self
    }

    /// Refuses.
    pub fn build(&mut self) -> io::Result<Runtime> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a simulated world has one runtime and no threads"))
    }
}

/// As long as it lives, the calling thread has the timers of the runtime.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct EnterGuard<'a>(PhantomData<&'a Handle>);

/// There is none.
#[derive(Debug)]
pub enum Runtime {}

impl Runtime {
    /// A way to start tasks on it.
    pub fn handle(&self) -> &Handle {
        match *self {}
    }

    /// Makes it the calling thread's.
    pub fn enter(&self) -> EnterGuard<'_> {
        match *self {}
    }

    /// Runs `future`.
    pub fn block_on<F: Future>(&self, _future: F) -> F::Output {
        match *self {}
    }
}

/// Starts tasks of one life of a node. After that life nothing that is started runs.
#[derive(Clone)]
pub struct Handle(NodeHandle);

impl Handle {
    /// Of the node whose task calls.
    ///
    /// # Panics
    ///
    /// Outside of every task.
    pub fn current() -> Handle {
        let node = madsim::runtime::Handle::current().get_node(madsim::plugin::node());
        Handle(node.expect("a task belongs to a node"))
    }

    /// Makes its timers those of the caller, whose they are anyway.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard(PhantomData)
    }

    /// Starts a task.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0.id()).finish()
    }
}
