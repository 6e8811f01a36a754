//! Why a change of the cluster state has no answer, or a bad one.

use photondb_cluster_state::{FormatError, StateError};
use photondb_consensus::{ConsensusError, ProposeError};
use photondb_storage::StorageError;

/// See the variants: each is another decision of the caller.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The state refused the command, and is as it was: an answer for the user.
    #[error(transparent)]
    Refused(#[from] StateError),
    /// The command did not enter the log ([`ProposeError::is_known_not_proposed`]), or its fate is not known.
    #[error("the cluster state could not be changed: {0}")]
    NotProposed(#[from] ProposeError),
    /// Nobody leads the cluster state, as far as this node knows; nothing was done.
    #[error("the cluster state was not changed: no node leads it ({0})")]
    NoLeader(String),
    /// The command went to the leader, and its fate is not known.
    #[error("the cluster state may or may not have been changed: {0}")]
    Unknown(String),
    /// The group of the cluster state does not start, or does not lead in time.
    #[error("the cluster state is not available: {0}")]
    Consensus(#[from] ConsensusError),
    /// Storage has no room for a change: the disk is full. Nothing was written.
    #[error("the cluster state was not changed, nothing was written: {0}")]
    NoRoom(#[source] StorageError),
    /// Storage failed.
    #[error("the cluster state could not be read: {0}")]
    Storage(#[from] StorageError),
    /// Stored bytes cannot be read.
    #[error("the cluster state could not be read: {0}")]
    Format(#[from] FormatError),
    /// The controller has not been started, or its node is stopping.
    #[error("the cluster state is not there yet")]
    NotStarted,
}

impl ControllerError {
    /// Whether the command certainly had no effect.
    pub fn is_known_without_effect(&self) -> bool {
        match self {
            ControllerError::NotProposed(error) => error.is_known_not_proposed(),
            ControllerError::Format(_) | ControllerError::Unknown(_) => false,
            ControllerError::Refused(_)
            | ControllerError::NoLeader(_)
            | ControllerError::Consensus(_)
            | ControllerError::NoRoom(_)
            | ControllerError::Storage(_)
            | ControllerError::NotStarted => true,
        }
    }
}
