//! What a controller is made of, and how it begins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use photondb_cluster_state::{Address, ClusterId, Command, Incarnation};
use photondb_consensus::Groups;
use photondb_proto::NodeId;
use photondb_runtime::clock::Clock;
use photondb_runtime::peers::Peers;
use photondb_runtime::random::Random;
use photondb_runtime::task::Handle;
use photondb_storage::Engine;

use crate::contacts::Contacts;
use crate::limits::NODE_LOST_AFTER;

/// What it runs on.
#[derive(Clone)]
pub struct Parts {
    /// The node's groups.
    pub groups: Groups,
    /// Where the state is kept.
    pub engine: Engine,
    /// Whose thread runs what goes on in the background.
    pub executor: Handle,
    /// The way to other nodes.
    pub peers: Arc<dyn Peers>,
    /// On which silence is measured.
    pub clock: Arc<dyn Clock>,
    /// Where jitter comes from.
    pub random: Arc<dyn Random>,
    /// What may be chosen.
    pub options: Options,
    /// Told once which cluster the node is in, before it speaks to any other node as one of it.
    pub entered: Arc<dyn Fn(ClusterId) + Send + Sync>,
}

/// What may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a node may be silent, beyond the time after which it counts as down, before others take the places of what
    /// it has. `None`: for ever.
    pub lost_after: Option<Duration>,
}

impl Default for Options {
    fn default() -> Options {
        Options { lost_after: Some(NODE_LOST_AFTER) }
    }
}

/// Who this node is, and what it says of itself at a start. Node and boot counter are those of its directory (DESIGN section
/// 4, "Identity").
#[derive(Clone, Debug)]
pub struct Registration {
    /// The directory's cluster, or the one to be founded. A node that is taken in gets that of the others.
    pub cluster: ClusterId,
    /// The directory's node.
    pub node: NodeId,
    /// Raised at each opening of the directory.
    pub boots: u64,
    /// The name it asks for. A node that is known keeps its name.
    pub name: String,
    /// The tags it asks for. A node that is known keeps its tags.
    pub tags: BTreeSet<String>,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// What becomes of a state that this node founds, before it is anybody's: the first password.
    pub founding: Vec<Command>,
}

impl Registration {
    /// As a command, of this process.
    pub(crate) fn command(&self, incarnation: Incarnation) -> Command {
        Command::RegisterNode {
            id: self.node,
            name: self.name.clone(),
            tags: self.tags.clone(),
            addresses: self.addresses.clone(),
            boots: self.boots,
            incarnation,
        }
    }
}

/// How a node begins whose directory belongs to no cluster yet. One that belongs to a cluster goes on in it.
#[derive(Clone, Debug)]
pub enum Begin {
    /// It founds a cluster of one.
    Found,
    /// It asks these to take it in, for ever, or until it is told to found a cluster
    /// ([`Controller::initialize`](crate::Controller::initialize)).
    Join(Contacts),
}

impl Begin {
    pub(crate) fn contacts(&self) -> Contacts {
        match self {
            Begin::Found => Contacts::default(),
            Begin::Join(contacts) => contacts.clone(),
        }
    }
}
