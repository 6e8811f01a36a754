//! Nodes, as they last registered.

use std::collections::BTreeSet;

use photondb_proto::NodeId;

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A name or a number.
    pub host: String,
    /// The port.
    pub port: u16,
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
}
