//! Tasks: of madsim, each of the node whose task has started it.

use std::future::Future;

use crate::runtime::Runtime;

pub use madsim::task::{AbortHandle, Id, JoinError, JoinHandle, spawn, spawn_local};
pub use real::task::{LocalKey, futures, unconstrained, yield_now};

/// Runs `work` as a task: nothing blocks here.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn(async move { work() })
}

/// Tasks of one thread. All are: there is one thread.
#[derive(Debug, Default)]
pub struct LocalSet;

impl LocalSet {
    /// An empty set.
    pub fn new() -> LocalSet {
        LocalSet
    }

    /// Runs `future` on `runtime`, of which there is none.
    pub fn block_on<F: Future>(&self, runtime: &Runtime, _future: F) -> F::Output {
        match *runtime {}
    }
}
