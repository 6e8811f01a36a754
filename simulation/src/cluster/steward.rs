//! Somebody who takes nodes out of service, lets them serve again, and takes one out of the cluster for good, as `photonctl node drain`,
//! `undrain` and `decommission` do, whatever else happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::plan::{Burdens, plan};
use photondb_cluster_state::{ClusterState, Command, Service};
use photondb_proto::{GroupId, MemberId, NodeId};

use super::fault::{Fault, Place, Timed};
use super::harm::Harm;
use super::observe::Living;
use super::plan::ClusterPlan;
use super::{Cluster, Power};
use crate::random::Random;

/// How long it rests between two changes, in milliseconds.
const REST_MS: std::ops::RangeInclusive<u64> = 500..=4_000;

/// Nodes that stay, at least, so that a majority of three has somebody to spare.
const NODES_MIN: usize = 4;

/// Nodes that are not drained where disks are lost, at least: a table that is made just then, before the loss is noticed, has as many
/// replicas, and bears one loss.
const OPEN_MIN: usize = 3;

/// One change in so many takes a node out for good, if any may go.
const LEAVES_ONE_OF: u64 = 3;

/// What it has done, for counts.
const DRAINED: &str = "node drained";
const UNDRAINED: &str = "node undrained";
const DECOMMISSIONED: &str = "node decommissioned";

/// Its state of mind.
pub struct Steward {
    random: Random,
    /// When it does something next.
    next: Duration,
    /// Whether one may still be taken out for good: not in a run in which disks are lost, where the ones that are left are few.
    may_take_out: bool,
    /// How many nodes are not drained, at least.
    open_min: usize,
}

impl Steward {
    /// In a run that somebody administers.
    pub fn of(plan: &ClusterPlan) -> Option<Steward> {
        let loses = |timed: &Timed| match timed.fault {
            Fault::Harm(harm) => harm.shows_late() || matches!(harm, Harm::WipedDisk { .. } | Harm::OlderDisk { .. }),
            _ => false,
        };
        let loses = plan.faults.iter().any(loses);
        let may_take_out = plan.machines.len() >= NODES_MIN && !loses;
        let open_min = if loses { OPEN_MIN } else { 1 };
        // Nothing that others draw changes with it.
        let random = Random::new(plan.seed ^ 0x00ad_0159);
        plan.administered.then_some(Steward { random, next: Duration::ZERO, may_take_out, open_min })
    }
}

impl Cluster {
    /// Does what the steward wants, when its time has come.
    pub(super) fn let_steward_act(&mut self) {
        let now = self.now();
        let Some(steward) = self.steward.as_mut().filter(|steward| now >= steward.next) else { return };
        steward.next = now + steward.random.millis(REST_MS);
        if self.is_healed || !self.steward_works {
            return;
        }
        let place = steward.random.within(0..=self.machines.len() as u64 - 1) as Place;
        let takes_out = steward.may_take_out && steward.random.once_in(LEAVES_ONE_OF);
        let drains = steward.random.once_in(2);
        let (service, kind) = match (takes_out, drains) {
            (true, _) => (Service::Leaving, DECOMMISSIONED),
            (false, true) => (Service::Drained, DRAINED),
            (false, false) => (Service::Full, UNDRAINED),
        };
        let open_min = steward.open_min;
        let Some(id) = self.node_at(place) else { return };
        let open = self.newest_state().map_or(0, |state| state.nodes().filter(|node| node.is_open()).count());
        if service == Service::Drained && open <= open_min {
            return;
        }
        if self.tell(id, service) {
            self.trace.event(format_args!("n{} is to be in service: {service:?}", place + 1));
            *self.changes.entry(kind.to_owned()).or_default() += 1;
            if let Some(steward) = self.steward.as_mut().filter(|_| takes_out) {
                steward.may_take_out = false;
            }
        }
    }

    /// The node that lives at `place`, as the newest state has it.
    fn node_at(&mut self, place: Place) -> Option<NodeId> {
        self.look_at_members();
        let state = self.newest_state()?;
        let lives = |id: NodeId| self.afflictions.place_of(id) == Some(place);
        state.nodes().find(|node| !node.is_lost() && lives(node.id)).map(|node| node.id)
    }

    /// Proposes that a node be in that service. Whether that changes anything, and was proposed.
    fn tell(&self, id: NodeId, service: Service) -> bool {
        let Some(state) = self.newest_state() else { return false };
        let command = Command::SetService { id, service };
        let changes = state.node(id).is_some_and(|node| node.service != service && node.service != Service::Leaving);
        changes && self.propose(&state, &command)
    }

    /// Proposes a change of the state, if the leader would take it. Whether it was proposed: what becomes of it is seen in the state.
    pub(super) fn propose(&self, state: &Arc<ClusterState>, command: &Command) -> bool {
        if state.applied(command).is_err() {
            return false;
        }
        let led = |(_, living): (Place, &Living)| {
            let group = living.groups.find(GroupId::META)?;
            group.led().map(|term| (group, term))
        };
        let Some((group, term)) = self.living().find_map(led) else { return false };
        // It is taken when the call returns.
        drop(group.propose(term, command.encode().into()));
        true
    }

    /// Whether the process at `place` ended because its node has been taken out of the cluster. It is not started again.
    pub(super) fn retires(&mut self, place: Place) -> bool {
        self.look_at_members();
        let Some(state) = self.newest_state() else { return false };
        let gone = |id: NodeId| state.node(id).is_some_and(|node| node.service == Service::Gone);
        let is_gone = self.afflictions.nodes_at(place).into_iter().any(gone);
        if is_gone {
            self.trace.event(format_args!("n{} has left the cluster", place + 1));
        }
        is_gone
    }

    /// What is still to be done of what was planned, or is led where nothing should be, or runs though it has left.
    pub fn unsettled(&mut self) -> Vec<String> {
        if self.steward.is_none() {
            return Vec::new();
        }
        self.look_at_members();
        let Some(state) = self.newest_state() else { return vec!["no node has the cluster state".to_owned()] };
        let mut left: Vec<String> =
            plan(&state, &Burdens::new()).iter().map(|command| format!("planned: {command:?}")).collect();
        for (at, living) in self.living() {
            // Another one may have lived there before its disk was wiped.
            let own = living.engine.identity().node.map(NodeId);
            match own.and_then(|id| Some(state.node(id)?.service)) {
                Some(Service::Gone) => left.push(format!("n{} has left, and runs", at + 1)),
                Some(Service::Drained | Service::Leaving) => left.extend(led_there(&state, at, living)),
                _ => {}
            }
        }
        left
    }
}

impl Cluster {
    /// Processes that nobody has taken in, or that the cluster state takes for away. Those whose disks have lost something unseen may end of it,
    /// and are started again.
    pub fn outsiders(&self) -> Vec<String> {
        let Some(state) = self.newest_state() else { return vec!["no node has the cluster state".to_owned()] };
        let living: BTreeMap<Place, &Living> = self.living().collect();
        let on = (0..self.machines.len()).filter(|at| self.power[*at] == Power::On && !self.afflictions.is_rotten(*at));
        let belongs = |at: &Place| {
            let Some(identity) = living.get(at).map(|living| living.engine.identity()) else { return false };
            let node = identity.node.and_then(|id| state.node(NodeId(id)));
            node.is_some_and(|node| node.boots == identity.boot && (node.is_up() || node.service == Service::Gone))
        };
        on.filter(|at| !belongs(at)).map(|at| format!("n{} runs, and is not there", at + 1)).collect()
    }
}

/// What a node leads that others could.
fn led_there(state: &ClusterState, at: Place, living: &Living) -> Vec<String> {
    let mut led = Vec::new();
    for group in living.groups.list().iter().filter(|group| group.led().is_some()) {
        let members = group.membership();
        let may_lead = |voter: &MemberId| {
            let node = members.nodes.get(voter).and_then(|node| state.node(*node));
            *voter != group.member() && node.is_some_and(|node| node.is_open())
        };
        if members.all_voters().iter().any(may_lead) {
            led.push(format!("n{} leads group {}, and is to lead nothing", at + 1, group.id()));
        }
    }
    led
}
