//! Nodes, as they last registered.

use std::collections::BTreeSet;

use photondb_proto::{MemberId, NodeId};

use crate::plan::DEFAULT_TAG;

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A name or a number.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A process of a node, by a number that it drew when it began. Tells a registration that is sent again, because its answer
/// was lost, from that of a copied directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

/// Whether a node is there, as the leader of the cluster state last heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Liveness {
    /// It tells that it lives.
    #[default]
    Up,
    /// It has not told so for a while.
    Down,
    /// It is not waited for any more: others take the places of what it has. It may come back all the same.
    Lost,
}

/// What an administrator wants of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// It leads and gets replicas.
    #[default]
    Full,
    /// It is about to be stopped for a while: it leads nothing that another can lead, and gets no new replicas. Ends by
    /// itself when the node registers anew.
    Drained,
    /// It is to go for good: others take the places of what it has.
    Leaving,
    /// It has gone: it holds nothing, and may not register again.
    Gone,
}

/// What stands among the tags of a node that has none at all, not even that of nodes that were given none. It is no name.
const UNTAGGED: &str = "";

/// A node (RethinkDB's "server").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Unique among nodes.
    pub name: String,
    /// Chosen by the administrator, for placement: see [`Node::shown_tags`].
    pub tags: BTreeSet<String>,
    /// Where other nodes reach it.
    pub addresses: Vec<Address>,
    /// How often it has opened its directory. A directory that opens with a counter not above this one is a copy.
    pub boots: u64,
    /// Its cache budget in MiB, if the administrator set it; otherwise it decides itself.
    pub cache_size_mb: Option<u64>,
    /// Its member of the group that holds this state.
    pub meta: MemberId,
    /// The process that registered last.
    pub incarnation: Incarnation,
    /// See [`Liveness`].
    pub liveness: Liveness,
    /// See [`Service`].
    pub service: Service,
}

impl Node {
    /// Whether it tells that it lives.
    pub fn is_up(&self) -> bool {
        self.liveness == Liveness::Up
    }

    /// Whether it may lead, and be given replicas.
    pub fn is_open(&self) -> bool {
        self.is_up() && self.service == Service::Full
    }

    /// What is stored for a node that is to have these tags: of one that is to have none this is said, as nothing else says that a node
    /// has the default one.
    pub fn chosen_tags(tags: BTreeSet<String>) -> BTreeSet<String> {
        if tags.is_empty() { BTreeSet::from([UNTAGGED.to_owned()]) } else { tags }
    }

    /// The tags that it has, the default one first if nothing says that it has it.
    pub fn shown_tags(&self) -> Vec<&str> {
        let is_unsaid = self.has_tag(DEFAULT_TAG) && !self.tags.contains(DEFAULT_TAG);
        let said = self.tags.iter().map(String::as_str).filter(|tag| *tag != UNTAGGED);
        is_unsaid.then_some(DEFAULT_TAG).into_iter().chain(said).collect()
    }

    /// Whether what it has is to be elsewhere.
    pub fn is_to_be_replaced(&self) -> bool {
        self.is_lost() || matches!(self.service, Service::Leaving | Service::Gone)
    }

    /// Whether it is not waited for any more.
    pub fn is_lost(&self) -> bool {
        self.liveness == Liveness::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_tags_that_were_chosen_or_the_default_one_or_none() {
        let with = |tags: BTreeSet<String>| Node {
            id: NodeId(1),
            name: "n".into(),
            tags,
            addresses: Vec::new(),
            boots: 1,
            cache_size_mb: None,
            meta: MemberId(1),
            incarnation: Incarnation(0),
            liveness: Liveness::Up,
            service: Service::Full,
        };
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<BTreeSet<_>>();
        let fresh = with(tags(&[]));
        assert_eq!((fresh.shown_tags(), fresh.has_tag(DEFAULT_TAG)), (vec!["default"], true));
        let chosen = |names: &[&str]| with(Node::chosen_tags(tags(names)));
        for (names, is_default) in [(vec!["a", "b"], false), (vec!["a", "default"], true), (vec![], false)] {
            let node = chosen(&names);
            assert_eq!((node.shown_tags(), node.has_tag(DEFAULT_TAG)), (names, is_default));
        }
        assert_eq!(chosen(&["zone-a"]).shown_tags(), ["default", "zone-a"], "a zone alone is no other tag");
        assert_eq!(chosen(&[]).zone(), None);
    }
}
