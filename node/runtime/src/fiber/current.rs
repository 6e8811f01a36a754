//! Which fiber runs on this thread now, and how it parks.
//!
//! The one place of this crate with `unsafe`: the running fiber is found through a thread-local pointer, because plain
//! synchronous code far below has no way to be handed a reference to it.

#![expect(
    unsafe_code,
    reason = "the running fiber is reached through a thread-local pointer; see the SAFETY arguments"
)]

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::ptr;
use std::task::{Context, Poll, Waker};

use corosensei::Yielder;

type Parker = Yielder<(), ()>;

#[derive(Clone, Copy)]
struct Current {
    /// The running fiber's way back to whoever polls it; null outside a fiber. Set by the fiber itself ([`root`], and
    /// [`wait`] each time it continues), so that it always belongs to the stack that runs.
    parker: *const Parker,
    /// The waker of the poll that is going on; not null where `parker` is not.
    waker: *const Waker,
    /// The lowest address of the running fiber's stack.
    stack_limit: usize,
}

const OUTSIDE: Current = Current { parker: ptr::null(), waker: ptr::null(), stack_limit: 0 };

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(OUTSIDE) };
}

/// While it lives, the thread is inside one fiber; dropping it restores what was before (fibers nest).
pub(super) struct Entered {
    outer: Current,
}

impl Entered {
    /// A fiber is about to be resumed by a poll with `waker`. The caller drops the guard before the poll returns.
    pub(super) fn poll(waker: &Waker, stack_limit: usize) -> Self {
        Self { outer: CURRENT.replace(Current { parker: ptr::null(), waker, stack_limit }) }
    }

    /// A fiber is about to be unwound.
    pub(super) fn cancel(stack_limit: usize) -> Self {
        Self { outer: CURRENT.replace(Current { parker: ptr::null(), waker: ptr::null(), stack_limit }) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// The outermost function of every fiber.
pub(super) fn root<T>(parker: &Parker, f: impl FnOnce() -> T) -> T {
    set_parker(parker);
    f()
}

fn set_parker(parker: *const Parker) {
    CURRENT.set(Current { parker, ..CURRENT.get() });
}

/// Whether the calling code runs on a fiber that can wait.
pub fn in_fiber() -> bool {
    !CURRENT.get().parker.is_null()
}

/// How many bytes of the running fiber's stack are left below the caller; `None` outside a fiber.
pub fn stack_left() -> Option<usize> {
    let current = CURRENT.get();
    let here = 0_u8;
    (current.stack_limit != 0).then(|| (&raw const here).addr().saturating_sub(current.stack_limit))
}

/// Parks the running fiber until `future` is done. Without a switch when it is ready at once.
///
/// # Panics
///
/// Outside a fiber (tests: [`block_on`](super::block_on)), and in a destructor that runs because of a panic or a
/// cancellation: nothing can wait there.
pub fn wait<F: Future>(future: F) -> F::Output {
    let parker = CURRENT.get().parker;
    assert!(!parker.is_null(), "fiber::wait was called outside a fiber: use fiber::run or fiber::block_on");
    let mut future = pin!(future);
    loop {
        // SAFETY: a parker is set only between the entry and the return of a `Fiber::poll` on this thread, whose guard
        // set the waker before and resets both before the borrow it was made from ends. We run inside that very call,
        // and the reference does not outlive this iteration, which ends before or when the fiber suspends.
        let waker = unsafe { &*CURRENT.get().waker };
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
            return output;
        }
        assert!(!std::thread::panicking(), "fiber::wait was called in a destructor during a panic or a cancellation");
        // SAFETY: the parker lives in the outermost frame of the fiber that runs now, which is below us on this same
        // stack and so outlives this call. `CURRENT.parker` is written by that frame itself and, after each
        // suspension, by the line below; `Entered` puts an outer fiber's pointer back when an inner one leaves. Hence
        // the pointer read above is this stack's own, never another's. It is not shared with another thread, because
        // `Fiber` is not `Send`.
        unsafe { &*parker }.suspend(());
        set_parker(parker);
    }
}
