//! What can be seen of a member of a Raft group between two steps of a run: plain data, so that checkers know nothing of
//! the product and the product nothing of them.

use std::collections::BTreeSet;

use crate::client::{Micros, NodeIndex};

/// A Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

/// A member of a group; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// A term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// A place in a log, from zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

/// How often the process of a node has been started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boot(pub u64);

/// An entry, as the rest of the log sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Where.
    pub index: Index,
    /// In which term it was proposed.
    pub term: Term,
    /// Over its content.
    pub hash: u64,
}

/// What a member is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It leads.
    Leader,
    /// It asks for votes.
    Candidate,
    /// It follows.
    Follower,
    /// It follows and has no vote.
    Learner,
}

/// One member of one group, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observation {
    /// Of which group.
    pub group: GroupId,
    /// Which member.
    pub member: MemberId,
    /// On which node.
    pub node: NodeIndex,
    /// In which life of the node.
    pub boot: Boot,
    /// Its term, as it is durable.
    pub term: Term,
    /// Whom it gave its vote in this term, as it is durable.
    pub voted_for: Option<MemberId>,
    /// What it is.
    pub role: Role,
    /// The last entry of its log that is durable; `None`: the log is empty and nothing was purged.
    pub last: Option<(Term, Index)>,
    /// Up to where it knows the log to be committed.
    pub committed: Option<Index>,
    /// Up to where it has applied the log.
    pub applied: Option<Index>,
    /// Up to where the log has been given up, because a snapshot or a checkpoint holds it.
    pub purged: Option<Index>,
    /// The voters by the newest membership in its log: one set, or the two of a joint one.
    pub voters: Vec<BTreeSet<MemberId>>,
    /// Over the state machine at `applied`.
    pub digest: Option<u64>,
    /// From here on the log was taken back since the last observation; what follows in `appended` stands in its place.
    pub truncated_from: Option<Index>,
    /// Entries that became durable since the last observation, in order. After a start: all that the log holds.
    pub appended: Vec<Entry>,
}

/// A member answers reads by itself at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Of which group.
    pub group: GroupId,
    /// Which member.
    pub member: MemberId,
    /// On which node.
    pub node: NodeIndex,
    /// As the leader of which term.
    pub term: Term,
}

/// A member that has gone since it was seen the last time, be it that its table was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Of which group.
    pub group: GroupId,
    /// Which member.
    pub member: MemberId,
    /// The last entry of its log when it went. It has answered for that, and nobody can read it any more.
    pub last: (Term, Index),
}

/// The cluster after a step: members that run. What is not here is as it was, and not reachable.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When.
    pub at: Micros,
    /// Members of which something changed. More is allowed, and costs.
    pub changed: Vec<Observation>,
    /// Members of which something changed that could not be read: a disk has just failed under them. What their logs took
    /// since they were seen the last time shows when they are seen again.
    pub unread: Vec<(GroupId, MemberId)>,
    /// Members that have gone, and whose logs took something before.
    pub left: Vec<Left>,
}
