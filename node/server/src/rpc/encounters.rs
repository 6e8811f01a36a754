//! Whom a node has met of those that speak to nodes: foreign ones that were refused, and its own that it does not reach.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use photondb_proto::NodeId;
use photondb_runtime::clock::{Clock, Moment, WallTime};

use crate::limits::{FOREIGN_CLUSTERS_MAX, FOREIGN_KEPT, FOREIGN_NODES_MAX, MISSED_TOLD, NODES_MISSED_MAX};

/// A node that is not of this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stranger {
    /// Its cluster; `None`: it does not know the secret, or does not take ours.
    pub cluster: Option<u128>,
    /// Which node, if it is known.
    pub node: Option<u128>,
    /// Where it was found, or the host that it calls from.
    pub address: Option<String>,
}

/// A foreign cluster, as far as its nodes were met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// See [`Stranger::cluster`].
    pub cluster: Option<u128>,
    /// Its nodes that were met last, oldest first.
    pub nodes: VecDeque<u128>,
    /// And where.
    pub addresses: VecDeque<String>,
    /// When the first one was met.
    pub first: WallTime,
    /// When the last one was.
    pub last: WallTime,
    seen: Moment,
}

/// What is kept of all meetings: the newest, for a while.
pub(crate) struct Encounters {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By the time of the last meeting.
    foreign: VecDeque<Foreign>,
    /// Nodes that the last message to them has not reached, and when that was.
    missed: BTreeMap<NodeId, Moment>,
}

impl Encounters {
    /// Nobody was met yet.
    pub fn new(clock: Arc<dyn Clock>) -> Encounters {
        Encounters { clock, kept: Mutex::default() }
    }

    /// A stranger was met; whether none of that cluster has been for a while.
    pub fn meet(&self, stranger: Stranger) -> bool {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut kept = self.kept.lock();
        kept.forget(now);
        let known = kept.foreign.iter().position(|foreign| foreign.cluster == stranger.cluster);
        let known = known.and_then(|place| kept.foreign.remove(place));
        let is_new = known.is_none();
        let mut foreign = known.unwrap_or_else(|| Foreign {
            cluster: stranger.cluster,
            nodes: VecDeque::new(),
            addresses: VecDeque::new(),
            first: wall,
            last: wall,
            seen: now,
        });
        (foreign.last, foreign.seen) = (wall, now);
        keep(&mut foreign.nodes, stranger.node);
        keep(&mut foreign.addresses, stranger.address);
        kept.foreign.push_back(foreign);
        while kept.foreign.len() > FOREIGN_CLUSTERS_MAX {
            kept.foreign.pop_front();
        }
        is_new
    }

    /// The foreign clusters that were met lately.
    pub fn foreign(&self) -> Vec<Foreign> {
        let mut kept = self.kept.lock();
        kept.forget(self.clock.now());
        kept.foreign.iter().cloned().collect()
    }

    /// Whether the last message to a node of this cluster was `missed`.
    pub fn note(&self, node: NodeId, missed: bool) {
        let missing = &mut self.kept.lock().missed;
        if !missed {
            missing.remove(&node);
        } else if missing.len() < NODES_MISSED_MAX || missing.contains_key(&node) {
            missing.insert(node, self.clock.now());
        }
    }

    /// Whether a message to the node was missed lately, and none has reached it since. Where nothing is sent nothing is known.
    pub fn is_missed(&self, node: NodeId) -> bool {
        let missed = self.kept.lock().missed.get(&node).copied();
        missed.is_some_and(|at| self.clock.now().since(at) < MISSED_TOLD)
    }
}

impl Kept {
    fn forget(&mut self, now: Moment) {
        self.foreign.retain(|foreign| now.since(foreign.seen) < FOREIGN_KEPT);
    }
}

/// Behind the others, of which the oldest goes when there are too many; one that is there stays where it is.
fn keep<T: PartialEq>(kept: &mut VecDeque<T>, new: Option<T>) {
    if let Some(new) = new.filter(|new| !kept.contains(new)) {
        kept.push_back(new);
        while kept.len() > FOREIGN_NODES_MAX {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use photondb_runtime::clock::ManualClock;

    use super::*;

    fn stranger(cluster: u128, node: u128) -> Stranger {
        Stranger { cluster: Some(cluster), node: Some(node), address: Some(format!("host-{node}:29015")) }
    }

    #[test]
    fn the_newest_foreign_clusters_are_kept_for_a_while() {
        let clock = Arc::new(ManualClock::default());
        let met = Encounters::new(clock.clone());
        assert!(met.meet(stranger(1, 10)));
        assert!(!met.meet(stranger(1, 10)), "the cluster is known");
        for node in 0..FOREIGN_NODES_MAX as u128 + 3 {
            assert!(!met.meet(stranger(1, node)));
        }
        let [first] = &met.foreign()[..] else { panic!("one cluster was met") };
        assert_eq!((first.nodes.len(), first.nodes.contains(&0)), (FOREIGN_NODES_MAX, false));
        for cluster in 2..FOREIGN_CLUSTERS_MAX as u128 + 2 {
            assert!(met.meet(stranger(cluster, 1)));
        }
        assert_eq!(met.foreign().len(), FOREIGN_CLUSTERS_MAX);
        assert!(
            met.foreign().iter().all(|foreign| foreign.cluster != Some(1)),
            "the one that was met longest ago goes"
        );
        clock.advance(FOREIGN_KEPT - Duration::from_secs(1));
        assert!(!met.meet(Stranger { cluster: Some(3), node: None, address: None }));
        clock.advance(Duration::from_secs(2));
        let kept = met.foreign();
        assert_eq!((kept.len(), kept[0].cluster), (1, Some(3)));
        assert!(kept[0].first < kept[0].last);
    }

    #[test]
    fn a_node_is_missed_until_a_message_reaches_it_or_none_is_sent() {
        let clock = Arc::new(ManualClock::default());
        let met = Encounters::new(clock.clone());
        met.note(NodeId(1), true);
        assert!(met.is_missed(NodeId(1)) && !met.is_missed(NodeId(2)));
        met.note(NodeId(1), false);
        assert!(!met.is_missed(NodeId(1)));
        met.note(NodeId(1), true);
        clock.advance(MISSED_TOLD);
        assert!(!met.is_missed(NodeId(1)), "it may be there again, and nobody has tried");
    }
}
