//! The one way from a broken group to the end of the node.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The state machine is damaged: the core ends, and whoever holds the member gives its place to another.
    damaged: Arc<AtomicBool>,
}

impl Fatal {
    pub(crate) fn new(group: GroupId, member: MemberId, end: OnFatal) -> Fatal {
        Fatal { group, member, end, damaged: Arc::default() }
    }

    /// The state machine refused a committed entry.
    pub(crate) fn state_machine(&self, error: ApplyError) -> io::Error {
        if error.is_damage() {
            self.damaged.store(true, Ordering::Release);
            tracing::error!(group = %self.group, member = %self.member, %error, "a member cannot go on: its state is damaged");
        } else {
            self.end(format_args!("its state machine failed: {error}"));
        }
        io::Error::other(error)
    }

    /// Whether the member alone has ended, for damage.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
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
