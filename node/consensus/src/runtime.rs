//! The runtime that openraft runs on: tokio, with the randomness and the clock rate of the node whose task asks.
//!
//! Election timeouts come from [`Random`], so that a simulated run is a function of its seed; timers count in the node's
//! own time, which a simulator lets pass a little faster or slower than tokio's. The node is a task-local value that each
//! task hands to those it spawns ([`within`]).

mod instant;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use openraft_rt::deterministic_rng::DeterministicRng;
use openraft_rt::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot, TokioRuntime, TokioWatch};
use photondb_runtime::random::Random;

pub(crate) use instant::Instant;

/// What a task must know of its node.
pub(crate) struct Context {
    random: Arc<dyn Random>,
    /// Node time that passes in a second of tokio's.
    rate: f64,
    /// When node time and tokio's showed the same.
    start: tokio::time::Instant,
}

impl Context {
    pub(crate) fn new(random: Arc<dyn Random>, rate: f64) -> Context {
        assert!(rate.is_finite() && rate > 0.0, "time passes");
        Context { random, rate, start: tokio::time::Instant::now() }
    }

    /// tokio's time for so much of the node's.
    fn real(&self, local: Duration) -> Duration {
        if self.rate == 1.0 { local } else { local.div_f64(self.rate) }
    }
}

tokio::task_local! {
    static CONTEXT: Arc<Context>;
}

/// `future`, as a task of the node.
pub(crate) fn within<F: Future>(context: Arc<Context>, future: F) -> impl Future<Output = F::Output> {
    CONTEXT.scope(context, future)
}

/// The time of the calling task's node.
pub(crate) fn now() -> Instant {
    openraft_rt::Instant::now()
}

/// A number of the range, of the calling task's node.
pub(crate) fn draw(range: Range<u64>) -> u64 {
    let drawn = asked(|context| context.random.next_u64()).expect("only tasks of a node ask for randomness");
    range.start + drawn % (range.end - range.start)
}

/// What `ask` says of the calling task's node; `None` outside of every node's tasks.
fn asked<T>(ask: impl FnOnce(&Context) -> T) -> Option<T> {
    CONTEXT.try_with(|context| ask(context)).ok()
}

fn real(local: Duration) -> Duration {
    asked(|context| context.real(local)).unwrap_or(local)
}

/// See the module.
pub(crate) struct Runtime(TokioRuntime);

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runtime").field(&self.0).finish()
    }
}

type Seeded = DeterministicRng<TokioRuntime>;

impl AsyncRuntime for Runtime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = tokio::task::JoinHandle<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = Instant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = tokio::time::Timeout<T>;
    type ThreadLocalRng = <Seeded as AsyncRuntime>::ThreadLocalRng;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match CONTEXT.try_with(Arc::clone) {
            Ok(context) => tokio::task::spawn(within(context, future)),
            Err(_) => tokio::task::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        tokio::time::sleep(real(duration))
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        tokio::time::sleep_until(deadline.to_tokio())
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        tokio::time::timeout(real(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        tokio::time::timeout_at(deadline.to_tokio(), future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        error.is_panic()
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        let seed = asked(|context| context.random.next_u64()).expect("only tasks of a node ask for randomness");
        Seeded::scope(seed, async { Seeded::thread_rng() }).now_or_never().expect("nothing in it waits")
    }

    type Mpsc = TokioMpsc;
    type Watch = TokioWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn new(threads: usize) -> Self {
        Runtime(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests;
