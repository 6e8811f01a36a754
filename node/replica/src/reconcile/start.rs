//! Starting a member: one of the founders of its group, or one that the group's leader fills.

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_cluster_state::{Command, Role, Shard as StoredShard, Table};
use photondb_consensus::ConsensusError;
use photondb_proto::{GroupId, MemberId, NodeId};
use photondb_shard::{Shard, ShardError};
use photondb_storage::wal::StreamId;
use photondb_storage::{TreeSet, TreeSetId, TreeSetOptions};

use super::birth::IsNew;
use super::rescue::own_epoch;
use super::{Replicas, stored_as};
use crate::error::ReplicaError;
use crate::limits::LEADER_WAIT_MAX;
use crate::proposer::Proposer;
use crate::replica::{Duty, Replica};
use crate::replicated_shard::ReplicatedShard;

/// Those who begin a shard's group together.
pub(super) fn founders(shard: &StoredShard) -> BTreeMap<MemberId, NodeId> {
    shard.founders.iter().map(|founder| (founder.id, founder.node)).collect()
}

/// Whether others have what the member had.
pub(super) fn have_others(shard: &StoredShard, member: MemberId) -> bool {
    shard.members.iter().any(|other| other.id != member && other.role == Role::Voter)
}

impl Replicas {
    pub(super) async fn start_member(
        &self,
        table: &Table,
        shard: &StoredShard,
        member: MemberId,
    ) -> Result<Replica, ReplicaError> {
        let birth = match self.take_over(table, shard, member).await? {
            None => self.bear(table, shard, member).await?,
            taken => taken,
        };
        let set = self.tree_set(table, shard, member)?;
        let started = self.start_in(set.clone(), table, shard, member, birth).await;
        // Damage met while the log is re-applied ends the core, which says so in words of its own.
        started.map_err(|error| set.damage().map_or(error, ReplicaError::Storage))
    }

    async fn start_in(
        &self,
        set: TreeSet,
        table: &Table,
        shard: &StoredShard,
        member: MemberId,
        birth: Option<IsNew>,
    ) -> Result<Replica, ReplicaError> {
        let group_id = GroupId::from(shard.id);
        let state = Arc::new(Shard::open_at(set, own_epoch(shard.epoch_of_empty()))?);
        let machine = Arc::new(ReplicatedShard::new(state.clone(), self.engine.clone()));
        let group = match birth {
            Some(IsNew(is_new)) => self.groups.begin_born(group_id, member, machine.clone(), is_new).await,
            None if shard.is_founder(member) => {
                self.groups.found(group_id, member, founders(shard), machine.clone()).await
            }
            None => self.groups.join(group_id, member, machine.clone()).await,
        };
        // What the log is re-applied to may lack what is joined there.
        let why =
            |error: ConsensusError| machine.unable().get().cloned().map_or_else(|| error.into(), ReplicaError::Shard);
        let group = group.map_err(why)?;
        let proposer = Proposer::new(state.clone(), group.clone(), self.engine.clone(), self.executor.clone());
        machine.connect(&proposer);
        if group.membership().is_alone(member) {
            match group.wait_leading(LEADER_WAIT_MAX).await {
                // A long log may still be re-applied: the member serves when it is done.
                Ok(_) | Err(ConsensusError::Timeout { .. }) => {}
                Err(error) => {
                    let _ = self.groups.stop(group_id).await;
                    return Err(error.into());
                }
            }
        }
        // Leadership may have come before the proposer was connected. It may also change while this is said: then what was
        // said is said again. Being told twice does no harm.
        loop {
            let led = group.led();
            proposer.leading(led);
            if group.led() == led {
                break;
            }
        }
        let duty = Duty::new(machine.schema_changed(), machine.unable());
        Ok(Replica {
            id: shard.id,
            table: table.id,
            member,
            began: shard.range.clone(),
            rescued: shard.rescue.map(|rescue| rescue.founder),
            shard: state,
            group,
            proposer,
            duty,
        })
    }

    /// Where the member's state is kept. What another member of the shard left there goes: a member that joins, or begins a group of
    /// which nothing is left, and has no log has never held anything.
    fn tree_set(&self, table: &Table, shard: &StoredShard, member: MemberId) -> Result<TreeSet, ReplicaError> {
        let id = TreeSetId(shard.id.0);
        let is_filled = shard.is_founder(member) && !shard.began_empty(member);
        let joins_blank = !is_filled && self.engine.wal().state(StreamId(member.0)).is_none();
        if let Some(set) = self.engine.tree_set(id) {
            if !joins_blank {
                return Ok(set);
            }
            let group = GroupId::from(shard.id);
            if self.engine.wal().may_lack_streams() {
                // Its log may be among what damage took; then it has held something, and must not begin again (C7).
                let applied = "an unknown position".to_owned();
                return Err(ConsensusError::LogMissing { group, member, applied }.into());
            }
            photondb_storage::probe!("what another member of the shard left is dropped");
            photondb_storage::probe!("shard of which nothing was left begins empty", shard.began_empty(member));
            drop(set);
            self.engine.drop_tree_set(id)?;
        }
        let options = TreeSetOptions { compression: stored_as(table.compression) };
        Ok(self.engine.create_tree_set_with(id, options)?)
    }

    /// Whether the error says that the member can never go on, and others have what it had: then they are told, and give its
    /// place to another. What only this member has is a matter for people.
    pub(super) async fn report_broken(&self, shard: &StoredShard, member: MemberId, error: &ReplicaError) -> bool {
        let broken = match error {
            ReplicaError::Consensus(
                ConsensusError::Suspect { .. }
                | ConsensusError::LogMissing { .. }
                | ConsensusError::StateMissing { .. },
            )
            | ReplicaError::Shard(ShardError::NoWard { .. }) => true,
            error => error.damage().is_some(),
        };
        if !broken || !have_others(shard, member) {
            return false;
        }
        let Some(controller) = self.controller() else { return false };
        tracing::warn!(shard = %shard.id, %member, %error, "a member cannot go on; another takes its place");
        photondb_storage::probe!("member that cannot go on reported");
        let report = Command::MemberFailed { shard: shard.id, member };
        match controller.propose(report).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(shard = %shard.id, %error, "the failure of a member could not be reported yet");
                false
            }
        }
    }
}
