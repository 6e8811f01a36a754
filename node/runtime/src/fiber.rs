//! Stackful fibers: synchronous code that may wait without holding its thread.
//!
//! [`run`] makes a future out of a closure; the closure runs on a stack of its own, on whatever thread polls the future.
//! Inside it, [`wait`] polls another future and, while that one is pending, parks the fiber: the poll of the fiber
//! returns `Pending`, the thread goes on with other tasks, and the next poll continues where `wait` stood. So an
//! evaluator can be plain recursive Rust and still wait for a write or a change.
//!
//! Rules for code that runs on a fiber:
//! - No lock, no `RefCell` borrow, no entered tracing span is held across [`wait`] or [`yield_now`]: other tasks of the
//!   thread run meanwhile.
//! - No destructor waits. A dropped [`Fiber`] is cancelled by unwinding its stack, and nothing can be waited for then.
//! - No `catch_unwind` swallows a payload it does not know: it may be a cancellation, after which `wait` panics.
//!
//! A panic inside ends the fiber alone and comes out as [`Panicked`]: no query stops a node.
//!
//! Fibers are not `Send`, because compilers cache addresses of thread-local variables across a switch. A stack overflow
//! hits a guard page and ends the process, so evaluators bound their depth: [`StackSize::for_depth`] before, and
//! [`stack_left`] while they descend.

mod current;
mod stack;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult};

pub use current::{in_fiber, stack_left, wait};
pub use stack::StackSize;

use current::Entered;

/// A query's computation as a future. Dropping it unwinds the fiber's stack, so that its destructors run.
///
/// It may be polled by one task first and by another later, as long as both are on the same thread.
#[must_use = "a fiber does nothing until it is polled"]
pub struct Fiber<T> {
    state: State<T>,
}

enum State<T> {
    Alive { coroutine: Coroutine<(), (), T, DefaultStack>, size: StackSize, stack_limit: usize },
    Failed(Panicked),
    Done,
}

/// The fiber's closure panicked, or no stack could be mapped for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// What the panic said.
    pub message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query panicked: {}", self.message)
    }
}

impl std::error::Error for Panicked {}

/// Prepares `f` to run on a stack of `stack` bytes. Nothing runs before the first poll.
pub fn run<T: 'static>(stack: StackSize, f: impl FnOnce() -> T + 'static) -> Fiber<T> {
    let state = match stack::take(stack) {
        Ok(mapped) => {
            let stack_limit = mapped.base().get() - stack.bytes();
            let coroutine = Coroutine::with_stack(mapped, move |parker, ()| current::root(parker, f));
            State::Alive { coroutine, size: stack, stack_limit }
        }
        Err(error) => {
            State::Failed(Panicked { message: format!("cannot map a stack of {} bytes: {error}", stack.bytes()) })
        }
    };
    Fiber { state }
}

/// Gives the thread to its other tasks once. Outside a fiber it does nothing.
pub fn yield_now() {
    if !in_fiber() {
        return;
    }
    let mut yielded = false;
    wait(std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
}

/// Runs `f` as a fiber and blocks the calling thread until it is done. For tests and for threads that serve nobody else.
pub fn block_on<T: 'static>(stack: StackSize, f: impl FnOnce() -> T + 'static) -> Result<T, Panicked> {
    let mut fiber = pin!(run(stack, f));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match fiber.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

impl<T> Future for Fiber<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (coroutine, stack_limit) = match &mut self.state {
            State::Alive { coroutine, stack_limit, .. } => (coroutine, *stack_limit),
            State::Failed(panicked) => {
                let panicked = panicked.clone();
                self.state = State::Done;
                return Poll::Ready(Err(panicked));
            }
            State::Done => panic!("a fiber was polled after it had completed"),
        };
        let entered = Entered::poll(cx.waker(), stack_limit);
        let resumed = catch_unwind(AssertUnwindSafe(|| coroutine.resume(())));
        drop(entered);
        let output = match resumed {
            Ok(CoroutineResult::Yield(())) => return Poll::Pending,
            Ok(CoroutineResult::Return(value)) => Ok(value),
            Err(payload) => Err(Panicked { message: describe(payload.as_ref()) }),
        };
        self.finish();
        Poll::Ready(output)
    }
}

impl<T> Fiber<T> {
    /// Gives the stack of a coroutine that has ended back to the pool.
    fn finish(&mut self) {
        if let State::Alive { coroutine, size, .. } = std::mem::replace(&mut self.state, State::Done) {
            stack::give_back(coroutine.into_stack(), size);
        }
    }
}

impl<T> Drop for Fiber<T> {
    fn drop(&mut self) {
        let State::Alive { coroutine, stack_limit, .. } = &mut self.state else { return };
        let entered = Entered::cancel(*stack_limit);
        // A panic of a destructor during the forced unwind aborts anyway; one from a closure that caught the unwind and
        // then panicked by itself belongs to a query that is being thrown away.
        let unwound = catch_unwind(AssertUnwindSafe(|| coroutine.force_unwind()));
        drop(entered);
        if let Err(payload) = unwound {
            tracing::error!(message = describe(payload.as_ref()), "a cancelled query panicked");
        }
        if coroutine.done() {
            self.finish();
        }
    }
}

impl<T> Unpin for Fiber<T> {}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn describe(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
