//! The one way from a broken group to the end of the node.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use photondb_proto::{GroupId, MemberId};

use crate::error::ApplyError;

/// Ends the node, saying why. Called at least once, possibly from any thread.
pub type OnFatal = Arc<dyn Fn(String) + Send + Sync>;

/// [`OnFatal`] with the name of the group that calls it.
#[derive(Clone)]
pub(crate) struct Fatal {
    pub(crate) group: GroupId,
    pub(crate) member: MemberId,
    pub(crate) end: OnFatal,
}

impl Fatal {
    /// The state machine refused a committed entry.
    pub(crate) fn state_machine(&self, error: ApplyError) -> io::Error {
        self.end(format_args!("its state machine failed: {error}"));
        io::Error::other(error)
    }

    /// Storage failed.
    pub(crate) fn storage(&self, error: photondb_storage::StorageError) -> io::Error {
        self.end(format_args!("its log failed: {error}"));
        io::Error::other(error)
    }

    /// Anything else.
    pub(crate) fn end(&self, reason: impl Display) {
        (self.end)(format!("group {} (member {}) cannot go on: {reason}", self.group, self.member));
    }
}
