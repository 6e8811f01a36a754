//! Virtual time.
//!
//! A sleep of madsim begins a timer each time it is polled, and none of them ends before its time: a task that waits for
//! something else beside a sleep would be woken by all of them. Here a sleep has one timer, and one that is dropped wakes
//! nobody.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

pub use std::time::{Duration, Instant};

/// What can go wrong with time.
pub mod error {
    /// The time is up.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Elapsed(pub(super) ());

    impl std::fmt::Display for Elapsed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("deadline has elapsed")
        }
    }

    impl std::error::Error for Elapsed {}
}

/// Is done after `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(after(duration))
}

/// Is done at `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, alarm: None }
}

/// Gives `future` so much time.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    timeout_at(after(duration), future)
}

/// Gives `future` time until `deadline`.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep_until(deadline) }
}

/// What is too far away to be counted is as far away as tokio puts it.
fn after(duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
    Instant::now() + duration.min(FAR)
}

/// See [`sleep`].
#[derive(Debug)]
#[must_use = "nobody waits unless it is polled"]
pub struct Sleep {
    deadline: Instant,
    alarm: Option<Arc<Alarm>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        if let Some(alarm) = &self.alarm {
            alarm.set(Some(cx.waker()));
            return Poll::Pending;
        }
        let alarm = Arc::new(Alarm(Mutex::new(Some(cx.waker().clone()))));
        let mut timer = madsim::time::sleep_until(self.deadline);
        // As long as was asked for, even when that is less than a millisecond.
        Pin::new(&mut timer).reset(self.deadline);
        let pending = Pin::new(&mut timer).poll(&mut Context::from_waker(&Waker::from(alarm.clone())));
        assert!(pending.is_pending(), "time stands still while a task runs");
        self.alarm = Some(alarm);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(alarm) = &self.alarm {
            alarm.set(None);
        }
    }
}

/// Whom a timer wakes.
#[derive(Debug)]
struct Alarm(Mutex<Option<Waker>>);

impl Alarm {
    fn set(&self, waker: Option<&Waker>) {
        let before = std::mem::replace(&mut *self.sleeper(), waker.cloned());
        drop(before);
    }

    fn sleeper(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        let sleeper = self.sleeper().take();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}

pin_project! {
    /// See [`timeout`].
    #[derive(Debug)]
    #[must_use = "nobody waits unless it is polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, error::Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(this.sleep).poll(cx).map(|()| Err(error::Elapsed(())))
    }
}
