//! Members whose pages are damaged. What such a page held is lost here and whole elsewhere: the member ends for good, which its
//! log says from then on (a suspect stream), the cluster state is told, and another member takes its place. A member that
//! nobody else has the content of stays: what can be read of it can still be read.

use std::sync::Arc;

use photondb_cluster_state::Shard as StoredShard;
use photondb_consensus::ConsensusError;
use photondb_proto::{GroupId, MemberId};
use photondb_storage::StorageError;
use photondb_storage::wal::StreamId;
use tokio::sync::oneshot;

use super::Replicas;
use super::start::have_others;
use crate::error::ReplicaError;
use crate::replica::Replica;

impl Replicas {
    /// Ends a member that has met damage, if others have what it had. Whether it did.
    pub(super) async fn give_up_damaged(&self, replica: &Arc<Replica>) -> Result<bool, ReplicaError> {
        let Some(damage) = replica.shard.tree_set().damage() else { return Ok(false) };
        let state = self.state();
        let Some((_, shard)) = state.shard(replica.id) else { return Ok(false) };
        if self.controller().is_none() || !have_others(shard, replica.member) {
            return Ok(false);
        }
        tracing::error!(shard = %replica.id, member = %replica.member, error = %damage, "a member ends: its pages are damaged");
        match self.groups.stop(GroupId::from(replica.id)).await {
            // Damage may have ended the core before.
            Ok(()) | Err(ConsensusError::NotRunning { .. } | ConsensusError::Fatal { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.doubt(replica.member, &damage).await?;
        replica.duty.stop();
        replica.shard.close();
        self.remove(replica.table, replica.id);
        self.given_up.notify_one();
        Ok(true)
    }

    /// The same for one that could not even start.
    pub(super) async fn doubt_if_damaged(&self, shard: &StoredShard, member: MemberId, error: &ReplicaError) {
        let Some(damage) = error.damage().filter(|_| have_others(shard, member)) else { return };
        if let Err(error) = self.doubt(member, damage).await {
            tracing::warn!(shard = %shard.id, %member, %error, "the log does not say yet that a member is damaged");
        }
    }

    /// Durable on return: a later start must not take the member for whole because that page is not read then.
    async fn doubt(&self, member: MemberId, damage: &StorageError) -> Result<(), StorageError> {
        let StorageError::DamagedPage { offset, .. } = damage else { return Ok(()) };
        let (done, wait) = oneshot::channel();
        let completion = Box::new(move |result| {
            // Nobody waits any more; the record stands nevertheless.
            let _ = done.send(result);
        });
        self.engine.wal().doubt(StreamId(member.0), *offset, completion);
        wait.await.expect("the WAL completes every barrier")
    }
}
