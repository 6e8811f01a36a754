//! The door to the cluster state: read it, change it, watch it; and how a cluster begins.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use photondb_cluster_state::{
    Address, ClusterId, ClusterState, Command, FormatError, META_FOUNDER, Response, StateError,
};
use photondb_consensus::{Group, Groups};
use photondb_proto::{GroupId, NodeId};
use photondb_storage::Engine;
use photondb_storage::wal::Purpose;
use tokio::sync::watch;

use crate::error::ControllerError;
use crate::limits::{BOOTSTRAP_WAIT, LEADER_WAIT};
use crate::replicated_state::ReplicatedState;

/// Who this node is, and what it says of itself at a start. Cluster, node and boot counter are those of its directory,
/// durable before this is used (DESIGN section 4, "Identity").
#[derive(Clone, Debug)]
pub struct Registration {
    /// The directory's cluster.
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
}

/// The cluster state of this node. Clones share it.
#[derive(Clone)]
pub struct Controller {
    group: Group,
    replicated: Arc<ReplicatedState>,
}

impl Controller {
    /// Starts this node's member of the cluster state's group, founding a cluster of one when there is none, and
    /// registers the node. When this returns the state is complete: everything acknowledged earlier is applied.
    ///
    /// Errors: [`StateError::OtherCluster`] when the state is another cluster's, [`StateError::StaleBoot`] when the
    /// directory is a copy or was set back.
    pub async fn open(groups: &Groups, engine: Engine, me: &Registration) -> Result<Controller, ControllerError> {
        let replicated = Arc::new(ReplicatedState::open(engine)?);
        let machine = Arc::clone(&replicated);
        let group = groups.initialize(GroupId::META, META_FOUNDER, me.node, machine).await?;
        group.wait_leading(BOOTSTRAP_WAIT).await?;
        let controller = Controller { group, replicated };
        // Found answers both questions: a new cluster gets this id, an old one is compared with it.
        if controller.state().cluster() != Some(me.cluster) {
            controller.propose(Command::Found { cluster: me.cluster }).await?;
        }
        let register = Command::RegisterNode {
            id: me.node,
            name: me.name.clone(),
            tags: me.tags.clone(),
            addresses: me.addresses.clone(),
            boots: me.boots,
            incarnation: Default::default(),
        };
        controller.propose(register).await?;
        controller.keep_ids_apart().await?;
        Ok(controller)
    }

    /// What is in this directory has numbers that the state has given. It no longer knows all of them when a loss of its log
    /// was accepted; given again, they would meet tombstones (C7) and other tables' trees.
    async fn keep_ids_apart(&self) -> Result<(), ControllerError> {
        let (engine, state) = (self.replicated.engine(), self.state());
        let members = engine.wal().states().into_keys().map(|stream| stream.0);
        let shards = engine.tree_sets().into_iter().map(|set| set.0);
        let next_member = members.max().map_or(0, |last| last + 1).max(state.next_member());
        let next_shard = shards.max().map_or(0, |last| last + 1).max(state.next_shard());
        if (next_member, next_shard) != (state.next_member(), state.next_shard()) {
            self.propose(Command::SkipIds { next_shard, next_member }).await?;
        }
        Ok(())
    }

    /// Proposes a change and gives the state's answer, once it is applied here: [`state`](Self::state) shows it.
    pub async fn propose(&self, command: Command) -> Result<Response, ControllerError> {
        let term = match self.group.leading() {
            Some(term) => term,
            None => self.group.wait_leading(LEADER_WAIT).await?,
        };
        let command: Bytes = command.encode().into();
        let admission =
            self.replicated.engine().admit(command.len(), Purpose::Upkeep).map_err(ControllerError::NoRoom)?;
        let outcome = self.group.propose(term, command).await?;
        drop(admission);
        let outcome: Result<Result<Response, StateError>, FormatError> = Response::decode_outcome(&outcome);
        Ok(outcome??)
    }

    /// The state now.
    pub fn state(&self) -> Arc<ClusterState> {
        self.replicated.state()
    }

    /// Holds the newest state, and tells when there is a newer one. A slow watcher sees the newest, not each.
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.replicated.watch()
    }

    /// The group of the cluster state, for purging its log behind checkpoints.
    pub fn group(&self) -> &Group {
        &self.group
    }
}
