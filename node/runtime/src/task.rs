//! Tasks of one thread, and threads of their own.

mod blocking;
mod executor;
mod step_thread;
mod threads;

use std::future::Future;
use std::time::Duration;

pub use blocking::Blocking;
pub use executor::{Executor, Handle};
pub use step_thread::{LATENCY_MAX, Step, StepThread, Waking};
pub use threads::{Steps, Threads};
pub use tokio::task::{JoinError, JoinHandle};

/// The time given to [`timeout`] has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time is up")]
pub struct Elapsed;

/// Starts `future` on the calling thread's local set; it may hold what is not `Send`, a fiber for one.
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(future)
}

/// Starts `future` on the calling thread's runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::task::spawn(future)
}

/// Is done after `duration`.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Gives `future` at most `duration`; then it is dropped.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(duration, future).await.map_err(|_| Elapsed)
}

/// Lets the thread's other tasks run once.
pub async fn yield_now() {
    tokio::task::yield_now().await;
}
