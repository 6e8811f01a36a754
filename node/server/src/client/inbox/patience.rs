//! How long a client may leave a frame unfinished that it has begun.
//!
//! What has arrived of a frame is held for it, out of the memory for all queries. A client that is slow may be so for as long as
//! it likes; one that has stopped must not keep what others need.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use photondb_runtime::task::sleep;

use crate::limits::{FRAME_BYTES_PER_PERIOD_MIN, FRAME_PERIOD};

/// What is expected of one client.
#[derive(Default)]
pub(super) struct Patience {
    /// Rings at the end of the period. `None`: none has begun.
    period: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Bytes that are still to come within it.
    due: usize,
}

impl Patience {
    /// So many bytes have come.
    pub fn received(&mut self, bytes: usize) {
        self.due = self.due.saturating_sub(bytes);
    }

    /// A frame is whole: nothing more is expected in this period. A period is not begun anew for each frame, so the next one
    /// may take up to two.
    pub fn finished(&mut self) {
        self.due = 0;
    }

    /// Nobody reads what the client sends: it is to blame for nothing.
    pub fn forget(&mut self) {
        self.period = None;
    }

    /// Ready when a period has ended in which too little came of the frame that has begun.
    pub fn poll_is_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let period = match &mut self.period {
                Some(period) => period,
                none => {
                    self.due = FRAME_BYTES_PER_PERIOD_MIN;
                    none.insert(Box::pin(sleep(FRAME_PERIOD)))
                }
            };
            ready!(period.as_mut().poll(cx));
            self.period = None;
            if self.due > 0 {
                return Poll::Ready(());
            }
        }
    }
}
