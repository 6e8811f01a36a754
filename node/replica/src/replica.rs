//! One member of one shard on this node, and the members of a table together.

use std::sync::Arc;

use photondb_consensus::Group;
use photondb_proto::{KeyRange, MemberId, ShardId, TableId};
use photondb_runtime::task;
use photondb_shard::format::{decode_outcome, encode_command};
use photondb_shard::shard::BuildStep;
use photondb_shard::{Command, Outcome, Reader, Shard};
use photondb_storage::wal::Purpose;

use crate::error::ReplicaError;
use crate::limits::{BUILD_RETRY_PERIOD, BUILD_STEP_DOCUMENTS};
use crate::pressure;
use crate::proposer::Proposer;

/// One member of one shard.
pub struct Replica {
    /// The shard; its group has the same number.
    pub id: ShardId,
    /// This node's member of the group.
    pub member: MemberId,
    /// The keys it holds.
    pub range: KeyRange,
    pub(crate) shard: Arc<Shard>,
    pub(crate) group: Group,
    pub(crate) proposer: Arc<Proposer>,
}

/// The members of a table's shards that run on this node, in the order of their key ranges.
pub struct TableReplicas {
    /// The table.
    pub id: TableId,
    pub(crate) shards: Vec<Arc<Replica>>,
}

impl Replica {
    /// A linearizable view: this member leads, and leads still after the snapshot was taken (DESIGN section 3, "Read").
    pub fn read(&self) -> Result<Reader, ReplicaError> {
        let term = self.group.leading().ok_or(ReplicaError::NotLeading)?;
        let reader = self.shard.read()?;
        if self.group.leading() != Some(term) {
            return Err(ReplicaError::NotLeading);
        }
        Ok(reader)
    }

    /// What the member holds, which may lag behind.
    pub fn read_outdated(&self) -> Result<Reader, ReplicaError> {
        Ok(self.shard.read()?)
    }

    /// The shard itself.
    pub fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }

    /// Whether this member leads its group now.
    pub fn is_leading(&self) -> bool {
        self.group.leading().is_some()
    }

    /// Proposes a change of the shard's schema and waits until it is applied.
    pub(crate) async fn change(&self, command: &Command) -> Result<(), ReplicaError> {
        let term = self.group.leading().ok_or(ReplicaError::NotLeading)?;
        let command = encode_command(command);
        let admission = self.proposer.engine().admit(command.len(), Purpose::Upkeep)?;
        let outcome = self.group.propose(term, command).await?;
        drop(admission);
        match decode_outcome(&outcome)? {
            Outcome::Applied => Ok(()),
            Outcome::Skipped(_) => Err(ReplicaError::Skipped),
        }
    }

    /// Builds what indexes are not built, turn by turn, and proposes each as ready. Ends when nothing is left.
    pub(crate) async fn build_indexes(self: Arc<Self>) -> Result<(), ReplicaError> {
        loop {
            if let Err(error) = pressure::wait_for_memory(self.proposer.engine()).await {
                // A full disk is no reason to give up; that the index or the shard is gone is.
                if error.is_fatal() || self.shard.tree_set().is_dropped() {
                    return Err(error.into());
                }
                task::sleep(BUILD_RETRY_PERIOD).await;
                continue;
            }
            let step = self.shard.build_step(BUILD_STEP_DOCUMENTS)?;
            for id in self.shard.built_not_ready() {
                self.change(&Command::IndexReady { id }).await?;
            }
            if step == BuildStep::Idle {
                return Ok(());
            }
            task::yield_now().await;
        }
    }
}

impl TableReplicas {
    /// The member that holds this encoded key.
    pub fn for_key(&self, key: &[u8]) -> Result<&Arc<Replica>, ReplicaError> {
        self.shards.iter().find(|replica| replica.range.contains(key)).ok_or(ReplicaError::NotLeading)
    }

    /// All members, in the order of their key ranges.
    pub fn shards(&self) -> &[Arc<Replica>] {
        &self.shards
    }
}
