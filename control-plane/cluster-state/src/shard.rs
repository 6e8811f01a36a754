//! Shards, and what each of their members is told to be.
//!
//! What is wanted ([`Placement`]) and what is ([`Member`]) stand side by side. The planner takes one to the other a step at a
//! time, the leader of the shard's group obeys and reports what it reached (`README.md`, K1 to K12).

use std::collections::BTreeSet;

use photondb_proto::{Epoch, KeyRange, MemberId, NodeId, ShardId};

use crate::joining::{Attempt, Stage};

/// What a member of a shard's group is told to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It votes.
    #[default]
    Voter,
    /// It is being filled, and votes once it has caught up.
    Joining,
    /// It is filled and never votes.
    Nonvoting,
    /// It is to leave the group. When the group has said that it left, it is erased.
    Leaving,
    /// Its log or state is lost or in doubt: it takes no part any more, and waits for another to take its place.
    Failed,
    /// It failed, and another takes its place: it is erased at once, and forgotten when the group has left it out.
    Discarded,
}

impl Role {
    /// Whether it is on its way out of the group.
    pub fn leaves(self) -> bool {
        matches!(self, Role::Leaving | Role::Discarded)
    }

    /// Whether it cannot go on.
    pub fn is_broken(self) -> bool {
        matches!(self, Role::Failed | Role::Discarded)
    }
}

/// A replica of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Fresh for each replica and incarnation.
    pub id: MemberId,
    /// Where it lives.
    pub node: NodeId,
    /// What it is to be.
    pub role: Role,
}

/// One of those who began a shard's group together. All of them must be told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Founder {
    /// The member.
    pub id: MemberId,
    /// Where it was told to begin.
    pub node: NodeId,
}

/// Where replicas of a shard are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Those that vote; never empty. The first is the primary, where the leader should be.
    pub voters: Vec<NodeId>,
    /// Those that never vote.
    pub nonvoting: BTreeSet<NodeId>,
}

impl Placement {
    /// Everywhere.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.nonvoting).copied()
    }

    /// Whether a replica is wanted there.
    pub fn contains(&self, node: NodeId) -> bool {
        self.nodes().any(|wanted| wanted == node)
    }

    /// Whether the same nodes have the same roles in both; another one may be the primary.
    pub(crate) fn has_roles_of(&self, other: &Placement) -> bool {
        let voters = |placement: &Placement| placement.voters.iter().copied().collect::<BTreeSet<_>>();
        voters(self) == voters(other) && self.nonvoting == other.nonvoting
    }
}

/// Counts the changes of who a shard's members are, and of what they are told to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// Where in a group's log a membership stands: its term and index. A later one overrules an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// The term of the entry.
    pub term: u64,
    /// Its index.
    pub index: u64,
}

/// Another group for a shard whose own one had lost its majority for good (K11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescue {
    /// Who begins the other group, alone.
    pub founder: MemberId,
    /// The member of the old group, on the same node, whose state and log the founder goes on with; `None`: nothing was left of the
    /// shard, and it begins empty.
    pub from: Option<MemberId>,
    /// The shard's epoch with which the other group began.
    pub epoch: Epoch,
    /// The epoch that a state had with nothing in it, from which logs of the shard's members begin: that with which the shard last
    /// began empty.
    pub empty: Epoch,
}

/// A shard that is to be cut off from another one: the keys from `at` on, up to the next cut or to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its first key.
    pub at: Vec<u8>,
    /// What it will be called.
    pub shard: ShardId,
    /// Who will have it: where the members of the other one are, so that nothing is copied.
    pub members: Vec<Member>,
    /// Where its replicas are wanted then.
    pub placement: Placement,
}

/// A key range of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Also the number of its Raft group.
    pub id: ShardId,
    /// Its primary keys.
    pub range: KeyRange,
    /// Counts the changes of its range, and the groups that it was given anew.
    pub epoch: Epoch,
    /// See [`Generation`].
    pub generation: Generation,
    /// Who began its group.
    pub founders: Vec<Founder>,
    /// Never empty.
    pub members: Vec<Member>,
    /// Where its replicas are wanted.
    pub placement: Placement,
    /// The membership that its group last reported; `None`: none since it was begun or since a voter was told to vote no more.
    pub reached: Option<Reached>,
    /// Whose members bear its founders; `None`: it began empty, with its table.
    pub parent: Option<ShardId>,
    /// What is to be cut off from it, in the order of keys; the last one goes first.
    pub cuts: Vec<Cut>,
    /// How it came to the group that it has; `None`: it has the one that it began with.
    pub rescue: Option<Rescue>,
    /// How far it is joined to its left neighbour; `None`: nobody wants that.
    pub joining: Option<Stage>,
    /// The present attempt to join it, or the last one.
    pub attempt: Attempt,
}

impl Shard {
    /// The member of that id.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The member that a node holds or is to hold. One that failed there, or leaves, gives way to the one that follows it.
    pub fn member_on(&self, node: NodeId) -> Option<&Member> {
        let here = self.members.iter().filter(|member| member.node == node);
        here.min_by_key(|member| (member.role.leaves(), member.role.is_broken()))
    }

    /// Whether the member began the group, so that it knows without being told who the others were.
    pub fn is_founder(&self, id: MemberId) -> bool {
        self.founders.iter().any(|founder| founder.id == id)
    }

    /// The epoch of a state with nothing in it, to which the whole log of a member applies.
    pub fn epoch_of_empty(&self) -> Epoch {
        self.rescue.map_or(Epoch(1), |rescue| rescue.empty)
    }

    /// Whether the member began the group without anything.
    pub fn began_empty(&self, founder: MemberId) -> bool {
        self.rescue.is_some_and(|rescue| rescue.founder == founder && rescue.from.is_none())
    }

    /// The member of the old group that the founder of the present one takes over from on its node.
    pub fn taken_over(&self, founder: MemberId) -> Option<MemberId> {
        self.rescue.filter(|rescue| rescue.founder == founder)?.from
    }

    /// The member that should lead: the voter on the first node of the placement that has one.
    pub fn preferred_leader(&self) -> Option<&Member> {
        let voter =
            |node: &NodeId| self.members.iter().find(|member| member.node == *node && member.role == Role::Voter);
        self.placement.voters.iter().find_map(voter)
    }

    /// Those that vote or are to: what the voters of the group are to be.
    pub fn wanted_voters(&self) -> BTreeSet<MemberId> {
        let votes = |member: &&Member| matches!(member.role, Role::Voter | Role::Joining);
        self.members.iter().filter(votes).map(|member| member.id).collect()
    }

    /// Those that never vote: what the learners of the group are to be, once nobody joins.
    pub fn wanted_learners(&self) -> BTreeSet<MemberId> {
        let learns = |member: &&Member| member.role == Role::Nonvoting;
        self.members.iter().filter(learns).map(|member| member.id).collect()
    }

    /// Whether a change is under way. The next one waits for it (K2).
    pub fn is_changing(&self) -> bool {
        let moves = |member: &Member| member.role == Role::Joining || member.role.leaves();
        self.reached.is_none() || !self.cuts.is_empty() || self.members.iter().any(moves)
    }

    /// Whether no change is under way, and nobody waits for one.
    pub fn rests(&self) -> bool {
        let is_settled = |member: &Member| matches!(member.role, Role::Voter | Role::Nonvoting);
        !self.is_changing() && self.members.iter().all(is_settled)
    }

    /// What is to be cut off next, and the range that it is cut from.
    pub fn next_cut(&self) -> Option<&Cut> {
        self.cuts.last()
    }
}
