//! A fiber waits by parking, is cancelled by dropping, nests, and keeps its panics to itself.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use photondb_runtime::fiber::{self, Fiber, Panicked, StackSize, block_on, in_fiber, run, wait, yield_now};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

fn small<T: 'static>(f: impl FnOnce() -> T + 'static) -> Fiber<T> {
    run(StackSize::SMALL, f)
}

fn poll_once<T>(fiber: &mut Fiber<T>) -> Poll<Result<T, Panicked>> {
    Pin::new(fiber).poll(&mut Context::from_waker(Waker::noop()))
}

struct SetOnDrop(Rc<Cell<bool>>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_fiber_that_never_waits_is_done_at_its_first_poll() {
    let mut fiber = small(|| wait(async { 6 }) * wait(std::future::ready(7)));
    assert_eq!(poll_once(&mut fiber), Poll::Ready(Ok(42)));
}

#[test]
fn waiting_lets_the_thread_go_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    LocalSet::new().block_on(&runtime, async {
        let (send, receive) = oneshot::channel();
        let waiting = tokio::task::spawn_local(small({
            let order = order.clone();
            move || {
                order.borrow_mut().push("before");
                let got = wait(receive).unwrap();
                order.borrow_mut().push("after");
                wait(tokio::time::sleep(Duration::from_millis(1)));
                got
            }
        }));
        let other = tokio::task::spawn_local(small({
            let order = order.clone();
            move || {
                order.borrow_mut().push("other");
                send.send(5).unwrap();
            }
        }));
        assert_eq!(waiting.await.unwrap(), Ok(5));
        assert_eq!(other.await.unwrap(), Ok(()));
    });
    assert_eq!(*order.borrow(), ["before", "other", "after"]);
}

#[test]
fn two_fibers_take_turns_by_yielding() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let turns = Rc::new(RefCell::new(Vec::new()));
    LocalSet::new().block_on(&runtime, async {
        let fibers = ["a", "b"].map(|name| {
            let turns = turns.clone();
            tokio::task::spawn_local(small(move || {
                for _ in 0..3 {
                    turns.borrow_mut().push(name);
                    yield_now();
                }
            }))
        });
        for fiber in fibers {
            fiber.await.unwrap().unwrap();
        }
    });
    assert_eq!(*turns.borrow(), ["a", "b", "a", "b", "a", "b"]);
}

#[test]
fn a_fiber_may_be_polled_first_here_and_later_by_another_task() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (send, receive) = oneshot::channel();
        let mut fiber = small(move || wait(receive).unwrap());
        assert_eq!(poll_once(&mut fiber), Poll::Pending);
        let task = tokio::task::spawn_local(fiber);
        tokio::task::yield_now().await;
        send.send("moved").unwrap();
        assert_eq!(task.await.unwrap(), Ok("moved"));
    });
}

#[test]
fn dropping_a_fiber_runs_the_destructors_on_its_stack() {
    let dropped = Rc::new(Cell::new(false));
    let after_wait = Rc::new(Cell::new(false));
    let mut fiber = small({
        let guard = SetOnDrop(dropped.clone());
        let after_wait = after_wait.clone();
        move || {
            let _guard = guard;
            wait(std::future::pending::<()>());
            after_wait.set(true);
        }
    });
    assert_eq!(poll_once(&mut fiber), Poll::Pending);
    assert!(!dropped.get());
    drop(fiber);
    assert!(dropped.get());
    assert!(!after_wait.get());
    assert!(!in_fiber());
}

#[test]
fn a_fiber_that_was_never_polled_drops_its_closure() {
    let dropped = Rc::new(Cell::new(false));
    let guard = SetOnDrop(dropped.clone());
    drop(small(move || drop(guard)));
    assert!(dropped.get());
}

#[test]
fn a_fiber_dropped_by_a_panicking_thread_is_unwound_too() {
    let dropped = Rc::new(Cell::new(false));
    let guard = SetOnDrop(dropped.clone());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let mut fiber = small(move || {
            let _guard = guard;
            wait(std::future::pending::<()>());
        });
        assert!(poll_once(&mut fiber).is_pending());
        std::panic::resume_unwind(Box::new("the task's own panic"));
    }));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"the task's own panic"));
    assert!(dropped.get());
}

#[test]
fn a_panic_ends_the_fiber_alone() {
    let panicked = |message: &str| Poll::Ready(Err(Panicked { message: message.to_owned() }));
    let mut fiber: Fiber<()> = small(|| std::panic::resume_unwind(Box::new("first".to_owned())));
    assert_eq!(poll_once(&mut fiber), panicked("first"));
    let mut fiber: Fiber<()> = small(|| {
        yield_now();
        std::panic::resume_unwind(Box::new("second"))
    });
    assert!(poll_once(&mut fiber).is_pending());
    assert_eq!(poll_once(&mut fiber), panicked("second"));
    // The thread and its pooled stacks are as good as before.
    assert_eq!(block_on(StackSize::SMALL, || 1), Ok(1));
}

#[test]
fn fibers_nest() {
    let mut outer = small(|| {
        let mut inner = small(|| {
            yield_now();
            let deepest = wait(small(|| {
                yield_now();
                3
            }));
            deepest.unwrap() + 1
        });
        // Polled by hand: parking the inner fiber leaves the outer one running.
        assert!(poll_once(&mut inner).is_pending());
        assert!(in_fiber());
        yield_now();
        let dropped = Rc::new(Cell::new(false));
        let guard = SetOnDrop(dropped.clone());
        let mut abandoned = small(move || {
            let _guard = guard;
            yield_now();
        });
        assert!(poll_once(&mut abandoned).is_pending());
        drop(abandoned);
        assert!(dropped.get());
        wait(inner).unwrap()
    });
    let mut polls = 1;
    loop {
        match poll_once(&mut outer) {
            Poll::Ready(result) => break assert_eq!(result, Ok(4)),
            Poll::Pending => polls += 1,
        }
    }
    assert_eq!(polls, 3);
}

#[test]
fn cancelling_the_outer_fiber_cancels_the_inner_one() {
    let dropped = Rc::new(Cell::new(false));
    let guard = SetOnDrop(dropped.clone());
    let mut outer = small(move || {
        wait(small(move || {
            let _guard = guard;
            wait(std::future::pending::<()>());
        }))
    });
    assert!(poll_once(&mut outer).is_pending());
    drop(outer);
    assert!(dropped.get());
}

#[test]
fn waiting_outside_a_fiber_is_refused_with_a_clear_message() {
    let refused = std::panic::catch_unwind(|| wait(std::future::ready(1))).unwrap_err();
    let message = refused.downcast_ref::<&str>().copied().map(str::to_owned);
    let message = message.or_else(|| refused.downcast_ref::<String>().cloned()).unwrap();
    assert!(message.contains("outside a fiber"), "{message}");
    assert!(!in_fiber());
    yield_now();
}

#[test]
fn block_on_sleeps_until_the_fiber_is_woken() {
    let (send, receive) = oneshot::channel();
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        send.send(9).unwrap();
    });
    assert_eq!(block_on(StackSize::SMALL, move || wait(receive).unwrap()), Ok(9));
    sender.join().unwrap();
}

#[test]
fn a_deep_stack_holds_a_deep_recursion() {
    fn descend(levels: usize) -> usize {
        let frame = std::hint::black_box([levels; 400]);
        if levels == 0 { frame[0] } else { descend(levels - 1) + usize::from(frame[399] == levels) }
    }
    let depth = 10_000;
    assert_eq!(block_on(StackSize::for_depth(depth), move || descend(depth)), Ok(depth));
}

#[test]
fn the_stack_that_is_left_shrinks_on_the_way_down() {
    assert_eq!(fiber::stack_left(), None);
    block_on(StackSize::SMALL, || {
        let above = fiber::stack_left().unwrap();
        assert!(above < StackSize::SMALL.bytes() && above > StackSize::SMALL.bytes() / 2);
        #[inline(never)]
        fn below() -> usize {
            let frame = std::hint::black_box([0_u8; 4096]);
            fiber::stack_left().unwrap() + usize::from(frame[0])
        }
        assert!(below() + 4096 <= above);
    })
    .unwrap();
}

#[test]
fn many_fibers_park_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let total = LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = (0..500_u64)
            .map(|number| {
                tokio::task::spawn_local(small(move || {
                    wait(tokio::time::sleep(Duration::from_micros(number % 7 * 100)));
                    yield_now();
                    number
                }))
            })
            .collect();
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap().unwrap();
        }
        total
    });
    assert_eq!(total, 499 * 500 / 2);
}
