//! Members whose pages are damaged. What such a page held is lost here and whole elsewhere: the member ends for good, which its
//! log says from then on (a suspect stream), the cluster state is told, and another member takes its place. A member that
//! nobody else has the content of stays: what can be read of it can still be read.

use std::sync::Arc;

use photondb_cluster_state::{Command, Shard as StoredShard};
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
    /// Ends a member that can never go on, if others have what it had. Whether it did.
    pub(super) async fn give_up(&self, replica: &Arc<Replica>) -> Result<bool, ReplicaError> {
        if replica.duty.unable.get().is_some() {
            self.give_up_unable(replica).await
        } else {
            self.give_up_damaged(replica).await
        }
    }

    /// The same for one that lacks what was joined to its shard: what it has is whole, and of no use. Until the state knows, it is started
    /// anew, and fails again.
    async fn give_up_unable(&self, replica: &Arc<Replica>) -> Result<bool, ReplicaError> {
        let Some(controller) = self.controller() else { return Ok(false) };
        let (shard, member) = (replica.id, replica.member);
        tracing::warn!(%shard, %member, why = ?replica.duty.unable.get(), "a member ends; another takes its place");
        self.end(replica).await?;
        if let Err(error) = controller.propose(Command::MemberFailed { shard, member }).await {
            tracing::warn!(%shard, %member, %error, "the failure of a member could not be reported yet");
        }
        Ok(true)
    }

    async fn give_up_damaged(&self, replica: &Arc<Replica>) -> Result<bool, ReplicaError> {
        let Some(damage) = replica.shard.tree_set().damage() else { return Ok(false) };
        let state = self.state();
        let Some((_, shard)) = state.shard(replica.id) else { return Ok(false) };
        if self.controller().is_none() || !have_others(shard, replica.member) {
            return Ok(false);
        }
        tracing::error!(shard = %replica.id, member = %replica.member, error = %damage, "a member ends: its pages are damaged");
        self.stop_group(replica).await?;
        self.doubt(replica.member, &damage).await?;
        self.end(replica).await?;
        Ok(true)
    }

    async fn end(&self, replica: &Replica) -> Result<(), ReplicaError> {
        self.stop_group(replica).await?;
        replica.duty.stop();
        replica.shard.close();
        self.remove(replica.table, replica.id);
        self.given_up.notify_one();
        Ok(())
    }

    async fn stop_group(&self, replica: &Replica) -> Result<(), ReplicaError> {
        match self.groups.stop(GroupId::from(replica.id)).await {
            // The core may have ended before, by itself.
            Ok(()) | Err(ConsensusError::NotRunning { .. } | ConsensusError::Fatal { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
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
