//! Two neighbouring shards of a table that become one: how far that is, and what it keeps from changing (K12,
//! `docs/decisions/0013-joining-shards.md`).
//!
//! The *left* shard takes the keys of the *right* one, and goes on. What is said of a join is said of the right one.

use photondb_proto::{Epoch, NodeId, ShardId};

use crate::schema::Table;
use crate::shard::{Placement, Reached, Role, Shard};

/// How far the joining of a shard to its left neighbour is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its replicas are wanted where those of the left one are, in the same roles. Everything works as ever.
    Wanted,
    /// Nothing else changes about the members of either, as long as all of them are there: its group is to be frozen.
    Freezing,
    /// One of them is not, and the attempt is given up: its group is to be thawed.
    Thawing,
    /// Every member has the freeze in its log, and there is no way back.
    Frozen {
        /// Where in its log the freeze stands.
        at: Reached,
    },
    /// The left one has its keys. Nobody asks it for anything any more but for its changes.
    Joined {
        /// See [`Frozen`](Stage::Frozen). Its log has no change behind it.
        at: Reached,
        /// The left one.
        into: ShardId,
        /// The epoch with which that one has the keys.
        epoch: Epoch,
    },
}

impl Stage {
    /// Whether it is more than a wish, which may be taken back.
    pub fn binds(self) -> bool {
        self != Stage::Wanted
    }
}

/// Counts how often it was begun to join a shard to its left neighbour, over all wishes: a freeze that comes late is told by
/// it from that of a later attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u32);

impl Shard {
    /// Whether another shard has its keys.
    pub fn is_joined(&self) -> bool {
        matches!(self.joining, Some(Stage::Joined { .. }))
    }

    fn is_bound(&self) -> bool {
        self.joining.is_some_and(Stage::binds)
    }

    /// Whether every member has a freeze from which there is no way back: whoever takes over from one keeps it.
    pub fn stays_frozen(&self) -> bool {
        matches!(self.joining, Some(Stage::Frozen { .. } | Stage::Joined { .. }))
    }

    /// Where replicas are wanted of what has its last keys, when all is cut off that is to be.
    fn last_placement(&self) -> &Placement {
        self.cuts.last().map_or(&self.placement, |cut| &cut.placement)
    }

    /// Where its members are, and what they are to be.
    fn roles(&self) -> Vec<(NodeId, Role)> {
        let mut roles: Vec<_> = self.members.iter().map(|member| (member.node, member.role)).collect();
        roles.sort_unstable();
        roles
    }
}

impl Table {
    /// The shard whose keys end where those of this one begin, and that it can be joined to.
    pub fn left_of(&self, id: ShardId) -> Option<&Shard> {
        let at = self.shards.iter().position(|shard| shard.id == id)?;
        self.shards.get(at.checked_sub(1)?)
    }

    /// The shard whose keys begin where those of this one end.
    pub fn right_of(&self, id: ShardId) -> Option<&Shard> {
        let at = self.shards.iter().position(|shard| shard.id == id)?;
        self.shards.get(at + 1)
    }

    /// The shard whose keys this one is to get and that has no way back (K12).
    pub(crate) fn frozen_beside(&self, left: ShardId) -> Option<&Shard> {
        self.right_of(left).filter(|right| right.stays_frozen())
    }

    /// Whether the shard is, or is wanted to be, the one or the other half of a join.
    pub fn is_joining(&self, shard: &Shard) -> bool {
        shard.joining.is_some() || self.right_of(shard.id).is_some_and(|right| right.joining.is_some())
    }

    /// Whether nothing may change about the shard's members and places, because it is the one or the other half of a join that
    /// was begun, or was joined (K12).
    pub fn is_bound(&self, shard: &Shard) -> bool {
        shard.is_bound() || self.right_of(shard.id).is_some_and(Shard::is_bound)
    }

    /// Whether a join that is wished for may begin: nothing is to be done about either shard first, and their members are side
    /// by side.
    pub(crate) fn may_begin_join(&self, left: &Shard, right: &Shard) -> bool {
        let is_free = |shard: &Shard| shard.rests() && !self.is_bound(shard) && !self.has_unborn(shard.id);
        right.joining == Some(Stage::Wanted)
            && left.joining.is_none()
            && self.left_of(right.id).is_some_and(|beside| beside.id == left.id)
            && is_free(left)
            && is_free(right)
            && left.roles() == right.roles()
    }

    /// Whether a member of either half of a join has failed.
    pub(crate) fn has_failed_beside(&self, right: &Shard) -> bool {
        let failed = |shard: &Shard| shard.members.iter().any(|member| member.role.is_broken());
        failed(right) || self.left_of(right.id).is_some_and(failed)
    }

    /// Gives every shard that is to be joined the places of its left neighbour, or of what is to be cut off there last; several in a
    /// row get those of the leftmost. Who is to lead it is its own affair, as long as it has the same places.
    pub(crate) fn place_side_by_side(&mut self) {
        let mut places: Option<Placement> = None;
        for shard in &mut self.shards {
            if let (Some(_), Some(of_left)) = (shard.joining, places)
                && !shard.placement.has_roles_of(&of_left)
            {
                shard.placement = of_left;
            }
            places = Some(shard.last_placement().clone());
        }
    }
}
