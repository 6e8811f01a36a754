//! What each node has to bear, put into one number: who has least gets what is to be placed.
//!
//! Three things count, alike, each as a share of what all nodes have: replicas, bytes, and documents that are read and written. The
//! number of replicas is known of every node, and at once. The other two are what nodes say, and say late: a replica that was placed a
//! moment ago, or is being filled, has none of them yet. So it is taken to bear what one replica bears on the mean, and several that are
//! placed in one plan, or in two plans one after the other, do not all go to one node.
//!
//! The same is taken of every replica on a node that has not said what it bears: one of an older version, or one that has not been heard
//! by who plans. Taken for an empty one it would get everything. With the burden of a mean node one that has just been added would look
//! full; by its replicas it ranks as it would if nobody said anything.

use std::collections::BTreeMap;

use photondb_proto::{NodeId, TableId};

use super::burden::{Burden, Burdens};
use crate::limits::{BYTES_COMPARED_MIN, WORK_COMPARED_MIN};
use crate::shard::{Member, Role};
use crate::state::ClusterState;

/// Parts of what a node has on the mean, in which shares are counted.
const PARTS: u128 = 1000;

/// What the nodes have to bear.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    nodes: BTreeMap<NodeId, Load>,
    /// Of those together that may be given more, and how many these are.
    whole: Load,
    count: u64,
    /// What one replica bears on the mean.
    replica: Burden,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// Replicas that are wanted there.
    replicas: u64,
    burden: Burden,
}

impl Loads {
    /// As the state has it and the nodes say. Replicas of the table `without` are not counted, because they are placed anew; what is
    /// stored and done for them is, where they are now.
    pub fn of(state: &ClusterState, burdens: &Burdens, without: Option<TableId>) -> Loads {
        let held = held(state);
        let replica = mean_replica(&held, burdens);
        let estimated = |node: &NodeId| times(replica, held.get(node).copied().unwrap_or_default());
        let said = |node: NodeId| burdens.get(&node).copied().unwrap_or_else(|| estimated(&node));
        let load = |node: NodeId| (node, Load { replicas: 0, burden: said(node) });
        let nodes = state.nodes().map(|node| load(node.id)).collect();
        let mut loads = Loads { nodes, whole: Load::default(), count: 0, replica };
        for shard in state.tables().filter(|table| Some(table.id) != without).flat_map(|table| &table.shards) {
            // What is to be cut off is on the nodes of the whole already, and soon a shard of its own.
            let cuts = shard.cuts.iter().map(|cut| (&cut.placement, &cut.members));
            for (placement, members) in std::iter::once((&shard.placement, &shard.members)).chain(cuts) {
                for node in placement.nodes() {
                    match hold(members, node) {
                        true => loads.nodes.entry(node).or_default().replicas += 1,
                        false => loads.give(node),
                    }
                }
            }
        }
        for node in state.nodes().filter(|node| node.is_open()) {
            let load = loads.load(node.id);
            loads.whole.replicas += load.replicas;
            loads.whole.burden = plus(loads.whole.burden, load.burden);
            loads.count += 1;
        }
        loads
    }

    /// One more replica is wanted there.
    pub fn give(&mut self, node: NodeId) {
        let load = self.nodes.entry(node).or_default();
        load.replicas += 1;
        load.burden = plus(load.burden, self.replica);
    }

    /// The less, the better. Three thousand is what a node has on the mean, where there is enough of everything to compare.
    pub fn score(&self, node: NodeId) -> u128 {
        let (load, whole) = (self.load(node), self.whole);
        self.share(load.replicas, whole.replicas, 1)
            + self.share(load.burden.bytes, whole.burden.bytes, BYTES_COMPARED_MIN)
            + self.share(load.burden.work, whole.burden.work, WORK_COMPARED_MIN)
    }

    /// Documents that are read and written there in each second.
    pub fn work(&self, node: NodeId) -> u64 {
        self.load(node).burden.work
    }

    fn load(&self, node: NodeId) -> Load {
        self.nodes.get(&node).copied().unwrap_or_default()
    }

    /// What `part` is of what a node has on the mean, or of `least`, if that is more.
    fn share(&self, part: u64, whole: u64, least: u64) -> u128 {
        let count = u128::from(self.count.max(1));
        let whole = u128::from(whole).max(u128::from(least) * count);
        u128::from(part) * PARTS * count / whole
    }
}

/// How many replicas each node has that are filled.
fn held(state: &ClusterState) -> BTreeMap<NodeId, u64> {
    let mut held = BTreeMap::new();
    let members = state.tables().flat_map(|table| &table.shards).flat_map(|shard| &shard.members);
    for member in members.filter(|member| is_filled(member.role)) {
        *held.entry(member.node).or_default() += 1;
    }
    held
}

fn hold(members: &[Member], node: NodeId) -> bool {
    members.iter().any(|member| member.node == node && is_filled(member.role))
}

fn is_filled(role: Role) -> bool {
    matches!(role, Role::Voter | Role::Nonvoting | Role::Leaving)
}

/// What a replica bears on the mean, on the nodes that say what they bear.
fn mean_replica(held: &BTreeMap<NodeId, u64>, burdens: &Burdens) -> Burden {
    let mut replicas: u64 = 0;
    let mut all = Burden::default();
    for (held, burden) in held.iter().filter_map(|(node, held)| Some((held, burdens.get(node)?))) {
        replicas += held;
        all = plus(all, *burden);
    }
    let mean = |all: u64| all.checked_div(replicas).unwrap_or(0);
    Burden { bytes: mean(all.bytes), work: mean(all.work) }
}

fn plus(left: Burden, right: Burden) -> Burden {
    Burden { bytes: left.bytes.saturating_add(right.bytes), work: left.work.saturating_add(right.work) }
}

fn times(burden: Burden, count: u64) -> Burden {
    Burden { bytes: burden.bytes.saturating_mul(count), work: burden.work.saturating_mul(count) }
}
