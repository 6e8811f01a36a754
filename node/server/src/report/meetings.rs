//! Since when this node has known that others are there.

use std::collections::BTreeMap;
use std::sync::Weak;

use parking_lot::Mutex;
use photondb_cluster_state::ClusterState;
use photondb_proto::NodeId;

use super::Reporter;

/// When each node that is there was met: how often it had opened its directory then, and the time in microseconds since the
/// epoch.
#[derive(Default)]
pub(super) struct Meetings(Mutex<BTreeMap<NodeId, (u64, i64)>>);

impl Meetings {
    pub fn since(&self, node: NodeId) -> Option<i64> {
        self.0.lock().get(&node).map(|(_, since)| *since)
    }

    /// Nodes are as `state` says, and it is `now`.
    fn take_in(&self, state: &ClusterState, now: i64) {
        let mut met = self.0.lock();
        met.retain(|id, (boots, _)| state.node(*id).is_some_and(|node| node.is_up() && node.boots == *boots));
        for node in state.nodes().filter(|node| node.is_up()) {
            met.entry(node.id).or_insert((node.boots, now));
        }
    }
}

/// Looks who comes and goes, for as long as the reporter is there.
pub(crate) async fn watch(reporter: Weak<Reporter>) {
    let Some(mut states) = reporter.upgrade().map(|reporter| reporter.cluster.controller.watch()) else { return };
    loop {
        {
            let Some(reporter) = reporter.upgrade() else { return };
            let state = states.borrow_and_update().clone();
            reporter.meetings.take_in(&state, reporter.foundation.clock.wall().micros);
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}
