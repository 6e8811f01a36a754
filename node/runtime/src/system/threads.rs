//! Threads of the operating system.

use std::io;

use crate::task::{Executor, StepThread, Steps, Threads};

/// Each a thread of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemThreads;

impl Threads for SystemThreads {
    fn executor(&self, name: &str) -> io::Result<Executor> {
        Executor::start(name)
    }

    fn steps(&self, name: &str, steps: Steps) -> io::Result<StepThread> {
        StepThread::start(name, steps)
    }
}
