//! What can go wrong, by door: proposing, operating a group, applying.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use photondb_proto::{GroupId, MemberId, NodeId};

use crate::format::FormatError;
use crate::position::{LogPosition, Term};

/// Why a proposal has no outcome. Each variant is another decision of the caller (DESIGN section 3, "Write").
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Known not to have been proposed: this member does not lead, or not in the term the command was made for.
    #[error("member does not lead the group in term {asked} (it leads in {led:?}; known leader: {leader:?})")]
    NotLeader {
        /// The term the command was made for.
        asked: Term,
        /// The term this member leads in, if it does.
        led: Option<Term>,
        /// Who leads, as far as this member knows.
        leader: Option<(MemberId, NodeId)>,
    },
    /// Known not to have been proposed: too many proposals wait already.
    #[error("too many proposals wait in this group")]
    Busy,
    /// Known not to have been proposed: the command is larger than an entry may be.
    #[error("a command of {bytes} bytes is larger than the {max} bytes that an entry may have")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// [`COMMAND_BYTES_MAX`](crate::limits::COMMAND_BYTES_MAX).
        max: usize,
    },
    /// It was proposed, and may or may not take effect. It must not be sent again as if it had not been.
    #[error("the outcome of the proposal is not known: {reason}")]
    Unknown {
        /// What happened to it, for people.
        reason: String,
    },
    /// The group has ended on this node. Whether the proposal was taken is not known.
    #[error("the group has ended on this node: {0}")]
    Fatal(String),
}

impl ProposeError {
    /// Whether the command certainly did not enter the log, so that it is safe to send it again.
    pub fn is_known_not_proposed(&self) -> bool {
        match self {
            ProposeError::NotLeader { .. } | ProposeError::Busy | ProposeError::TooLarge { .. } => true,
            ProposeError::Unknown { .. } | ProposeError::Fatal(_) => false,
        }
    }
}

/// Why a group cannot be opened or operated.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// Another call starts it, or it runs.
    #[error("group {group} already runs on this node")]
    AlreadyRunning {
        /// The group.
        group: GroupId,
    },
    /// It does not run on this node.
    #[error("group {group} does not run on this node")]
    NotRunning {
        /// The group.
        group: GroupId,
    },
    /// The member was erased; its id never comes back (C7).
    #[error("member {member} was erased from this node; its id cannot be used again")]
    Erased {
        /// The member.
        member: MemberId,
    },
    /// Part of the member's log was lost to damage. It must not vote, and a sole replica must not open.
    #[error("member {member} of group {group} may have lost acknowledged writes: {lost}")]
    Suspect {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// What is lost, for people.
        lost: String,
    },
    /// The log was purged of entries that the state machine has not applied: the state was lost or set back.
    #[error(
        "member {member} of group {group} has purged its log up to {purged}, but its state does not reach that far: the data \
         was lost, not only the log"
    )]
    StateMissing {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// The last index purged.
        purged: u64,
    },
    /// The state machine has state but the log has none: the log was lost or belongs to another directory.
    #[error("member {member} of group {group} has applied entries up to {applied}, but no log on this disk")]
    LogMissing {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// The state machine's position.
        applied: String,
    },
    /// Stored bytes of this crate cannot be read.
    #[error("stored consensus data of member {member} cannot be read: {source}")]
    Format {
        /// The member.
        member: MemberId,
        /// Why not.
        source: FormatError,
    },
    /// Storage failed.
    #[error("storage failed under member {member}: {source}")]
    Storage {
        /// The member.
        member: MemberId,
        /// Storage's word on it.
        source: photondb_storage::StorageError,
    },
    /// The core of the group has ended.
    #[error("the core of group {group} has ended: {reason}")]
    Fatal {
        /// The group.
        group: GroupId,
        /// Its last word.
        reason: String,
    },
    /// This member does not lead, or cannot know that it does: no quorum answers.
    #[error("member does not lead group {group} (known leader: {leader:?})")]
    NotLeader {
        /// The group.
        group: GroupId,
        /// Who leads, as far as this member knows.
        leader: Option<(MemberId, NodeId)>,
    },
    /// Another membership is in force than the caller meant.
    #[error("another membership is in force in group {group}: the one at {found:?}")]
    MembershipChanged {
        /// The group.
        group: GroupId,
        /// Where it stands in the log.
        found: Option<LogPosition>,
    },
    /// The last change of membership is not committed yet; or this leader has not committed anything in its term yet.
    #[error("the membership of group {group} is being changed")]
    ChangeInProgress {
        /// The group.
        group: GroupId,
    },
    /// Of those who are to vote, half or more have not answered lately: the change would never be committed as long as they
    /// are silent, and nothing else either. Nothing was begun.
    #[error("too few of the new voters of group {group} answer ({voters:?}); the change is not begun")]
    VotersSilent {
        /// The group.
        group: GroupId,
        /// Who was to vote.
        voters: BTreeSet<MemberId>,
    },
    /// A voter must have been a learner; a voter cannot be removed as a learner; a group cannot be without voters.
    #[error("group {group} cannot have that membership: {reason}")]
    NotAMembership {
        /// The group.
        group: GroupId,
        /// Why not, for people.
        reason: String,
    },
    /// It did not happen in the time given.
    #[error("group {group} did not {what} in time")]
    Timeout {
        /// The group.
        group: GroupId,
        /// What was waited for.
        what: &'static str,
    },
}

/// A state machine that cannot apply what is committed. There is no way on from here: the node ends (C6).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct ApplyError {
    why: Arc<dyn Error + Send + Sync>,
    damaged: bool,
}

impl ApplyError {
    /// Wraps the state machine's own error, or a text.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> ApplyError {
        ApplyError { why: Arc::from(source.into()), damaged: false }
    }

    /// Stored state that the machine needs is damaged. Others may have it whole: the member ends, and the node goes on.
    pub fn damaged(source: impl Into<Box<dyn Error + Send + Sync>>) -> ApplyError {
        ApplyError { damaged: true, ..ApplyError::new(source) }
    }

    /// Whether it is damage.
    pub(crate) fn is_damage(&self) -> bool {
        self.damaged
    }
}
