//! What servers take for their caches where nobody has set them: each is asked once.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use photondb_cluster_state::{ClusterState, Node};
use photondb_proto::NodeId;
use photondb_proto::v1::report::ServerCall;
use photondb_proto::v1::report::answer::Told;
use photondb_proto::v1::report::call::Ask;

use super::{Heard, Reporter};

/// Of each node that has told: how often it had opened its directory, as far as that was known before it was asked, and its
/// cache in MiB, which stays the same until it opens it again.
#[derive(Default)]
pub(super) struct Caches(Mutex<BTreeMap<NodeId, (u64, u64)>>);

impl Caches {
    /// `None`: it has not told since it opened its directory last.
    fn of(&self, node: &Node) -> Option<u64> {
        self.0.lock().get(&node.id).filter(|(boots, _)| *boots >= node.boots).map(|(_, mib)| *mib)
    }

    /// What nodes of `state` have told that were asked under it, or a later one.
    fn take_in(&self, state: &ClusterState, told: impl IntoIterator<Item = (NodeId, u64)>) {
        let mut known = self.0.lock();
        known.retain(|id, _| state.node(*id).is_some());
        for (id, mib) in told {
            let Some(node) = state.node(id) else { continue };
            if known.get(&id).is_none_or(|(boots, _)| *boots <= node.boots) {
                known.insert(id, (node.boots, mib));
            }
        }
    }
}

impl Reporter {
    /// The caches of the nodes of `state` that are `wanted`, in MiB, as they have told themselves. Those are asked that have not
    /// since they opened their directories; who does not answer is missing.
    pub async fn own_caches(&self, state: &ClusterState, wanted: impl Fn(&Node) -> bool) -> BTreeMap<NodeId, u64> {
        let wanted: Vec<&Node> = state.nodes().map(|node| &**node).filter(|node| wanted(node)).collect();
        let untold: BTreeSet<NodeId> =
            wanted.iter().filter(|node| self.caches.of(node).is_none()).map(|node| node.id).collect();
        let cache = |heard: Heard| match heard.told {
            Some(Told::Server(server)) => Some((heard.node, server.cache_mib)),
            _ => None,
        };
        let told = self.ask_each(|id| untold.contains(&id).then_some(Ask::Server(ServerCall {}))).await;
        self.caches.take_in(state, told.into_iter().filter_map(cache));
        wanted.into_iter().filter_map(|node| Some((node.id, self.caches.of(node)?))).collect()
    }

    /// What a node told last, be it before it opened its directory again.
    pub fn own_cache_told_last(&self, node: NodeId) -> Option<u64> {
        self.caches.0.lock().get(&node).map(|(_, mib)| *mib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples::{cluster, whole};

    #[test]
    fn what_a_node_told_counts_until_it_opens_its_directory_again() {
        let state = cluster(whole(&[1]));
        let caches = Caches::default();
        let node = |id: u128, boots: u64| Node { boots, ..Node::clone(state.node(NodeId(id)).expect("is there")) };
        caches.take_in(&state, [(NodeId(1), 512)]);
        // Nobody answers.
        caches.take_in(&state, []);
        assert_eq!((caches.of(&node(1, 1)), caches.of(&node(2, 1))), (Some(512), None));
        assert_eq!(caches.of(&node(1, 2)), None, "it may have been started with another one");
        caches.take_in(&state, [(NodeId(1), 1024), (NodeId(7), 5)]);
        assert_eq!(caches.of(&node(1, 1)), Some(1024));
        assert_eq!(caches.0.lock().len(), 1, "a node that is not there is not remembered");
        caches.take_in(&ClusterState::at_birth(), []);
        assert_eq!(caches.of(&node(1, 1)), None);
    }

    #[test]
    fn what_was_heard_under_an_older_state_takes_the_place_of_nothing_newer() {
        let older = cluster(whole(&[1]));
        let node = Node::clone(older.node(NodeId(1)).expect("is there"));
        let caches = Caches(Mutex::new(BTreeMap::from([(node.id, (node.boots + 1, 1024))])));
        caches.take_in(&older, [(node.id, 512)]);
        assert_eq!(caches.of(&node), Some(1024));
    }
}
