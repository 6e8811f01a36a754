//! What nodes bear, as this one has heard it: each tells it to the leader of the cluster state, and the leader tells all of them.
//!
//! So every node can place replicas, and one that begins to lead goes on with what it was told before. Nothing but the choice among
//! nodes that suit alike depends on it, so it may be some seconds old, differ from node to node, and be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use photondb_cluster_state::plan::{Burden, Burdens};
use photondb_proto::{NodeId, v1};
use photondb_runtime::clock::Moment;

use crate::limits::BURDEN_COUNTS_FOR;
use crate::messages::{id_bytes, id_of};

/// The last word of each node, and when it was said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    nodes: BTreeMap<NodeId, (Burden, Moment)>,
}

impl Told {
    /// A node said at that moment what it bears. What is known to be newer stays.
    pub fn note(&mut self, node: NodeId, burden: Burden, said: Moment) {
        let known = self.nodes.entry(node).or_insert((burden, said));
        if known.1 <= said {
            *known = (burden, said);
        }
    }

    /// What another node has heard, which tells how old it is.
    pub fn learn(&mut self, heard: &v1::Burdens, now: Moment) {
        for heard in &heard.nodes {
            let age = Duration::from_millis(heard.age_ms);
            // A clock that has just begun knows of no earlier moment: there it looks younger than it is.
            let said = Moment::from_start(now.since_start().saturating_sub(age));
            if let (Some(node), Some(burden), true) =
                (id_of(&heard.node), heard.burden.as_ref(), age <= BURDEN_COUNTS_FOR)
            {
                self.note(NodeId(node), Burden { bytes: burden.bytes, work: burden.work }, said);
            }
        }
    }

    /// What counts now. What is too old is forgotten.
    pub fn burdens(&mut self, now: Moment) -> Burdens {
        self.forget_old(now);
        self.nodes.iter().map(|(node, (burden, _))| (*node, *burden)).collect()
    }

    /// The same for another node.
    pub fn message(&mut self, now: Moment) -> v1::Burdens {
        self.forget_old(now);
        let nodes = self.nodes.iter().map(|(node, (burden, said))| v1::NodeBurden {
            node: id_bytes(node.0),
            burden: Some(burden_message(*burden)),
            age_ms: u64::try_from(now.since(*said).as_millis()).unwrap_or(u64::MAX),
        });
        v1::Burdens { nodes: nodes.collect() }
    }

    fn forget_old(&mut self, now: Moment) {
        self.nodes.retain(|_, (_, said)| now.since(*said) <= BURDEN_COUNTS_FOR);
    }
}

/// As it goes to another node.
pub(crate) fn burden_message(burden: Burden) -> v1::Burden {
    v1::Burden { bytes: burden.bytes, work: burden.work }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    fn burden(bytes: u64) -> Burden {
        Burden { bytes, work: bytes * 2 }
    }

    fn known(told: &mut Told, seconds: u64) -> Vec<(u128, u64)> {
        told.burdens(at(seconds)).into_iter().map(|(node, burden)| (node.0, burden.bytes)).collect()
    }

    #[test]
    fn the_newest_word_counts_whoever_brings_it() {
        let (mut leader, mut other) = (Told::default(), Told::default());
        leader.note(NodeId(1), burden(10), at(100));
        leader.note(NodeId(2), burden(20), at(104));
        // The clocks of the two have nothing to do with each other.
        other.note(NodeId(1), burden(11), at(20));
        other.note(NodeId(2), burden(21), at(13));
        other.learn(&leader.message(at(105)), at(20));
        assert_eq!(known(&mut other, 20), [(1, 11), (2, 20)]);
        assert_eq!(other.burdens(at(20))[&NodeId(2)], burden(20));
    }

    #[test]
    fn what_is_passed_on_grows_old_with_what_it_was() {
        let (mut leader, mut next, mut last) = (Told::default(), Told::default(), Told::default());
        let limit = BURDEN_COUNTS_FOR.as_secs();
        leader.note(NodeId(1), burden(1), at(0));
        next.learn(&leader.message(at(limit - 20)), at(1_000));
        assert_eq!(known(&mut next, 1_010), [(1, 1)]);
        last.learn(&next.message(at(1_010)), at(2_000));
        assert_eq!(known(&mut last, 2_010), [(1, 1)]);
        assert_eq!(known(&mut last, 2_011), []);
        assert_eq!(known(&mut leader, limit + 1), []);
        // A word that was too old when it came, at a clock that has just begun.
        let message = v1::NodeBurden { node: id_bytes(7), burden: Some(burden_message(burden(7))), age_ms: u64::MAX };
        last.learn(&v1::Burdens { nodes: vec![message] }, at(0));
        assert_eq!(known(&mut last, 0), []);
    }
}
