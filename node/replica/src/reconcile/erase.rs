//! Dropping what this node is not told to hold any more: first from the eyes of queries, then the group, then trees and log.
//!
//! A member leaves the cluster state only after its group has said that it is out (or it failed, or its table is gone), so
//! that nobody waits for a vote of what is erased here. The tombstone comes last but for the trees: with it the id is dead,
//! and what a crash leaves of the rest is found and dropped at the next pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Role};
use photondb_consensus::ConsensusError;
use photondb_proto::{GroupId, MemberId, TableId};
use photondb_storage::TreeSetId;
use photondb_storage::fault::fault_point;

use super::{Failures, Replicas};
use crate::error::ReplicaError;
use crate::replica::Replica;

impl Replicas {
    pub(super) async fn drop_what_is_gone(&self, state: &ClusterState, failures: &mut Failures) {
        let mut gone = Vec::new();
        for (table, replicas) in self.tables().iter() {
            gone.extend(
                replicas
                    .shards()
                    .iter()
                    .filter(|replica| !is_wanted(state, replica))
                    .map(|replica| (*table, replica.clone())),
            );
        }
        for (table, replica) in gone {
            self.remove(table, replica.id);
            let dropped = match self.give_to_founder(state, &replica).await {
                Ok(false) => self.drop_member(&replica).await,
                given => given.map(drop),
            };
            if let Err(error) = dropped {
                failures.0.push((table, error));
            }
        }
        self.erase_what_was_left(state, failures).await;
        let wanted: BTreeSet<u64> = members_here(state, self).map(|(shard, _)| shard).collect();
        for set in self.engine.tree_sets() {
            if set.0 != GroupId::META.0
                && !wanted.contains(&set.0)
                && let Err(error) = self.engine.drop_tree_set(set)
            {
                tracing::warn!(shard = set.0, %error, "a dropped shard's trees could not be freed; it is tried again");
            }
        }
    }

    async fn drop_member(&self, replica: &Arc<Replica>) -> Result<(), ReplicaError> {
        photondb_storage::probe!("member erased");
        replica.duty.stop();
        replica.shard.close();
        self.erase(GroupId::from(replica.id), replica.member).await?;
        match self.engine.drop_tree_set(TreeSetId(replica.id.0)) {
            Ok(()) | Err(photondb_storage::StorageError::NoTreeSet(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A crash, or a failure, between the drop of a table and the end of its members leaves their logs behind, which would be
    /// carried forward for ever. `state` must be complete, as for everything that is dropped here: a member that it does not
    /// know is one that it has forgotten.
    async fn erase_what_was_left(&self, state: &ClusterState, failures: &mut Failures) {
        let mut wanted: BTreeSet<MemberId> = members_here(state, self).map(|(_, member)| member).collect();
        let shards = state.tables().flat_map(|table| table.with_members());
        wanted.extend(shards.filter_map(|shard| self.is_needed(shard)));
        for (stream, left) in self.engine.wal().states() {
            let member = MemberId(stream.0);
            // The members of the cluster state's group are its own affair.
            let meta = state.nodes().any(|node| node.meta == member);
            if left.erased || meta || member == photondb_cluster_state::META_FOUNDER || wanted.contains(&member) {
                continue;
            }
            let erased = match self.groups.list().into_iter().find(|group| group.member() == member) {
                // Another member of the state's group than the state says: it is about to be renewed.
                Some(group) if group.id() == GroupId::META => Ok(()),
                Some(group) => self.erase(group.id(), member).await,
                None => self.groups.erase(member).await.map_err(ReplicaError::from),
            };
            if let Err(error) = erased {
                // It is no table's any more; the failure is that of obeying the state.
                failures.0.push((TableId(0), error));
            }
        }
    }

    async fn erase(&self, group: GroupId, member: MemberId) -> Result<(), ReplicaError> {
        match self.groups.stop(group).await {
            Ok(()) | Err(ConsensusError::NotRunning { .. }) => Ok(self.groups.erase(member).await?),
            Err(error) => Err(error.into()),
        }
    }
}

/// Shards and members that this node is to hold. One that failed is held until another takes its place: what it has is not
/// given up before.
fn members_here(state: &ClusterState, replicas: &Replicas) -> impl Iterator<Item = (u64, MemberId)> {
    let node = replicas.node;
    let shards = state.tables().flat_map(|table| table.with_members());
    shards.flat_map(move |shard| {
        let here = shard.members.iter().filter(move |member| member.node == node && is_held(member.role));
        here.map(|member| (shard.id.0, member.id))
    })
}

fn is_held(role: Role) -> bool {
    let leaves = role.leaves() && fault_point!("leaving-member-dropped");
    role != Role::Discarded && !leaves
}

fn is_wanted(state: &ClusterState, replica: &Replica) -> bool {
    let mut shards = state.table(replica.table).into_iter().flat_map(|table| table.with_members());
    let member = shards.find(|shard| shard.id == replica.id).and_then(|shard| shard.member(replica.member));
    let leaves = |role: Role| role.leaves() && fault_point!("leaving-member-dropped");
    member.is_some_and(|member| !member.role.is_broken() && !leaves(member.role))
}
