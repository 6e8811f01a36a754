//! What Raft promises, looked at after every step of a run from what can be seen of its members (`observation`). One file
//! for each property; the work of a step is in proportion to what changed in it.
//!
//! The properties are those of D. Ongaro's thesis, "Consensus: bridging theory and practice", 2014, figure 3.2, and the
//! design's own of members that are never used twice.

pub mod acknowledged_is_durable;
pub mod committed_on_quorum;
pub mod digests_equal;
pub mod election_safety;
pub mod leader_completeness;
pub mod lease_is_exclusive;
pub mod limits;
pub mod log_matching;
pub mod monotonic;
pub mod replica_ids;

mod logs;

use crate::checker::Violation;
use crate::client::{Micros, NodeIndex};
use crate::observation::{GroupId, Index, Lease, MemberId, Snapshot, Term};

pub use logs::{Log, Logs};

/// All of them.
#[derive(Debug, Default)]
pub struct RaftCheckers {
    logs: Logs,
    election_safety: election_safety::Checker,
    log_matching: log_matching::Checker,
    leader_completeness: leader_completeness::Checker,
    committed_on_quorum: committed_on_quorum::Checker,
    monotonic: monotonic::Checker,
    digests_equal: digests_equal::Checker,
    replica_ids: replica_ids::Checker,
    acknowledged: acknowledged_is_durable::Checker,
    leases: lease_is_exclusive::Checker,
}

impl RaftCheckers {
    /// Nothing has been seen yet.
    pub fn new() -> RaftCheckers {
        RaftCheckers::default()
    }

    /// Looks at the cluster after a step. Errors: the first property that does not hold, with who, where and when.
    pub fn step(&mut self, snapshot: &Snapshot) -> Result<(), Violation> {
        let result = self.look(snapshot);
        result.map_err(|Violation { property, evidence }| {
            let evidence = format!("at {} us, {evidence}", snapshot.at.0);
            Violation { property, evidence }
        })
    }

    /// The term of what the log of a member holds at a place, and the place; `None`: no entry is there.
    pub fn entry(&self, group: GroupId, member: MemberId, index: Index) -> Option<(Term, Index)> {
        let entry = self.logs.log(group, member)?.entry(index)?;
        Some((entry.term, entry.index))
    }

    /// Digests that were shown twice or more, and equal.
    pub fn digests_compared(&self) -> u64 {
        self.digests_equal.compared()
    }

    /// Looks at a lease that a member holds after a step.
    pub fn lease(&mut self, at: Micros, lease: &Lease) -> Result<(), Violation> {
        self.leases.held(at, lease)
    }

    /// Where the newest of the groups is led, as far as it was seen.
    pub fn leader(&self) -> Option<NodeIndex> {
        self.leases.leader()
    }

    /// A client was told that the entry at this place is done.
    pub fn acknowledged(&mut self, group: GroupId, term: Term, index: Index) {
        self.acknowledged.acknowledged(group, term, index);
    }

    /// The run is over, faults have healed, and replicas have had time to catch up.
    pub fn end(&self) -> Result<(), Violation> {
        self.committed_on_quorum.end(&self.logs)?;
        self.acknowledged.end(&self.logs)
    }

    fn look(&mut self, snapshot: &Snapshot) -> Result<(), Violation> {
        for (group, member) in &snapshot.unread {
            self.committed_on_quorum.unread(*group, *member);
        }
        snapshot.left.iter().for_each(|left| self.logs.left(left));
        for seen in &snapshot.changed {
            // Before the logs know of it: what an identity was is what it must not be again.
            self.replica_ids.look(seen)?;
            self.monotonic.look(seen)?;
        }
        // All logs before any conclusion: whoever commits may be looked at before those who hold the entry.
        for seen in &snapshot.changed {
            self.logs.take(seen)?;
        }
        for seen in &snapshot.changed {
            self.election_safety.look(seen)?;
            self.leases.look(seen);
            self.log_matching.look(&self.logs, seen)?;
            self.digests_equal.look(seen)?;
            self.leader_completeness.look(&self.logs, seen)?;
            self.committed_on_quorum.look(&self.logs, seen)?;
            self.acknowledged.look(&self.logs, seen)?;
        }
        for seen in &snapshot.changed {
            self.leader_completeness.commit(&self.logs, seen)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod ideal;
#[cfg(test)]
mod tests;
