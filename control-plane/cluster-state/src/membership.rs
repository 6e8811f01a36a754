//! Nodes, as they last registered.

use std::collections::BTreeSet;

use photondb_proto::{MemberId, NodeId};

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

/// A node (RethinkDB's "server").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Unique among nodes.
    pub name: String,
    /// Chosen by the administrator, for placement.
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

    /// Whether what it has is to be elsewhere.
    pub fn is_to_be_replaced(&self) -> bool {
        self.is_lost() || matches!(self.service, Service::Leaving | Service::Gone)
    }

    /// Whether it is not waited for any more.
    pub fn is_lost(&self) -> bool {
        self.liveness == Liveness::Lost
    }
}
