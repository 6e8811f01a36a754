//! Where a node's threads come from.

use std::io;

use super::{Executor, Step, StepThread};

/// Work in steps, to be run on a thread of its own.
pub type Steps = Box<dyn FnMut() -> Step + Send>;

/// Starts threads, or what stands for them.
pub trait Threads: Send + Sync + 'static {
    /// A thread that runs tasks.
    fn executor(&self, name: &str) -> io::Result<Executor>;

    /// A thread that runs `steps`.
    fn steps(&self, name: &str, steps: Steps) -> io::Result<StepThread>;
}
