//! Starting the one member with which a shard goes on that lost the majority of its replicas for good (K11, C16, S13).
//!
//! The member of the old group on this node ends, and everything that its log holds is applied. Then its trees are made those of the
//! new one, durably, and only then the new one's log is noted: until it has a log all of this is done again after a crash, and from
//! then on nothing of the old member is needed any more, and its log is erased.

use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Shard as StoredShard, Table};
use photondb_consensus::{Birth, ConsensusError, LogPosition};
use photondb_proto::{Epoch, GroupId, MemberId};
use photondb_shard::{Freeze, Shard};
use photondb_storage::wal::StreamId;
use photondb_storage::{Engine, TreeSetId, TreeSetOptions};

use super::birth::IsNew;
use super::start::founders;
use super::{Replicas, stored_as};
use crate::error::ReplicaError;
use crate::replica::Replica;
use crate::replicated_shard::ReplicatedShard;

/// The epoch of a shard's own that goes with the one which the cluster state has of it: they are counted from zero and from one.
pub(super) fn own_epoch(stored: Epoch) -> Epoch {
    Epoch(stored.0 - 1)
}

impl Replicas {
    /// Sees to it that the founder of a group that takes the place of another has its state; `None`: it is none of those.
    ///
    /// Errors: those of [`Groups::apply_all`](photondb_consensus::Groups::apply_all); those of a checkpoint.
    pub(super) async fn take_over(
        &self,
        table: &Table,
        shard: &StoredShard,
        member: MemberId,
    ) -> Result<Option<IsNew>, ReplicaError> {
        let (Some(from), Some(rescue)) = (shard.taken_over(member), shard.rescue) else { return Ok(None) };
        if self.engine.wal().state(StreamId(member.0)).is_some() {
            return Ok(Some(IsNew(false)));
        }
        let set = TreeSetId(shard.id.0);
        let options = TreeSetOptions { compression: stored_as(table.compression) };
        let set = match self.engine.tree_set(set) {
            Some(set) => set,
            // Nothing of it was ever durable: its log has everything.
            None => self.engine.create_tree_set_with(set, options)?,
        };
        // Where the end of the old member was not seen, it is waited for here: its log must be read to the end.
        match self.groups.stop(GroupId::from(shard.id)).await {
            Ok(()) | Err(ConsensusError::NotRunning { .. } | ConsensusError::Fatal { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let (groups, engine, stored, id) = (self.groups.clone(), self.engine.clone(), shard.clone(), shard.id);
        let taking = move || {
            let state = Arc::new(Shard::open_at(set, own_epoch(rescue.empty))?);
            let machine = ReplicatedShard::new(state.clone(), engine.clone());
            let at = groups.apply_all(GroupId::from(id), from, &machine)?;
            let birth = Birth { at, founders: founders(&stored) };
            state.take_over(&stored.range, own_epoch(rescue.epoch), freeze(&stored), birth.consensus())?;
            make_durable(&engine)?;
            Ok::<LogPosition, ReplicaError>(at)
        };
        let taken = self.groups.blocking().run(taking).await;
        let at = taken.map_err(|error| ReplicaError::Elsewhere(error.to_string()))??;
        let is_new = self.groups.bear(member, &Birth { at, founders: founders(shard) }).await?;
        photondb_storage::probe!("shard goes on with what one of its replicas had");
        tracing::warn!(shard = %shard.id, %from, %member, last = %at, "a shard goes on with what this replica had; its group had lost its majority");
        Ok(Some(IsNew(is_new)))
    }

    /// Ends a member whose place another one takes on this node, and leaves what it has to that one. Whether it is such a member.
    pub(super) async fn give_to_founder(&self, state: &ClusterState, replica: &Replica) -> Result<bool, ReplicaError> {
        if !self.is_to_be_taken_over(state, replica) {
            return Ok(false);
        }
        replica.duty.stop();
        replica.shard.close();
        match self.groups.stop(GroupId::from(replica.id)).await {
            // A core that has ended by itself has ended.
            Ok(()) | Err(ConsensusError::NotRunning { .. } | ConsensusError::Fatal { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn is_to_be_taken_over(&self, state: &ClusterState, replica: &Replica) -> bool {
        state.shard(replica.id).is_some_and(|(_, shard)| self.is_needed(shard) == Some(replica.member))
    }

    /// The member of an old group that is still needed on this node: the one that takes over from it has no log yet.
    pub(super) fn is_needed(&self, shard: &StoredShard) -> Option<MemberId> {
        let rescue = shard.rescue?;
        let founder = shard.member(rescue.founder).filter(|founder| founder.node == self.node)?;
        let has_begun = self.engine.wal().state(StreamId(founder.id.0)).is_some();
        rescue.from.filter(|_| !has_begun)
    }
}

/// What becomes of a freeze. No attempt begins before the group that takes the place of the other one has reported.
fn freeze(shard: &StoredShard) -> Freeze {
    if shard.stays_frozen() { Freeze::Stays } else { Freeze::Lifted(shard.attempt.0) }
}

/// In both superblocks, so that no recovery begins before it.
fn make_durable(engine: &Engine) -> Result<(), ReplicaError> {
    engine.checkpoint()?;
    engine.checkpoint()?;
    Ok(())
}
