//! What the leader of a shard's group does besides serving: schema, indexes, members, and giving way to who should lead.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use photondb_cluster_state::{ClusterState, Member, Service, Shard as StoredShard, Table};
use photondb_consensus::Term;
use photondb_proto::{IndexId, MemberId, NodeId};
use photondb_runtime::task;
use photondb_shard::Command;
use photondb_shard::schema::IndexState;
use photondb_storage::fault::{buggify, fault_point};

use super::Replicas;
use super::grown::{Growth, may_be_cut};
use super::join::JoinSeen;
use crate::error::ReplicaError;
use crate::limits::{LOOK_PERIOD, LOOK_PERIOD_BUSY, PREFER_AFTER};
use crate::replica::Replica;

/// What a leader remembers between two looks.
#[derive(Default)]
struct Seen {
    growth: Growth,
    join: JoinSeen,
}

/// Looks whenever something may be to do, for as long as the member runs.
pub(super) async fn watch(replicas: Weak<Replicas>, replica: Weak<Replica>) {
    let mut led_for = (None, Duration::ZERO);
    let mut waited = Duration::ZERO;
    let mut seen = Seen::default();
    // Why nothing could be adopted at the last look. It is said once, not at each look.
    let mut hindrance: Option<String> = None;
    loop {
        let (look, mut led, period) = {
            let Some(replicas) = replicas.upgrade() else { return };
            let Some(replica) = replica.upgrade().filter(|replica| !replica.duty.is_stopping()) else { return };
            match replicas.give_up(&replica).await {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    tracing::error!(shard = %replica.id, %error, "a member that cannot go on could not be ended")
                }
            }
            replicas.look_at_unborn(&replica);
            let adopts = match replicas.adopt(&replica).await {
                Ok(adopts) => {
                    hindrance = None;
                    adopts
                }
                Err(error) => {
                    let error = error.to_string();
                    if hindrance.as_ref() != Some(&error) {
                        tracing::warn!(shard = %replica.id, %error, "what another shard has could not be adopted yet; trying again");
                    }
                    hindrance = Some(error);
                    true
                }
            };
            replica.duty.space.look(replicas.engine.has_space(), waited);
            let led = replica.group.led();
            if led_for.0 != led {
                led_for = (led, Duration::ZERO);
                seen = Seen::default();
                replica.duty.note_uncut(None);
            }
            let busy = match led {
                None => Ok(false),
                Some(term) => replicas.lead(&replica, term, led_for.1, &mut seen).await,
            };
            let busy = busy.unwrap_or_else(|error| {
                tracing::debug!(shard = %replica.id, %error, "a shard is not as its leader was told to make it; trying again");
                true
            });
            let period = if busy || adopts { LOOK_PERIOD_BUSY } else { LOOK_PERIOD };
            (replica.duty.look.clone(), replica.group.watch_led(), period)
        };
        led_for.1 += period;
        led.mark_unchanged();
        let told = async {
            tokio::select! {
                biased;
                () = look.notified() => {}
                _ = led.changed() => {}
            }
        };
        waited = match task::timeout(period, told).await {
            Ok(()) => Duration::ZERO,
            Err(_) => period,
        };
    }
}

/// Whether a member that the state has is not in the group yet.
fn lacks_members(replica: &Replica, shard: &StoredShard) -> bool {
    let members = replica.group.membership();
    let is_there = |member: &Member| members.nodes.contains_key(&member.id);
    !shard.members.iter().filter(|member| !member.role.is_broken()).all(is_there)
}

impl Replicas {
    /// One look, as the leader in `term`. Whether something is on its way that nobody will tell of.
    async fn lead(
        self: &Arc<Self>,
        replica: &Arc<Replica>,
        term: Term,
        led_for: Duration,
        seen: &mut Seen,
    ) -> Result<bool, ReplicaError> {
        if self.is_stopping() {
            // Whoever leads next does the rest.
            return self.lead_before_stop(replica).await.map(|()| true);
        }
        let state = self.state();
        let Some((table, shard)) = state.shard(replica.id) else { return Ok(false) };
        if !may_be_cut(table, shard) {
            // What kept it whole may do so no more when it is looked at again.
            replica.duty.note_uncut(None);
        }
        // All the rest may need space too.
        if !self.engine.has_space() && self.lead_where_space_is(replica, &state).await? {
            return Ok(true);
        }
        let mut busy = match shard.is_joined() {
            true => self.retire(replica, shard, &mut seen.join).await.map(|()| false)?,
            false => self.lead_its_keys(replica, term, &state, (table, shard), &mut seen.join).await?,
        };
        if !busy && led_for >= PREFER_AFTER && !shard.is_joined() {
            self.give_way(replica, &state, shard).await?;
            self.split_when_grown(replica, &state, (table, shard), &mut seen.growth).await?;
        }
        let is_to_lead = state.node(self.node).is_none_or(|node| node.service == Service::Full);
        if !is_to_lead && !fault_point!("drained-leads-on") {
            busy |= self.lead_no_more(replica, &state).await?;
        }
        if buggify!("replica/leadership-given-away") {
            self.give_away(replica).await?;
        }
        Ok(busy)
    }

    /// Schema, indexes and members of a shard that has keys. Whether something is on its way.
    async fn lead_its_keys(
        &self,
        replica: &Arc<Replica>,
        term: Term,
        state: &ClusterState,
        (table, shard): (&Arc<Table>, &StoredShard),
        join: &mut JoinSeen,
    ) -> Result<bool, ReplicaError> {
        let mut busy = false;
        // What is frozen keeps what it has.
        if replica.shard.frozen().is_none() {
            self.keep_schema(replica, table).await?;
            busy |= self.say_what_is_ready(replica, state).await?;
        }
        // Nothing is changed about the members of what is being joined, also when one of them has failed. But one that was to come when it
        // began comes before anything is frozen.
        let lacks_some = replica.shard.frozen().is_none() && lacks_members(replica, shard);
        busy |= match table.is_bound(shard) && !lacks_some {
            true => self.go_on_joining(replica, term, state, (table, shard), join).await?,
            false => self.keep_members(replica, term, shard).await?,
        };
        Ok(busy)
    }

    /// An index is ready when every voter has built it. Whether one is not.
    async fn say_what_is_ready(&self, replica: &Arc<Replica>, state: &ClusterState) -> Result<bool, ReplicaError> {
        let built: Vec<IndexId> = replica.shard.built_not_ready();
        if !built.is_empty() && buggify!("replica/index-ready-late") {
            return Ok(true);
        }
        if !built.is_empty() {
            let elsewhere = self.built_by_others(replica, state).await;
            for id in built.iter().filter(|id| elsewhere.as_ref().is_none_or(|built| built.contains(id))) {
                replica.change(&Command::IndexReady { id: *id }).await?;
            }
        }
        let schema = replica.shard.view().schema.clone();
        // Those that are not built here will be told of.
        Ok(schema.indexes.values().any(|index| index.state == IndexState::Building && built.contains(&index.id)))
    }

    /// What all other voters have built; `None`: there are no others.
    async fn built_by_others(&self, replica: &Arc<Replica>, state: &ClusterState) -> Option<BTreeSet<IndexId>> {
        let voters: BTreeSet<MemberId> = replica.group.membership().all_voters();
        let mut everywhere: Option<BTreeSet<IndexId>> = None;
        for voter in voters.into_iter().filter(|voter| *voter != replica.member) {
            let node = replica.group.membership().nodes.get(&voter).copied();
            let Some(node) = node.filter(|node| state.node(*node).is_some()) else { return Some(BTreeSet::new()) };
            let built = self.status_at(node, replica, voter).await.map(|told| told.built).unwrap_or_default();
            everywhere = Some(match everywhere {
                Some(known) => known.intersection(&built).copied().collect(),
                None => built,
            });
        }
        everywhere
    }

    /// Lets any other lead, if it can at once.
    async fn give_away(&self, replica: &Arc<Replica>) -> Result<(), ReplicaError> {
        let voters = replica.group.membership().all_voters();
        let mut others = voters.into_iter().filter(|voter| *voter != replica.member);
        match others.find(|voter| self.may_take_over(replica, *voter)) {
            Some(other) => Ok(replica.group.transfer_leadership(other).await?),
            None => Ok(()),
        }
    }

    /// Lets any other on a node that may lead do so. Whether one will that cannot yet.
    async fn lead_no_more(&self, replica: &Arc<Replica>, state: &ClusterState) -> Result<bool, ReplicaError> {
        let members = replica.group.membership();
        let is_open = |voter: &MemberId| {
            let node = members.nodes.get(voter).and_then(|node| state.node(*node));
            *voter != replica.member && node.is_some_and(|node| node.is_open())
        };
        let mut open: Vec<MemberId> = members.all_voters().into_iter().filter(is_open).collect();
        if open.is_empty() {
            return Ok(false);
        }
        // All that a node leads goes to others by turns, and not to the first of them.
        let turn = (replica.id.0 % open.len() as u64) as usize;
        open.rotate_left(turn);
        let able = open.into_iter().filter(|voter| self.may_take_over(replica, *voter)).collect();
        let Some(to) = self.who_goes_on(replica, &members, able).await else { return Ok(true) };
        tracing::info!(shard = %replica.id, %to, "this node is to lead nothing: another member leads from now on");
        photondb_storage::probe!("leadership given away because the node is drained or leaves");
        replica.group.transfer_leadership(to).await?;
        Ok(true)
    }

    /// The disk of this node is full: lets another lead that takes writes, if one can at once. Whether one was told to.
    async fn lead_where_space_is(&self, replica: &Arc<Replica>, state: &ClusterState) -> Result<bool, ReplicaError> {
        let members = replica.group.membership();
        for voter in members.all_voters() {
            let node = members.nodes.get(&voter).filter(|node| state.node(**node).is_some_and(|node| node.is_open()));
            let Some(node) = node.filter(|_| voter != replica.member && self.may_take_over(replica, voter)) else {
                continue;
            };
            if self.would_lead(*node, replica, voter).await {
                tracing::warn!(shard = %replica.id, to = %voter, "the disk is full: another member leads from now on");
                photondb_storage::probe!("leadership given away because the disk is full");
                replica.group.transfer_leadership(voter).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the node of another member says that its disk has space, and that it is not about to stop.
    async fn would_lead(&self, node: NodeId, replica: &Replica, member: MemberId) -> bool {
        self.status_at(node, replica, member).await.is_some_and(|told| !told.full && !told.stopping)
    }

    /// Lets another lead that should, if it can at once.
    async fn give_way(
        &self,
        replica: &Arc<Replica>,
        state: &ClusterState,
        shard: &StoredShard,
    ) -> Result<(), ReplicaError> {
        let Some(preferred) = shard.preferred_leader().filter(|preferred| preferred.id != replica.member) else {
            return Ok(());
        };
        let is_open = state.node(preferred.node).is_some_and(|node| node.is_open());
        if is_open
            && self.may_take_over(replica, preferred.id)
            && self.would_lead(preferred.node, replica, preferred.id).await
        {
            tracing::info!(shard = %replica.id, to = %preferred.id, "another member leads from now on");
            photondb_storage::probe!("leadership given to who should lead");
            replica.group.transfer_leadership(preferred.id).await?;
        }
        Ok(())
    }
}
