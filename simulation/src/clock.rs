//! Virtual time, over all lives of the node: each life runs on a runtime of its own, whose clock begins anew.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// The time since the beginning of the run. It passes only while every task waits.
#[derive(Debug, Default)]
pub struct Clock {
    before: Cell<Duration>,
    life: Cell<Option<Instant>>,
}

impl Clock {
    /// A life begins. Called within its runtime.
    pub fn begin_life(&self) {
        self.life.set(Some(Instant::now()));
    }

    /// The life is over. Called within its runtime.
    pub fn end_life(&self) {
        self.before.set(self.now());
        self.life.set(None);
    }

    /// The time now.
    pub fn now(&self) -> Duration {
        self.before.get() + self.life.get().map_or(Duration::ZERO, |began| began.elapsed())
    }
}
