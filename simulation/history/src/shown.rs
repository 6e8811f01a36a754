//! What a feed has shown since it was opened, of whichever kind it is.

use crate::Violation;
use crate::feed::FeedEvent;
use crate::feed_replays_first::FirstReplay;
use crate::feed_replays_table::{Documents, Replay};

/// A feed's replay.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Of a whole table.
    Table(Replay),
    /// Of the first documents in some order.
    First(FirstReplay),
}

impl Shown {
    /// The next event of the feed.
    pub fn take(&mut self, event: &FeedEvent) -> Result<(), Violation> {
        match self {
            Shown::Table(replay) => replay.take(event),
            Shown::First(replay) => replay.take(event),
        }
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        match self {
            Shown::Table(replay) => replay.events(),
            Shown::First(replay) => replay.events(),
        }
    }

    /// Compares with what a read of the same documents gave when nobody wrote any more and nothing was under way to the feed.
    pub fn check_end(&self, read: &Documents) -> Result<(), Violation> {
        match self {
            Shown::Table(replay) => replay.check_end(read),
            Shown::First(replay) => replay.check_end(read),
        }
    }
}
