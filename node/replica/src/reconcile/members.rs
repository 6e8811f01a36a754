//! Changing who belongs to a shard's group, a step at a time, as its leader.

use std::collections::BTreeSet;
use std::sync::Arc;

use photondb_cluster_state::plan::{GroupMembers, Order, next_order};
use photondb_cluster_state::{ClusterState, Command, Reached, Shard as StoredShard};
use photondb_consensus::{LogPosition, Members, Term};
use photondb_proto::MemberId;
use photondb_storage::fault::{buggify, fault_point};

use super::Replicas;
use crate::error::ReplicaError;
use crate::limits::CAUGHT_UP_ENTRIES;
use crate::replica::Replica;

impl Replicas {
    /// The next step towards what the state says of the shard's members. Whether a step was made, or one is waited for.
    ///
    /// A state that is behind may name members that are erased by now (K6): before a step is made the newest one is asked
    /// for, and the step is bound to the membership that was there before that.
    pub(super) async fn keep_members(
        &self,
        replica: &Arc<Replica>,
        term: Term,
        shard: &StoredShard,
    ) -> Result<bool, ReplicaError> {
        let Some(controller) = self.controller() else { return Ok(false) };
        let members = replica.group.membership();
        let view = self.seen_by_leader(replica, &members);
        let order = mistaken(shard, &view).or_else(|| next_order(shard, &view));
        let Some(order) = order else { return Ok(shard.is_changing()) };
        if buggify!("replica/members-changed-late") {
            return Ok(true);
        }
        let _turn = replica.duty.turn.lock().await;
        let newest = controller.confirm().await?;
        let is_newest = newest.shard(replica.id).is_some_and(|(_, newest)| newest.generation == shard.generation);
        if !is_newest || replica.group.led() != Some(term) {
            return Ok(true);
        }
        match order {
            Order::AddLearner(..) if !self.begins_behind_joins(replica).await? => {}
            Order::ChangeVoters(voters) if !self.have_joined(replica, &newest, shard, &voters).await => {}
            Order::AddLearner(member, node) => replica.group.add_learner(member, node).await?,
            Order::ChangeVoters(voters) if !voters.contains(&replica.member) => {
                // Whoever stays makes the change in which this member goes: one that can lead at once, and no other, because the term ends
                // with the transfer, whoever leads next.
                let staying: Vec<MemberId> = voters.intersection(&view.voters).copied().collect();
                if staying.is_empty() {
                    let all = voters.union(&view.voters).copied().collect();
                    replica.group.change_voters(all, members.position).await?;
                } else {
                    let able = staying.into_iter().filter(|voter| self.may_take_over(replica, *voter)).collect();
                    if let Some(to) = self.who_goes_on(replica, &members, able).await {
                        replica.group.transfer_leadership(to).await?;
                    }
                }
            }
            Order::ChangeVoters(voters) => {
                replica.group.change_voters(voters, members.position).await?;
            }
            Order::RemoveLearner(member) => replica.group.remove_learner(member).await?,
            Order::Report => self.report(replica, shard).await?,
            Order::Cut => self.cut(replica, controller, &newest, shard).await?,
        }
        Ok(true)
    }

    /// Whether the log begins behind the last join: who was not there when the other shard was frozen could not apply it, and is to
    /// get a snapshot. If not, it is given up that far, whoever lags.
    async fn begins_behind_joins(&self, replica: &Replica) -> Result<bool, ReplicaError> {
        let Some(last) = replica.shard.last_join() else { return Ok(true) };
        // Entries of a shard are counted from one, those of a log from zero.
        let is_purged = || replica.group.observe().purged.is_some_and(|purged| purged.index + 1 >= last.0);
        if !is_purged() {
            photondb_storage::probe!("log given up behind a join before a member is added");
            let engine = self.engine.clone();
            let checkpoint = self.groups.blocking().run(move || engine.checkpoint()).await;
            checkpoint.map_err(|error| ReplicaError::Elsewhere(error.to_string()))??;
            replica.group.purge_behind_at_once().await?;
        }
        Ok(is_purged())
    }

    /// Whether a majority of those who are to vote have applied the last join: one that cannot would take its vote with it, in the middle of
    /// the change.
    async fn have_joined(
        &self,
        replica: &Replica,
        state: &ClusterState,
        shard: &StoredShard,
        voters: &BTreeSet<MemberId>,
    ) -> bool {
        let Some(last) = replica.shard.last_join() else { return true };
        let told = self.told(state, std::iter::once(shard)).await;
        let has = |voter: &&MemberId| {
            let of = told.values().flatten().find(|status| status.member == **voter);
            of.is_some_and(|status| status.applied >= last.0)
        };
        let is_enough = voters.iter().filter(has).count() * 2 > voters.len();
        photondb_storage::probe!("voters are not changed before those who stay have applied a join", !is_enough);
        is_enough
    }

    /// Tells the state what is committed.
    async fn report(&self, replica: &Arc<Replica>, shard: &StoredShard) -> Result<(), ReplicaError> {
        let (members, committed) = (replica.group.membership(), replica.group.committed_membership());
        let Some(controller) = self.controller() else { return Ok(()) };
        let Some(LogPosition { term, index }) = committed.position.filter(|at| Some(*at) == members.position) else {
            return Ok(());
        };
        let report = Command::MembersReached {
            shard: replica.id,
            generation: shard.generation,
            at: Reached { term: term.0, index },
            voters: committed.all_voters(),
            learners: committed.learners,
        };
        controller.propose(report).await?;
        Ok(())
    }

    fn seen_by_leader(&self, replica: &Arc<Replica>, members: &Members) -> GroupMembers {
        let caught_up = members.learners.iter().copied().filter(|member| self.has_caught_up(replica, *member));
        GroupMembers {
            voters: members.all_voters(),
            learners: members.learners.clone(),
            joint: members.is_joint(),
            caught_up: caught_up.collect(),
        }
    }

    /// Whether a member can lead at once: it has the log, runs and takes part.
    pub(super) fn may_take_over(&self, replica: &Arc<Replica>, member: MemberId) -> bool {
        self.has_caught_up(replica, member) && replica.group.hears(member)
    }

    /// Whether a member lacks so little of the log that it may vote.
    pub(super) fn has_caught_up(&self, replica: &Arc<Replica>, member: MemberId) -> bool {
        let last = replica.group.observe().last.map_or(0, |last| last.index);
        let matched = replica.group.matched().get(&member).copied().flatten();
        matched.is_some_and(|matched| matched.index + CAUGHT_UP_ENTRIES >= last)
    }
}

/// What two deliberate bugs would do next: a voter goes before another has come that takes its place, or who is never to vote does.
fn mistaken(shard: &StoredShard, group: &GroupMembers) -> Option<Order> {
    let (goes_early, all_vote) = (fault_point!("voter-leaves-first"), fault_point!("nonvoting-votes"));
    if !goes_early && !all_vote {
        return None;
    }
    let mut voters = group.voters.clone();
    if goes_early {
        voters.retain(|voter| shard.member(*voter).is_none_or(|member| !member.role.leaves()));
    }
    if all_vote {
        voters.extend(shard.wanted_learners().intersection(&group.caught_up));
    }
    (!group.joint && !voters.is_empty() && voters != group.voters).then_some(Order::ChangeVoters(voters))
}
