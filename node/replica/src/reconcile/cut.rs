//! Cutting a shard off from another one, as the leader of the other one's group.

use std::sync::Arc;

use bytes::Bytes;
use photondb_cluster_state::{ClusterState, Command as StateCommand, Cut, Shard as StoredShard};
use photondb_controller::Controller;
use photondb_proto::MemberId;
use photondb_shard::{Command, Split};
use photondb_storage::fault::fault_point;

use super::Replicas;
use crate::error::ReplicaError;
use crate::replica::Replica;

impl Replicas {
    /// Proposes the next cut when every voter that can be asked is ready for it, and reports it when it is applied here.
    pub(super) async fn cut(
        &self,
        replica: &Arc<Replica>,
        controller: &Controller,
        state: &ClusterState,
        shard: &StoredShard,
    ) -> Result<(), ReplicaError> {
        let Some(cut) = shard.next_cut() else { return Ok(()) };
        let view = replica.shard.view();
        let is_cut = view.range.as_ref().is_some_and(|range| range.end() == Some(cut.at.as_slice()));
        if is_cut || fault_point!("cut-reported-early") {
            // Only now may others have the keys: who leads answers for them no more.
            controller.propose(StateCommand::ShardCut { shard: shard.id, child: cut.shard }).await?;
            return Ok(());
        }
        if !replica.is_prepared(&cut.at) || !self.others_are_prepared(replica, state, cut).await {
            return Ok(());
        }
        let (epoch, range, at) = (view.epoch, shard.range.clone(), Bytes::copy_from_slice(&cut.at));
        replica.change(&Command::Split(Split { epoch, range, at, child: cut.shard })).await?;
        replica.duty.look.notify_one();
        Ok(())
    }

    /// Whether no other voter says that it is not prepared. One that says nothing is not waited for: it builds its
    /// indexes anew if it must.
    async fn others_are_prepared(&self, replica: &Arc<Replica>, state: &ClusterState, cut: &Cut) -> bool {
        let members = replica.group.membership();
        let others = members.all_voters().into_iter().filter(|voter: &MemberId| *voter != replica.member);
        for voter in others {
            let Some(node) = members.nodes.get(&voter).copied().filter(|node| state.node(*node).is_some()) else {
                continue;
            };
            let told = self.status_at(node, replica, voter).await;
            if told.is_some_and(|told| told.prepared != Some(cut.shard)) {
                return false;
            }
        }
        true
    }
}
