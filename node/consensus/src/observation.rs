//! What one member knows of itself, for status documents and for checkers of a simulated cluster.

use photondb_proto::{GroupId, MemberId};

use crate::members::Members;
use crate::position::{LogPosition, Term};

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader,
    /// It has a vote and follows.
    Follower,
    /// It stands for election.
    Candidate,
    /// It gets the log and has no vote.
    Learner,
    /// It waits until promises of its last life have run out, or has ended.
    Idle,
}

/// A member at one moment. Fields that change together are taken together, except `last` and `purged`, which may be newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// The highest term it has seen and voted in.
    pub term: Term,
    /// For whom it has voted in that term; itself, unless it has heard of another candidate; the leader, once there is one.
    pub voted_for: MemberId,
    /// Whether it knows that a leader was elected in that term.
    pub led: bool,
    /// What it does.
    pub role: Role,
    /// Its log's last entry.
    pub last: Option<LogPosition>,
    /// The highest entry it knows to be committed.
    pub committed: Option<LogPosition>,
    /// The highest entry it has applied.
    pub applied: Option<LogPosition>,
    /// The highest entry that its log has given up behind a checkpoint or a snapshot.
    pub purged: Option<LogPosition>,
    /// The membership in force here, committed or not.
    pub members: Members,
}
