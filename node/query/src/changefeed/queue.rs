//! Changes on their way to a reader: bounded, and squashed if it is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_runtime::clock::Moment;
use photondb_runtime::{fiber, task};

use super::change::{self, Shown};
use super::{FeedOptions, Squash};
use crate::surroundings::Surroundings;

/// How long a squashing feed sleeps between two looks at what has come.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Changes that wait. Each is of the element named by its key.
pub(super) struct Queue {
    waiting: VecDeque<(Datum, Shown)>,
    skipped: u64,
    /// How many of them were gathered long enough and only wait for the reader.
    released: usize,
    limit: usize,
    squash: Squash,
}

impl Queue {
    pub fn new(options: &FeedOptions) -> Queue {
        Queue { waiting: VecDeque::new(), skipped: 0, released: 0, limit: options.queue_size, squash: options.squash }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.skipped == 0
    }

    pub fn push(&mut self, key: Datum, shown: Shown) {
        if self.squash != Squash::No
            && let Some(position) = self.waiting.iter().rposition(|(other, _)| *other == key)
        {
            let (_, earlier) = &mut self.waiting[position];
            earlier.new = shown.new;
            earlier.new_offset = shown.new_offset;
            if earlier.old == earlier.new {
                self.waiting.remove(position);
                self.released = self.released.min(self.waiting.len());
            }
            return;
        }
        self.waiting.push_back((key, shown));
        if self.waiting.len() > self.limit {
            self.skipped += self.waiting.len() as u64;
            self.waiting.clear();
            self.released = 0;
        }
    }

    /// Moves up to `want` elements out as the reader sees them.
    pub fn take(&mut self, want: usize, options: &FeedOptions, out: &mut Vec<Datum>) {
        if self.skipped > 0 {
            out.push(change::overflow(std::mem::take(&mut self.skipped), options));
        }
        while out.len() < want.max(1) {
            let Some((_, shown)) = self.waiting.pop_front() else { break };
            self.released = self.released.saturating_sub(1);
            out.push(shown.to_datum(options));
        }
    }

    /// Whether enough has come to stop squashing.
    fn half_full(&self) -> bool {
        self.skipped > 0 || self.waiting.len() >= (self.limit / 2).max(1)
    }
}

/// Lets changes of some seconds come together, from the moment that the first one came.
pub(super) fn gather(
    surroundings: &Surroundings,
    queue: &mut Queue,
    mut look: impl FnMut(&mut Queue) -> Result<()>,
) -> Result<()> {
    let Squash::Seconds(seconds) = queue.squash else { return Ok(()) };
    if queue.released > 0 {
        return Ok(());
    }
    let clock = &surroundings.environment.clock;
    let began: Moment = clock.now();
    let long = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    while !queue.half_full() {
        let gone = clock.now().since(began);
        if gone >= long {
            break;
        }
        fiber::wait(task::sleep(LOOK_EVERY.min(long - gone)));
        look(queue)?;
    }
    queue.released = queue.waiting.len();
    Ok(())
}
