//! Digests of the state machines of one process, each of one snapshot at exactly the position that it is compared at.
//!
//! A digest reads the whole state. So that its work stays in proportion to what is applied, it is taken at every position of a
//! small state, at fewer positions the larger the state is, which are the same at every replica, and wherever a replica rests.

use std::hash::{DefaultHasher, Hasher};

use photondb_consensus::{GroupState, Replicated};
use photondb_controller::{CLUSTER_STATE_SET, ReplicatedState};
use photondb_proto::GroupId;
use photondb_shard::digest;
use photondb_storage::{Engine, TreeSetId};

use crate::client::Micros;

/// Rows that a digest reads for each position applied, or about so many.
const ROWS_A_POSITION: u64 = 64;

/// A replica that has applied nothing for so long rests, in microseconds.
const REST_MICROS: u64 = 40_000;

/// Of one member: when its state was another one the last time, and whether there is a digest of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Freshness {
    position: Option<u64>,
    since: Micros,
    taken: bool,
}

impl Freshness {
    /// The digest of what the member has applied, if one is due now.
    pub fn digest(&mut self, engine: &Engine, state: &GroupState, now: Micros) -> Option<u64> {
        let applied = state.applied?.index;
        if self.position != Some(applied) {
            *self = Freshness { position: Some(applied), since: now, taken: false };
        }
        let rests = now.0 >= self.since.0 + REST_MICROS;
        if self.taken || !rests && self.since != now {
            return None;
        }
        let digest = of(engine, state.group, applied, rests);
        // What cannot be read now is not tried again before it has changed.
        self.taken = digest.is_some() || rests;
        digest
    }
}

/// The digest of a group's state in `engine`, which has applied the log up to `applied`. `None`: it stands somewhere else just
/// now, or is too large to be read here.
pub(super) fn of(engine: &Engine, group: GroupId, applied: u64, at_any_size: bool) -> Option<u64> {
    if group == GroupId::META {
        engine.tree_set(CLUSTER_STATE_SET)?;
        let replicated = ReplicatedState::open(engine.clone()).ok()?;
        let consensus = replicated.applied();
        if consensus.position().ok()??.index != applied {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(&consensus.consensus);
        hasher.write(&replicated.state().encode());
        return Some(hasher.finish());
    }
    let snapshot = engine.tree_set(TreeSetId(group.0))?.snapshot();
    // Positions of a shard are counted from one.
    if digest::position(&snapshot).ok()?.0 != applied + 1 {
        return None;
    }
    let rows = digest::rows(&snapshot).ok()?;
    let is_due = at_any_size || applied.is_multiple_of(1 + rows / ROWS_A_POSITION);
    is_due.then(|| digest::of(&snapshot).ok()).flatten()
}
