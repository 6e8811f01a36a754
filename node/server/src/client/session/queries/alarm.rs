//! Wakes a session when a result is ended that nobody reads at the moment: no fiber is there that would notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use crate::client::running::{Ending, Reason};

/// The alarm of one session. One for all its results: which of them was ended is looked for when it has rung.
pub(super) struct Alarm {
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
}

#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    session: AtomicWaker,
}

impl Default for Alarm {
    fn default() -> Alarm {
        let bell = Arc::new(Bell::default());
        Alarm { waker: Waker::from(bell.clone()), bell }
    }
}

impl Alarm {
    /// Rings when the query is to end. Ready: it is to end already.
    pub fn watch(&self, ending: &Ending) -> Poll<Reason> {
        ending.poll(&Context::from_waker(&self.waker))
    }

    /// Whether it has rung since the last look; the task of `cx` is woken when it rings next.
    pub fn has_rung(&self, cx: &Context<'_>) -> bool {
        self.bell.session.register(cx.waker());
        // A look that finds nothing, as nearly all do, writes nothing.
        self.bell.rung.load(Ordering::Acquire) && self.bell.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.session.wake();
    }
}
