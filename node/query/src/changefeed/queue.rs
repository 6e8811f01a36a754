//! Changes on their way to a reader: bounded, and squashed if it is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::Cx;
use photondb_runtime::clock::Moment;
use photondb_runtime::{fiber, task};

use super::change::{self, Shown};
use super::trail::Trail;
use super::{FeedOptions, Squash};
use crate::surroundings::Surroundings;

/// How long a squashing feed sleeps between two looks at what has come.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Changes that wait. Each is of the element named by its key.
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    skipped: u64,
    /// How many of them were gathered long enough and only wait for the reader.
    released: usize,
    limit: usize,
    squash: Squash,
    /// Where the feed can go on, if elements are to say so.
    pub trail: Option<Box<Trail>>,
}

struct Waiting {
    key: Datum,
    shown: Shown,
    /// Bytes that are counted of it.
    held: usize,
}

impl Queue {
    pub fn new(options: &FeedOptions) -> Queue {
        let (limit, squash) = (options.queue_size, options.squash);
        Queue { waiting: VecDeque::new(), skipped: 0, released: 0, limit, squash, trail: None }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.skipped == 0
    }

    /// Takes one more change. When there are too many, or the query may not hold more, all are skipped, and the reader is
    /// told how many.
    pub fn push(&mut self, key: Datum, shown: Shown, cx: &Cx) {
        if self.squash != Squash::No
            && let Some(position) = self.waiting.iter().rposition(|earlier| earlier.key == key)
        {
            let Waiting { key, shown: earlier, held } = &mut self.waiting[position];
            earlier.new = shown.new;
            earlier.new_offset = shown.new_offset;
            let bytes = footprint(key, earlier);
            if let Some(trail) = &mut self.trail {
                trail.squashed(position);
            }
            if earlier.old == earlier.new {
                cx.release(*held);
                self.waiting.remove(position);
                if let Some(trail) = &mut self.trail {
                    trail.cancelled(position);
                }
                self.released = self.released.min(self.waiting.len());
            } else if cx.hold_instead(held, bytes).is_err() {
                self.skip(cx);
            }
            return;
        }
        let held = footprint(&key, &shown);
        let has_room = cx.hold(held).is_ok();
        self.waiting.push_back(Waiting { key, shown, held: if has_room { held } else { 0 } });
        if let Some(trail) = &mut self.trail {
            trail.queued();
        }
        if self.waiting.len() > self.limit || !has_room {
            self.skip(cx);
        }
    }

    fn skip(&mut self, cx: &Cx) {
        self.skipped += self.waiting.len() as u64;
        cx.release(self.waiting.iter().map(|change| change.held).sum());
        self.waiting = VecDeque::new();
        self.released = 0;
        if let Some(trail) = &mut self.trail {
            trail.skipped();
        }
    }

    /// Moves up to `want` elements out as the reader sees them.
    pub fn take(&mut self, want: usize, options: &FeedOptions, out: &mut Vec<Datum>, cx: &Cx) {
        if self.skipped > 0 {
            out.push(change::overflow(std::mem::take(&mut self.skipped), options));
        }
        while out.len() < want.max(1) {
            let Some(change) = self.waiting.pop_front() else { break };
            cx.release(change.held);
            self.released = self.released.saturating_sub(1);
            let token = self.trail.as_mut().and_then(|trail| trail.gives());
            out.push(change.shown.to_datum(options, token));
        }
    }

    /// What waits has been gathered.
    pub fn release(&mut self) {
        self.released = self.waiting.len();
    }

    /// Whether enough has come to stop squashing.
    fn half_full(&self) -> bool {
        self.skipped > 0 || self.waiting.len() > self.limit / 2
    }
}

/// Lets changes of some seconds come together, from the moment at which the reader asked for more: who has waited that long gets the first
/// one as it comes.
pub(super) fn gather(
    surroundings: &Surroundings,
    asked: Moment,
    queue: &mut Queue,
    mut look: impl FnMut(&mut Queue) -> Result<()>,
) -> Result<()> {
    let Squash::Seconds(seconds) = queue.squash else { return Ok(()) };
    if queue.released > 0 {
        return Ok(());
    }
    let clock = &surroundings.environment.clock;
    let long = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    while !queue.half_full() {
        let gone = clock.now().since(asked);
        if gone >= long {
            break;
        }
        fiber::wait(task::sleep(LOOK_EVERY.min(long - gone)));
        look(queue)?;
    }
    queue.release();
    Ok(())
}

fn footprint(key: &Datum, shown: &Shown) -> usize {
    let documents = [&shown.old, &shown.new].into_iter().flatten().map(Datum::footprint);
    documents.fold(size_of::<Waiting>() + key.footprint(), usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use photondb_reql::eval::{Limits, NoWorld};

    use super::*;

    fn options(squash: Squash) -> FeedOptions {
        FeedOptions {
            include_initial: false,
            include_states: false,
            include_types: false,
            include_offsets: false,
            queue_size: 1_000,
            squash,
            resume: None,
        }
    }

    fn change(bytes: usize) -> Shown {
        Shown { new: Some(Datum::from("x".repeat(bytes))), ..Shown::default() }
    }

    #[test]
    fn what_waits_is_counted_until_it_is_taken() {
        let options = options(Squash::Waiting);
        let cx = Cx::pure();
        let mut queue = Queue::new(&options);
        queue.push(Datum::from(1), change(1_000), &cx);
        queue.push(Datum::from(2), change(1_000), &cx);
        assert!((2_000..3_000).contains(&cx.held()), "{} bytes are held", cx.held());
        queue.push(Datum::from(2), change(5_000), &cx);
        assert!((6_000..7_000).contains(&cx.held()), "{} bytes are held", cx.held());
        // A document that came and went is as if it had not been.
        queue.push(Datum::from(2), Shown::default(), &cx);
        assert!((1_000..2_000).contains(&cx.held()), "{} bytes are held", cx.held());
        let mut out = Vec::new();
        queue.take(10, &options, &mut out, &cx);
        assert_eq!((out.len(), cx.held(), queue.is_empty()), (1, 0, true));
    }

    #[test]
    fn what_the_query_may_not_hold_is_skipped() {
        let options = options(Squash::No);
        let cx = Cx::new(NoWorld, Limits { memory: 10_000, ..Limits::default() });
        let mut queue = Queue::new(&options);
        for key in 0..12 {
            queue.push(Datum::from(key), change(1_000), &cx);
        }
        let mut out = Vec::new();
        queue.take(100, &options, &mut out, &cx);
        let error = out[0].field("error").expect("the reader is told").print();
        assert!(error.contains("skipped"), "{error}");
        assert_eq!((out.len() < 12, cx.held()), (true, 0));
    }
}
