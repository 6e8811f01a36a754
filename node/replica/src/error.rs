//! What can go wrong between a query and its shard.

use photondb_consensus::{ConsensusError, ProposeError};
use photondb_controller::ControllerError;
use photondb_proto::{KeyRange, ShardId};
use photondb_reql::error::Error as QueryError;
use photondb_shard::ShardError;
use photondb_storage::StorageError;

use crate::message::Malformed;
use crate::router::describe;

/// An error of a replica.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// This member does not lead its group now; nothing was done.
    #[error("primary replica for shard [\"\", +inf) not available")]
    NotLeading,
    /// Nobody who leads the shard was found in the time there is; nothing was done.
    #[error("primary replica for shard {} not available", describe(range))]
    Unavailable {
        /// Its keys.
        range: KeyRange,
    },
    /// The write was proposed and its fate is not known.
    #[error("the outcome of the write is not known: {0}")]
    Unknown(String),
    /// The write kept meeting changes of the shard; nothing was done.
    #[error("the shard changed {attempts} times while the write was evaluated; it was not applied")]
    Unsettled {
        /// How often it was tried.
        attempts: usize,
    },
    /// What came behind a resume token is no longer in the change log.
    #[error("the changes behind the resume token are no longer kept")]
    TokenTooOld,
    /// A resume token names changes that the shard has not.
    #[error("the table has not come as far as the resume token")]
    TokenAhead,
    /// The shard failed.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A group cannot be started or stopped.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The shard did not take a command.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The cluster state could not be asked or told.
    #[error(transparent)]
    Control(#[from] ControllerError),
    /// The member is borne by one of another shard here, which has not come so far.
    #[error("the shard is still to be cut off from shard {parent} here")]
    Unborn {
        /// The other shard.
        parent: ShardId,
    },
    /// The shard was given another group, because its own one had lost its majority: what it tells does not follow what is known.
    #[error("the table was repaired")]
    Repaired,
    /// The shard was joined to another some time ago, and its changes are kept by nobody any more.
    #[error("the changes of a shard that was joined are no longer kept")]
    Retired,
    /// A command of the shard was skipped for good.
    #[error("the shard did not apply the command")]
    Skipped,
    /// Another node has no space for it; nothing was done.
    #[error("{0}")]
    Full(String),
    /// The query's own.
    #[error(transparent)]
    Query(QueryError),
    /// A message of another node cannot be read.
    #[error(transparent)]
    Message(#[from] Malformed),
    /// Another node failed.
    #[error("{0}")]
    Elsewhere(String),
}

/// What was tried, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Listening to changes.
    Subscribe,
}

/// Why a member that was asked whether it leads still did not say so. One that ended meanwhile, as when it is wanted here no more, leads
/// nothing, and nothing was done: others are asked.
pub(crate) fn unconfirmed(error: ConsensusError) -> ReplicaError {
    match error {
        ConsensusError::NotLeader { .. } | ConsensusError::Timeout { .. } | ConsensusError::Fatal { .. } => {
            ReplicaError::NotLeading
        }
        error => error.into(),
    }
}

impl ReplicaError {
    /// The damaged page that it is about.
    pub(crate) fn damage(&self) -> Option<&StorageError> {
        match self {
            ReplicaError::Shard(ShardError::Storage(error)) | ReplicaError::Storage(error) => {
                Some(error).filter(|error| error.is_damage())
            }
            _ => None,
        }
    }

    /// As a client of table `name` is told.
    pub fn for_query(self, table: &str, doing: Doing) -> QueryError {
        let what = match doing {
            Doing::Read => "Cannot perform read".to_owned(),
            Doing::Write => "Cannot perform write".to_owned(),
            Doing::Subscribe => format!("cannot subscribe to table `{table}`"),
        };
        let full = |reason: String| {
            QueryError::op_failed(format!(
                "Cannot perform write: The disk of the server is full; nothing was written ({reason})."
            ))
        };
        match self {
            ReplicaError::Query(error) => error,
            ReplicaError::Full(reason) => full(reason),
            ReplicaError::Storage(error) | ReplicaError::Shard(ShardError::Storage(error)) if error.is_full() => {
                full(error.to_string())
            }
            ReplicaError::Unknown(reason) => QueryError::op_indeterminate(format!(
                "Cannot perform write: The primary replica's answer was lost; the write may or may not have been performed ({reason})."
            )),
            ReplicaError::NotLeading
            | ReplicaError::Unavailable { .. }
            | ReplicaError::Unsettled { .. }
            | ReplicaError::Shard(ShardError::Moved) => QueryError::op_failed(format!("{what}: {self}")),
            ReplicaError::Shard(ShardError::ChangesTrimmed { .. }) | ReplicaError::Retired => QueryError::op_failed(
                "Changefeed aborted: it was interrupted, and the changes since then are no longer kept.",
            ),
            ReplicaError::TokenTooOld => QueryError::op_failed(
                "Changefeed cannot go on: the changes behind its resume token are no longer kept. Begin again without a token, with `include_initial`.",
            ),
            ReplicaError::TokenAhead => QueryError::op_failed(
                "Changefeed cannot go on: the table has never come as far as its resume token, or was set back since. Begin again without a token, with `include_initial`.",
            ),
            ReplicaError::Repaired => QueryError::op_failed(format!(
                "Changefeed aborted: table `{table}` was repaired with `emergency_repair`; changes may have been lost, and what was \
                 read before may not be there any more."
            )),
            ReplicaError::Shard(ShardError::NoIndex(index)) => {
                QueryError::op_failed(format!("Index `{index}` was not found on table `{table}`."))
            }
            ReplicaError::Shard(ShardError::NotReady(index)) => QueryError::op_failed(format!(
                "Index `{index}` on table `{table}` was accessed before its construction was finished."
            )),
            ReplicaError::Shard(ShardError::Gone) => QueryError::op_failed(format!("Table `{table}` does not exist.")),
            ReplicaError::Shard(ShardError::ListenerBehind { skipped }) => {
                QueryError::op_failed(format!("Changefeed cache over array size limit, skipped {skipped} elements."))
            }
            other => QueryError::internal(other.to_string()),
        }
    }
}
