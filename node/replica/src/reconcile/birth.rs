//! Starting a founder of a shard that was cut off from another one (`docs/sharding.md`): the other one's member on this node bears it.

use photondb_cluster_state::{Role, Shard as StoredShard, Table};
use photondb_consensus::{Birth, ConsensusError, LogPosition, Term};
use photondb_proto::{GroupId, MemberId, ShardId};
use photondb_shard::Unborn;
use photondb_storage::{TreeSetId, TreeSetOptions};

use super::start::founders;
use super::{Replicas, stored_as};
use crate::error::ReplicaError;
use crate::replica::Replica;

/// Whether a member was borne just now, and so has promised nobody anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IsNew(pub bool);

impl Replicas {
    /// Sees to it that a founder has its state, if another shard's member is to bear it; `None`: it is none of those.
    ///
    /// Errors: [`ReplicaError::Unborn`] while the other member has not applied the cut; [`ConsensusError::StateMissing`] when it
    /// never will here.
    pub(super) async fn bear(
        &self,
        table: &Table,
        shard: &StoredShard,
        member: MemberId,
    ) -> Result<Option<IsNew>, ReplicaError> {
        let Some(parent) = shard.parent.filter(|_| shard.is_founder(member)) else { return Ok(None) };
        let set = TreeSetId(shard.id.0);
        if self.has_state(shard.id) {
            return Ok(Some(IsNew(false)));
        }
        let bearing = self.shard(parent);
        // Looked at first: who has applied the cut by then has what was cut off, unless it never will.
        let has_passed = bearing.as_ref().is_some_and(|bearing| !bearing.shard.view().has(shard.range.start()));
        let unborn = bearing.as_ref().and_then(|bearing| {
            bearing
                .shard
                .unborn()
                .into_iter()
                .find(|unborn| unborn.shard == shard.id)
                .map(|unborn| (bearing.clone(), unborn))
        });
        let Some((bearing, unborn)) = unborn else {
            let is_to_come = !has_passed && (bearing.is_some() || is_here(table, parent, self.node));
            photondb_storage::probe!("founder of a shard that was cut off is not born here", !is_to_come);
            return Err(match is_to_come {
                true => ReplicaError::Unborn { parent },
                false => ConsensusError::StateMissing { group: GroupId::from(shard.id), member, purged: 0 }.into(),
            });
        };
        let birth = Birth { at: position(&unborn), founders: founders(shard) };
        let is_new = self.groups.bear(member, &birth).await?;
        if self.engine.tree_set(set).is_none() {
            self.engine.create_tree_set_with(set, TreeSetOptions { compression: stored_as(table.compression) })?;
        }
        let (engine, state, id, consensus) = (self.engine.clone(), bearing.shard.clone(), shard.id, birth.consensus());
        let borne = self.groups.blocking().run(move || state.bear(id, &engine, set, consensus)).await;
        if !borne.map_err(|error| ReplicaError::Elsewhere(error.to_string()))?? {
            return Err(ReplicaError::Unborn { parent });
        }
        photondb_storage::probe!("member borne by that of another shard");
        // The next cut has waited for it.
        bearing.duty.look.notify_one();
        Ok(Some(IsNew(is_new)))
    }

    /// Asks for a pass of reconciling when a member keeps what nobody here will bear: applying a cut asks for none.
    pub(super) fn look_at_unborn(&self, replica: &Replica) {
        let unborn = replica.shard.unborn();
        if unborn.is_empty() {
            return;
        }
        let state = self.state();
        let Some((table, _)) = state.shard(replica.id) else { return };
        if unborn.iter().any(|unborn| self.is_unwanted(replica, table, unborn)) {
            self.given_up.notify_one();
        }
    }

    fn has_state(&self, shard: ShardId) -> bool {
        self.engine.tree_set(TreeSetId(shard.0)).is_some_and(|set| !set.meta().is_empty())
    }

    /// Drops what was cut off from a member here and is not wanted.
    pub(super) fn forget_unwanted(&self, replica: &Replica, table: &Table) -> Result<(), ReplicaError> {
        for unborn in replica.shard.unborn() {
            if self.is_unwanted(replica, table, &unborn) {
                replica.shard.forget_unborn(unborn.shard)?;
            }
        }
        Ok(())
    }

    /// Whether it is no shard's that has a founder here, or of one that has its state, or is no more: a member that takes the place of the
    /// one that bore it applies the same cut, whenever that was.
    fn is_unwanted(&self, replica: &Replica, table: &Table, unborn: &Unborn) -> bool {
        let Some(shard) = table.with_members().find(|shard| shard.id == unborn.shard) else {
            // The state is older than the cut, or the shard was joined to another one since then, and has been retired.
            let is_cut = knows_cut(table, replica.id, &unborn.start);
            let is_back = replica.range().contains(&unborn.start);
            photondb_storage::probe!("what was cut off here has been joined elsewhere", is_cut || is_back);
            return is_cut || is_back;
        };
        if self.has_state(shard.id) {
            photondb_storage::probe!("what was cut off here has been borne before");
            return true;
        }
        let here = shard.founders.iter().filter(|founder| founder.node == self.node);
        !here.filter_map(|founder| shard.member(founder.id)).any(|member| !member.role.is_broken())
    }
}

/// Whether the state is of a time after `start` was cut off from the shard, and not before. Keys that the shard is to get are those of its
/// right neighbour, though its members may have got them by now and have them cut off again.
fn knows_cut(table: &Table, shard: ShardId, start: &[u8]) -> bool {
    let comes = table.right_of(shard).is_some_and(|right| right.stays_frozen() && right.range.contains(start));
    let shard = table.with_members().find(|other| other.id == shard);
    !comes && shard.is_some_and(|shard| !shard.range.contains(start))
}

/// Whether a member of the shard is to run on the node.
fn is_here(table: &Table, shard: photondb_proto::ShardId, node: photondb_proto::NodeId) -> bool {
    let found = table.with_members().find(|other| other.id == shard).and_then(|shard| shard.member_on(node));
    found.is_some_and(|member| !member.role.is_broken() && member.role != Role::Joining)
}

/// Positions of a shard are counted from one, those of a log from zero.
fn position(unborn: &Unborn) -> LogPosition {
    LogPosition { term: Term(unborn.term), index: unborn.position.0 - 1 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use photondb_cluster_state::{
        ClusterState, Command, Compression, Durability, NewShard, Reached, Stage, WriteAcks, apply,
    };
    use photondb_proto::{KeyRange, NodeId, TableId};

    use super::*;

    /// A table in two shards, cut at `m`.
    fn table() -> Table {
        let (mut state, node) = (ClusterState::at_birth(), NodeId(1));
        let register = Command::RegisterNode {
            id: node,
            name: "n".to_owned(),
            tags: BTreeSet::new(),
            addresses: Vec::new(),
            boots: 1,
            incarnation: Default::default(),
        };
        apply(&mut state, &register).expect("the node is new");
        let shards = KeyRange::all().cut(b"m").expect("within").map(|range| NewShard::voting(range, vec![node]));
        let create = Command::CreateTable {
            id: TableId(1),
            database: state.database_named("test").expect("is there at birth").id,
            name: "t".to_owned(),
            primary_key: "id".to_owned(),
            durability: Durability::Hard,
            write_acks: WriteAcks::Majority,
            shards: shards.into(),
            compression: Compression::Lz4,
        };
        apply(&mut state, &create).expect("the name is free");
        Table::clone(state.table(TableId(1)).expect("is there"))
    }

    #[test]
    fn what_may_be_cut_off_after_a_join_that_the_state_does_not_have_yet_is_not_known_to_be_gone() {
        let mut table = table();
        let [left, right] = [table.shards[0].id, table.shards[1].id];
        assert!(!knows_cut(&table, left, b"c"), "it has that");
        assert!(knows_cut(&table, left, b"p"));
        table.shards[1].joining = Some(Stage::Wanted);
        assert!(knows_cut(&table, left, b"p"), "nothing has been joined by then");
        table.shards[1].joining = Some(Stage::Frozen { at: Reached { term: 1, index: 1 } });
        assert!(!knows_cut(&table, left, b"p"));
        assert!(knows_cut(&table, right, b"c"), "that comes to nobody");
    }
}
