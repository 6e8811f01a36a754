//! A shard that is frozen, so that another one may take its keys (S14).
//!
//! Several attempts may be made at it, and what was proposed for one may come when it is given up: so each has a number.

use photondb_proto::Epoch;

use super::{Entry, EntryNumber, Shard, Work};
use crate::command::{Outcome, Skipped};
use crate::error::ShardError;
use crate::publish::ChangeBatch;

/// Since when a shard is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// By which attempt.
    pub attempt: u32,
    /// By which entry: the last one with an effect.
    pub at: EntryNumber,
    /// The term of that entry.
    pub term: u64,
}

impl Shard {
    /// Since when it is frozen, if it is.
    pub fn frozen(&self) -> Option<Frozen> {
        self.state.lock().frozen
    }

    /// The last attempt that was given up; zero: none.
    pub fn thawed(&self) -> u32 {
        self.state.lock().thawed
    }
}

impl Work {
    pub(super) fn freeze(&mut self, entry: &Entry, attempt: u32) -> Outcome {
        if attempt <= self.state.thawed || self.state.frozen.is_some() {
            return Outcome::Skipped(Skipped::Epoch);
        }
        self.state.frozen = Some(Frozen { attempt, at: entry.position, term: entry.term });
        self.raise_epoch();
        // Who listens to the end learns that this is it.
        self.published.push(ChangeBatch::of(self.state.told(), [].into()));
        photondb_storage::probe!("shard frozen");
        Outcome::Applied
    }

    /// Errors: [`ShardError::Hollow`] when there is no way back.
    pub(super) fn thaw(&mut self, attempt: u32) -> Result<Outcome, ShardError> {
        self.state.thawed = self.state.thawed.max(attempt);
        if self.state.frozen.is_some_and(|frozen| frozen.attempt <= attempt) {
            if self.state.hollow {
                return Err(ShardError::Hollow);
            }
            self.state.frozen = None;
            self.raise_epoch();
            photondb_storage::probe!("shard thawed");
        }
        Ok(Outcome::Applied)
    }

    fn raise_epoch(&mut self) {
        self.state.epoch = Epoch(self.state.epoch.0 + 1);
    }
}
