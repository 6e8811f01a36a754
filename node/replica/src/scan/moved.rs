//! A scan goes on after a shard was split under it.
//!
//! What was read of the shard stays read: each row is from a snapshot that had it. What is left is divided among those that have
//! its keys now. By the primary key each gets its part of the range; by an index each gets the rest of the range, because entries of all
//! of them may lie anywhere in it.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use photondb_proto::KeyRange;
use photondb_query::table::Position;
use photondb_runtime::fiber;
use photondb_shard::ShardError;
use photondb_shard::read::KeyBounds;
use photondb_storage::Direction;

use super::merge::Merge;
use super::{Part, Shard, Stage, TableScan};
use crate::error::ReplicaError;
use crate::routes::Route;

impl TableScan {
    /// The shard with this number has said that it has not all of its keys any more.
    #[cold]
    pub(super) fn moved(&mut self, shard: usize) -> Result<(), ReplicaError> {
        let range = self.shards[shard].route.range.clone();
        let heirs = loop {
            let heirs = self.heirs(&range);
            if heirs.len() > 1 {
                break heirs;
            }
            let router = self.routes.router().ok_or(ShardError::Moved)?;
            self.routes = fiber::wait(router.newer(&self.routes))?;
        };
        photondb_storage::probe!("scan goes on after a split");
        let mut lineage = self.shards[shard].lineage.to_vec();
        let number = self.shards[shard].route.number();
        let read = self.progress.iter().find(|progress| progress.shard == number);
        // Of one that was not read, only what was read of those before it counts.
        let before = lineage.first().map_or(0, |of| of.index);
        lineage.insert(0, Position { shard: number, index: read.map_or(before, |read| read.last) });
        // Which of the scan's shards has which keys, in their order.
        let mut places = Vec::with_capacity(heirs.len());
        let mut moves = self.moves.to_vec();
        for (route, keys) in heirs {
            if route.id == self.shards[shard].route.id {
                self.shards[shard].route = route;
                places.push((shard, keys));
                continue;
            }
            places.push((self.shards.len(), keys));
            // It may be another new one that it was cut off from.
            moves.extend(self.routes.moves().iter().filter(|moved| moved.to == route.number()).cloned());
            self.shards.push(Shard { route, left: 0, lineage: lineage.as_slice().into() });
        }
        self.moves = moves.into();
        self.shards[shard].left = 0;
        for stage in std::mem::take(&mut self.stages) {
            self.divide(stage, shard, &places);
        }
        Ok(())
    }

    /// Who has the keys of a range, as far as is known, and which of them.
    fn heirs(&self, range: &KeyRange) -> Vec<(Arc<Route>, KeyRange)> {
        let has = |route: &Arc<Route>| Some((route.clone(), route.range.intersect(range)?));
        self.routes.all().iter().filter_map(has).collect()
    }

    fn divide(&mut self, stage: Stage, shard: usize, places: &[(usize, KeyRange)]) {
        match stage {
            Stage::Part(of, part) if of == shard && self.merges => {
                places.iter().for_each(|(place, _)| self.shards[*place].left += 1);
                let lanes = places.iter().map(|(place, _)| (*place, part.clone()));
                self.stages.push(Stage::Merge(Merge::of(lanes)));
            }
            Stage::Part(of, part) if of == shard => {
                let by_index = self.look.index.is_some();
                let mut parts = Vec::with_capacity(places.len());
                for (place, keys) in places {
                    let bounds = if by_index { Some(part.bounds.clone()) } else { within(&part.bounds, keys) };
                    parts.extend(bounds.map(|bounds| (*place, Part { bounds, ..part.clone() })));
                }
                // The next one is the last.
                if self.look.direction == Direction::Forward {
                    parts.reverse();
                }
                for (place, part) in parts {
                    self.shards[place].left += 1;
                    self.stages.push(Stage::Part(place, part));
                }
            }
            Stage::Merge(mut merge) => {
                for (place, _) in places.iter().filter(|(place, _)| *place != shard) {
                    if merge.share(shard, *place) {
                        self.shards[*place].left += 1;
                    }
                }
                self.shards[shard].left += usize::from(merge.has(shard));
                self.stages.push(Stage::Merge(merge));
            }
            other => self.stages.push(other),
        }
    }
}

/// The bounds within a range of keys; `None`: no key can lie there.
fn within(bounds: &KeyBounds, keys: &KeyRange) -> Option<KeyBounds> {
    let first = Bytes::copy_from_slice(keys.start());
    let start = match &bounds.start {
        Bound::Included(key) | Bound::Excluded(key) if *key >= first => bounds.start.clone(),
        _ => Bound::Included(first),
    };
    let end = match (&bounds.end, keys.end()) {
        (end, None) => end.clone(),
        (Bound::Included(key), Some(end)) if key.as_ref() < end => bounds.end.clone(),
        (Bound::Excluded(key), Some(end)) if key.as_ref() <= end => bounds.end.clone(),
        (_, Some(end)) => Bound::Excluded(Bytes::copy_from_slice(end)),
    };
    let is_empty = match (&start, &end) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
        _ => false,
    };
    (!is_empty).then(|| KeyBounds::new(start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_cut_to_the_keys_that_a_shard_has() {
        let key = |text: &'static str| Bytes::from_static(text.as_bytes());
        let keys = KeyRange::new(b"d".to_vec(), Some(b"m".to_vec())).expect("has keys");
        use Bound::{Excluded, Included, Unbounded};
        for (start, end, expected) in [
            (Unbounded, Unbounded, Some((Included(key("d")), Excluded(key("m"))))),
            (Excluded(key("f")), Included(key("g")), Some((Excluded(key("f")), Included(key("g"))))),
            (Included(key("a")), Excluded(key("m")), Some((Included(key("d")), Excluded(key("m"))))),
            (Included(key("a")), Included(key("m")), Some((Included(key("d")), Excluded(key("m"))))),
            (Included(key("m")), Unbounded, None),
            (Unbounded, Excluded(key("d")), None),
            (Included(key("d")), Included(key("d")), Some((Included(key("d")), Included(key("d"))))),
            (Unbounded, Included(key("c")), None),
        ] {
            let found = within(&KeyBounds::new(start.clone(), end.clone()), &keys);
            let found = found.map(|bounds| (bounds.start, bounds.end));
            assert_eq!(found, expected, "{start:?} {end:?}");
        }
    }
}
