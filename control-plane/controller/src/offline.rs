//! The cluster state in a directory that no node runs on.

use std::sync::Arc;

use photondb_cluster_state::{ClusterState, Command, META_FOUNDER};
use photondb_consensus::{AcceptedLoss, Replicated};
use photondb_proto::GroupId;
use photondb_storage::Engine;

use crate::error::ControllerError;
use crate::replicated_state::ReplicatedState;

/// Accepts what damage took from the log of the cluster state, when this node is its only replica. `None`: nothing.
pub fn accept_loss(engine: &Engine) -> Result<Option<AcceptedLoss>, ControllerError> {
    let applied = ReplicatedState::open(engine.clone())?.applied();
    Ok(photondb_consensus::accept_loss(engine.wal(), GroupId::META, META_FOUNDER, &applied)?)
}

/// The cluster state as the next start of the node will find it: the stored one, and what its log adds.
pub fn state_on_disk(engine: &Engine) -> Result<Arc<ClusterState>, ControllerError> {
    let replicated = ReplicatedState::open(engine.clone())?;
    let mut state = replicated.state();
    let member = replicated.member().unwrap_or(META_FOUNDER);
    for entry in photondb_consensus::entries_not_applied(engine.wal(), member, &replicated.applied())? {
        let Some(command) = entry.command else { continue };
        // What the state refuses, it refused then too.
        if let Ok((next, _)) = state.applied(&Command::decode(&command)?) {
            state = next;
        }
    }
    Ok(state)
}
