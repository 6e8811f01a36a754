//! Joining two neighbouring shards (`docs/decisions/0013-joining-shards.md`): what the leaders of both do, and a node that has a member of
//! both.
//!
//! Each step looks at what is, and says what it has found to the cluster state, which alone knows how far the join is (K12). So each can be
//! made again after any crash, and by another leader.

use std::sync::Arc;

use photondb_cluster_state::{
    Attempt, ClusterState, Command as StateCommand, Member, Reached, Shard as StoredShard, Stage, Table,
};
use photondb_consensus::Term;
use photondb_proto::{Epoch, MemberId};
use photondb_runtime::clock::Moment;
use photondb_shard::{Command, Frozen, Join, Ward};
use photondb_storage::fault::{buggify, fault_point};

use super::Replicas;
use crate::error::ReplicaError;
use crate::limits::{ADOPTION_WAIT, JOINED_KEPT_FOR, JOINED_KEPT_FOR_BUGGIFIED};
use crate::replica::Replica;
use crate::status::MemberStatus;

/// What a leader has seen of a join.
#[derive(Debug, Default)]
pub(super) struct JoinSeen {
    /// Since when a majority has adopted what is to be joined.
    adopted_since: Option<Moment>,
    /// Since when its shard is joined to another one.
    joined_since: Option<Moment>,
}

impl Replicas {
    /// The next step of the join that the shard is the one or the other half of, as its leader. Whether it was made, or is waited for.
    pub(super) async fn go_on_joining(
        &self,
        replica: &Arc<Replica>,
        term: Term,
        state: &ClusterState,
        (table, shard): (&Table, &StoredShard),
        seen: &mut JoinSeen,
    ) -> Result<bool, ReplicaError> {
        if let Some(right) = table.right_of(shard.id).filter(|right| is_frozen(right)) {
            return self.join(replica, term, state, (shard, right), seen).await;
        }
        seen.adopted_since = None;
        let frozen = replica.shard.frozen();
        match shard.joining {
            Some(Stage::Freezing) => match frozen.filter(|frozen| frozen.attempt == shard.attempt.0) {
                Some(frozen) => self.report_frozen(replica, shard, frozen).await,
                None => self.freeze(replica, term, state, (table, shard)).await,
            },
            Some(Stage::Thawing) => self.thaw(replica, term, shard).await,
            _ => Ok(false),
        }
    }

    /// Freezes the right shard, once neither has anything beside what is its own: of that nothing could come along.
    async fn freeze(
        &self,
        replica: &Arc<Replica>,
        term: Term,
        state: &ClusterState,
        (table, right): (&Table, &StoredShard),
    ) -> Result<bool, ReplicaError> {
        let Some(left) = table.left_of(right.id) else { return Ok(false) };
        if buggify!("replica/frozen-late") || !self.are_settled(state, left, right).await {
            return Ok(true);
        }
        let _turn = replica.duty.turn.lock().await;
        if self.are_newest(replica, term, &[left, right]).await? {
            self.change_unless_skipped(replica, &Command::Freeze { attempt: right.attempt.0 }).await?;
        }
        Ok(true)
    }

    /// Whether every member of either shard says that it is settled. One that has nothing of the log yet does not take part in the group: what
    /// is frozen would wait for it for ever.
    async fn are_settled(&self, state: &ClusterState, left: &StoredShard, right: &StoredShard) -> bool {
        let told = self.told(state, [left, right].into_iter()).await;
        let is_settled =
            |member: &Member| told.values().flatten().any(|status| status.member == member.id && is_settled_in(status));
        left.members.iter().chain(&right.members).all(is_settled)
    }

    /// Says that the shard is frozen when every member has that entry in its log, so that each comes to it by itself.
    async fn report_frozen(
        &self,
        replica: &Arc<Replica>,
        right: &StoredShard,
        frozen: Frozen,
    ) -> Result<bool, ReplicaError> {
        let Some(controller) = self.controller() else { return Ok(false) };
        // Positions of a shard are counted from one, those of a log from zero.
        let at = Reached { term: frozen.term, index: frozen.at.0 - 1 };
        let matched = replica.group.matched();
        let has_it = |member: &Member| {
            matched.get(&member.id).copied().flatten().is_some_and(|at_least| at_least.index >= at.index)
        };
        if right.members.iter().all(has_it) {
            controller.propose(StateCommand::ShardFrozen { shard: right.id, attempt: right.attempt, at }).await?;
        }
        Ok(true)
    }

    /// Gives up an attempt: from here on no freeze of it does anything, wherever it is on its way.
    async fn thaw(&self, replica: &Arc<Replica>, term: Term, right: &StoredShard) -> Result<bool, ReplicaError> {
        let Some(controller) = self.controller() else { return Ok(false) };
        let attempt = right.attempt;
        if Attempt(replica.shard.thawed()) < attempt {
            let _turn = replica.duty.turn.lock().await;
            if !self.are_newest(replica, term, &[right]).await? {
                return Ok(true);
            }
            self.change_unless_skipped(replica, &Command::Thaw { attempt: attempt.0 }).await?;
        }
        if Attempt(replica.shard.thawed()) >= attempt {
            let epoch = stored_epoch(replica);
            controller.propose(StateCommand::ShardThawed { shard: right.id, attempt, epoch }).await?;
        }
        Ok(true)
    }

    /// Joins the right shard to the left one, which this leads, once a majority has adopted what it has, and everybody who is waited for;
    /// reports it when it is applied here.
    async fn join(
        &self,
        replica: &Arc<Replica>,
        term: Term,
        state: &ClusterState,
        (left, right): (&StoredShard, &StoredShard),
        seen: &mut JoinSeen,
    ) -> Result<bool, ReplicaError> {
        let Some(controller) = self.controller() else { return Ok(false) };
        if replica.range().covers(&right.range) {
            let (shard, into, attempt, epoch) = (right.id, left.id, right.attempt, stored_epoch(replica));
            controller.propose(StateCommand::ShardJoined { shard, into, attempt, epoch }).await?;
            return Ok(true);
        }
        let Some(ward) = replica.shard.wards().into_iter().find(|ward| is_of(ward, right)) else { return Ok(true) };
        if buggify!("replica/joined-late") || !self.have_adopted(replica, state, (left, right), seen).await {
            return Ok(true);
        }
        let _turn = replica.duty.turn.lock().await;
        if self.are_newest(replica, term, &[left, right]).await? {
            let join = Join {
                right: right.id,
                end: ward.position,
                right_epoch: ward.epoch,
                epoch: replica.shard.view().epoch,
                range: left.range.clone(),
                right_range: right.range.clone(),
            };
            self.change_unless_skipped(replica, &Command::Join(join)).await?;
        }
        Ok(true)
    }

    /// Whether a majority of the left voters has adopted what is joined, and all other left members that can. Who comes to the join and has
    /// not cannot go on: so for a while one that is not heard of is waited for, too.
    async fn have_adopted(
        &self,
        replica: &Arc<Replica>,
        state: &ClusterState,
        (left, right): (&StoredShard, &StoredShard),
        seen: &mut JoinSeen,
    ) -> bool {
        let told = self.told(state, std::iter::once(left)).await;
        let has = |member: MemberId| {
            let of = told.values().flatten().find(|status| status.member == member);
            of.is_some_and(|status| status.adopted.contains(&right.id))
        };
        let voters = replica.group.membership().all_voters();
        if voters.iter().filter(|voter| has(**voter)).count() * 2 <= voters.len() {
            seen.adopted_since = None;
            return fault_point!("joined-unadopted");
        }
        let now = replica.group.now();
        let is_late = now.since(*seen.adopted_since.get_or_insert(now)) >= ADOPTION_WAIT;
        let is_heard_of = |member: &Member| member.id == replica.member || replica.group.hears(member.id);
        let is_waited_for = |member: &&Member| {
            let may_adopt = right.member_on(member.node).is_some_and(|beside| !beside.role.is_broken());
            let is_up = state.node(member.node).is_some_and(|node| node.is_up());
            !member.role.is_broken() && may_adopt && is_up && (!is_late || is_heard_of(member))
        };
        left.members.iter().filter(is_waited_for).all(|member| has(member.id)) || fault_point!("joined-unadopted")
    }

    /// Adopts what the member of the right shard has here, once that is frozen, as any member of the left one. Whether it is waited for.
    pub(super) async fn adopt(&self, replica: &Arc<Replica>) -> Result<bool, ReplicaError> {
        let state = self.state();
        let Some((table, _)) = state.shard(replica.id) else { return Ok(false) };
        let Some(right) = table.right_of(replica.id).filter(|right| is_frozen(right)) else { return Ok(false) };
        if replica.range().covers(&right.range) || replica.shard.wards().iter().any(|ward| is_of(ward, right)) {
            return Ok(false);
        }
        let Some(other) = self.shard(right.id) else { return Ok(true) };
        let is_frozen = other.shard.frozen().is_some_and(|frozen| frozen.attempt == right.attempt.0);
        if !is_frozen || buggify!("replica/adopted-late") {
            return Ok(true);
        }
        let (adopting, id, engine) = (replica.shard.clone(), right.id, self.engine.clone());
        let adopted = self.groups.blocking().run(move || adopting.adopt(&other.shard, id, &engine)).await;
        let adopted = adopted.map_err(|error| ReplicaError::Elsewhere(error.to_string()))??;
        photondb_storage::probe!("member adopted what another shard has");
        Ok(!adopted)
    }

    /// Says that a shard that was joined to another one is not needed any more, some time after: until then its changes are read.
    pub(super) async fn retire(
        &self,
        replica: &Replica,
        shard: &StoredShard,
        seen: &mut JoinSeen,
    ) -> Result<(), ReplicaError> {
        let Some(controller) = self.controller() else { return Ok(()) };
        let now = replica.group.now();
        let since = *seen.joined_since.get_or_insert(now);
        let kept_for =
            if buggify!("replica/joined-shard-retired-early") { JOINED_KEPT_FOR_BUGGIFIED } else { JOINED_KEPT_FOR };
        if now.since(since) >= kept_for {
            photondb_storage::probe!("joined shard is not needed any more");
            controller.propose(StateCommand::ShardRetired { shard: shard.id }).await?;
        }
        Ok(())
    }

    /// Whether this member leads in `term` still, and the newest state has these shards as far as they are here.
    async fn are_newest(&self, replica: &Replica, term: Term, shards: &[&StoredShard]) -> Result<bool, ReplicaError> {
        let Some(controller) = self.controller() else { return Ok(false) };
        let newest = controller.confirm().await?;
        let is_same = |shard: &&StoredShard| {
            newest.shard(shard.id).is_some_and(|(_, newest)| {
                (newest.generation, newest.joining, newest.attempt) == (shard.generation, shard.joining, shard.attempt)
            })
        };
        Ok(shards.iter().all(is_same) && replica.group.led() == Some(term))
    }

    /// What was skipped is looked at again: it may have been done before.
    async fn change_unless_skipped(&self, replica: &Replica, command: &Command) -> Result<(), ReplicaError> {
        match replica.change(command).await {
            Err(ReplicaError::Skipped) => Ok(()),
            changed => changed,
        }
    }
}

fn is_settled_in(status: &MemberStatus) -> bool {
    status.settled && status.last.is_some()
}

fn is_frozen(shard: &StoredShard) -> bool {
    matches!(shard.joining, Some(Stage::Frozen { .. }))
}

fn is_of(ward: &Ward, right: &StoredShard) -> bool {
    ward.shard == right.id && ward.attempt == right.attempt.0
}

/// The epoch that the cluster state is to have of the shard: it counts from one, the shard from zero.
fn stored_epoch(replica: &Replica) -> Epoch {
    Epoch(replica.shard.view().epoch.0 + 1)
}
