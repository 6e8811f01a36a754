//! What the log of a shard says of other shards, and when one that took the keys of another may go on.

use photondb_proto::ShardId;
use photondb_query::table::{self, ShardNumber};
use photondb_shard::{Cursor, LoggedChanges, Position};
use photondb_storage::fault::fault_point;

use super::{Source, TableFeed};
use crate::error::ReplicaError;

/// Another shard became part of one, by an entry of that one's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// The entry.
    pub position: Position,
    /// The other shard.
    pub shard: ShardId,
    /// The last entry of its own log.
    pub end: Position,
}

/// What an entry says that is about another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// It was cut off.
    Child(ShardId),
    /// It was joined.
    Joined(Joined),
}

/// What the entries of a piece of the log say of other shards, in order.
pub(crate) fn notes(logged: &LoggedChanges) -> Vec<(Position, Note)> {
    let children = logged.children.iter().map(|(at, child)| (*at, Note::Child(*child)));
    let joined = logged.joined.iter().map(|(position, shard, end)| {
        let (position, shard, end) = (*position, *shard, *end);
        (position, Note::Joined(Joined { position, shard, end }))
    });
    let mut all: Vec<_> = children.chain(joined).collect();
    all.sort_by_key(|(position, _)| *position);
    all
}

/// The other sources of a feed, as one of them sees them that comes to a join.
pub(super) struct Others<'a>(pub [&'a [Source]; 2]);

impl Others<'_> {
    /// Whether a shard that was joined has told all that it had to tell, or is listened to by nobody here: the other one may go on. Of those
    /// that are `found` just now, cut off from the other one, nothing was told yet.
    ///
    /// Errors: [`ReplicaError::Retired`] when it will tell no more.
    pub fn have_told(&self, joined: &Joined, found: &[(u64, ShardId)]) -> Result<bool, ReplicaError> {
        if found.iter().any(|(_, child)| *child == joined.shard) {
            return Ok(false);
        }
        let source = self.0.iter().copied().flatten().find(|source| source.shard.0 == joined.shard.0);
        let Some(source) = source else { return Ok(true) };
        match source.place.cursor() >= Cursor::after(joined.end) {
            _ if fault_point!("join-not-waited-for") => Ok(true),
            false if source.place.is_retired() => Err(ReplicaError::Retired),
            has_told => Ok(has_told),
        }
    }
}

impl TableFeed {
    /// Whether a source waits at a join for another one that has told all by now.
    pub(super) fn may_go_on(&self) -> Result<bool, ReplicaError> {
        let others = Others([&self.sources, &[]]);
        for joined in self.sources.iter().filter_map(|source| source.place.waits_at()) {
            if others.have_told(&joined, &[])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The source at `place` has come by a join: the other shard is listened to no more. Where that source is then.
    pub(super) fn passes(&mut self, place: usize, joined: &Joined) -> usize {
        let of = ShardNumber(joined.shard.0);
        let Some(other) = self.sources.iter().position(|source| source.shard == of) else { return place };
        photondb_storage::probe!("feed of two shards that were joined");
        let into = table::Position { shard: self.sources[place].shard, index: joined.position.0 };
        self.joins.push(table::Join { into, of, end: joined.end.0 });
        self.sources.remove(other);
        if other < place { place - 1 } else { place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both may be heard of in one go: before the child is a source, nothing of it was told.
    #[test]
    fn who_comes_by_a_cut_and_a_join_of_the_same_shard_waits_for_it() {
        let joined = Joined { position: Position(9), shard: ShardId(7), end: Position(8) };
        let others = Others([&[], &[]]);
        assert!(others.have_told(&joined, &[]).expect("nobody listens to it"));
        assert!(others.have_told(&joined, &[(3, ShardId(6))]).expect("nobody listens to it"));
        assert!(!others.have_told(&joined, &[(3, ShardId(7))]).expect("it is to be listened to"));
    }
}
