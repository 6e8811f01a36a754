//! Positions over splits and joins (S18): whichever shard has a key, what happens to it is told of later positions than before.

#[path = "fed/fed.rs"]
mod fed;
#[path = "pair/pair.rs"]
mod pair;

use std::collections::BTreeMap;

use bytes::Bytes;
use fed::{Fed, Numbers, digest_of, key};
use pair::{CUT, Pair, blank, put};
use photondb_proto::{Epoch, KeyRange, ShardId};
use photondb_shard::{Command, Cursor, Freeze, Join, Outcome, Position, Shard, ShardError, Split, snapshot};
use photondb_storage::{Engine, TreeSetId};

const KEYS: u64 = 40;

fn position(shard: &Shard) -> Position {
    shard.read().expect("reads").position()
}

/// The shards of a table, in the order of their keys.
struct World {
    engine: Engine,
    shards: Vec<(ShardId, KeyRange, Fed)>,
    next: u64,
    last: BTreeMap<u64, Position>,
}

impl World {
    fn new() -> World {
        let fed = Fed::new();
        let shards = vec![(ShardId(1), KeyRange::all(), fed)];
        World { engine: shards[0].2.engine.clone(), shards, next: 2, last: BTreeMap::new() }
    }

    fn write(&mut self, id: u64, age: u64) {
        let at = self.shards.partition_point(|(_, range, _)| range.start() <= &key(id)[..]) - 1;
        let fed = &mut self.shards[at].2;
        fed.write(vec![put(id, age)]);
        let now = position(&fed.shard);
        let before = self.last.insert(id, now);
        assert!(before < Some(now), "{id}: {before:?} {now:?}");
        let logged = fed.shard.read().expect("reads").changes(Cursor { position: now, given: 0 }, 1 << 20);
        let logged: Vec<_> = logged.expect("is there").changes.into_iter().map(|(at, ..)| at).collect();
        assert_eq!(logged, [now]);
    }

    fn split(&mut self, of: usize, id: u64) {
        let (_, range, fed) = &mut self.shards[of];
        let Some([left, right]) = range.cut(&key(id)) else { return };
        let (epoch, child) = (fed.shard.view().epoch, ShardId(self.next));
        let split = Split { epoch, range: range.clone(), at: key(id), child };
        assert_eq!(fed.apply(&Command::Split(split)), Outcome::Applied);
        *range = left;
        let set = self.engine.create_tree_set(TreeSetId(child.0)).expect("a new tree set");
        let unborn = &fed.shard.unborn()[0];
        assert_eq!(unborn.position, fed.shard.position(), "consensus goes on behind the entry, whatever is told of it");
        assert!(fed.shard.bear(child, &self.engine, set.id(), Bytes::from_static(b"born")).expect("is born"));
        let shard = Shard::open(set).expect("opens");
        assert_eq!(position(&shard), position(&fed.shard));
        let born = Fed { engine: self.engine.clone(), shard, log: Vec::new(), fence: Fed::new().fence };
        self.shards.insert(of + 1, (child, right, born));
        self.next += 1;
    }

    fn join(&mut self, left: usize) {
        if left + 1 >= self.shards.len() {
            return;
        }
        let (right, right_range, mut other) = self.shards.remove(left + 1);
        let (_, range, fed) = &mut self.shards[left];
        assert_eq!(other.apply(&Command::Freeze { attempt: 1 }), Outcome::Applied);
        let end = position(&other.shard);
        // Consensus goes on with entries of its own.
        blank(&mut other);
        assert!(fed.shard.adopt(&other.shard, right, &self.engine).expect("adopts"));
        let ward = fed.shard.wards()[0];
        let (right_epoch, epoch) = (ward.epoch, fed.shard.view().epoch);
        let (was, entry) = (position(&fed.shard), ward.position);
        let whole = KeyRange::new(range.start().to_vec(), right_range.end().map(<[u8]>::to_vec)).expect("has keys");
        let join = Join { right, end: entry, right_epoch, epoch, range: range.clone(), right_range };
        assert_eq!(fed.apply(&Command::Join(join)), Outcome::Applied);
        *range = whole;
        let now = position(&fed.shard);
        assert_eq!(now, Position(end.0.max(was.0) + 1), "it leaps no further than it must");
        let logged = fed.shard.read().expect("reads").changes(Cursor::after(was), 1 << 20).expect("is there");
        assert_eq!(logged.joined, [(now, right, end)]);
    }
}

#[test]
fn positions_of_a_key_ascend_over_splits_and_joins() {
    for seed in 0..40 {
        let (mut numbers, mut world) = (Numbers(seed), World::new());
        for step in 0..120 {
            let shards = world.shards.len() as u64;
            let of = numbers.below(shards) as usize;
            match numbers.below(8) {
                0 if shards < 5 => world.split(of, numbers.below(KEYS)),
                1 => world.join(of),
                // Some shards are far ahead of their neighbours.
                2 => (0..numbers.below(12)).for_each(|_| blank(&mut world.shards[of].2)),
                _ => world.write(numbers.below(KEYS), step),
            }
        }
    }
}

/// A left shard of few entries, with the keys of a right one of many.
fn leapt() -> (Pair, Position, Position) {
    let mut pair = Pair::new(1);
    pair.left.write(vec![put(1, 1)]);
    pair.right.write(vec![put(CUT, 1)]);
    (0..100).for_each(|_| blank(&mut pair.right));
    pair.right.write(vec![put(CUT, 2)]);
    let before = position(&pair.left.shard);
    pair.freeze_adopt_and_join(1);
    let joined = position(&pair.left.shard);
    assert!(joined.0 > before.0 + 100);
    pair.left.write(vec![put(CUT, 3)]);
    (pair, before, joined)
}

#[test]
fn who_stands_before_a_leap_or_in_it_goes_on_behind_it() {
    let (pair, before, joined) = leapt();
    let reader = pair.left.shard.read().expect("reads");
    let all = reader.changes(Cursor::after(Position(before.0 - 1)), 1 << 20).expect("is there");
    let positions: Vec<_> = all.changes.iter().map(|(position, ..)| *position).collect();
    assert_eq!(positions, [before, Position(joined.0 + 1)]);
    for at in before.0..joined.0 {
        let found = reader.changes(Cursor::after(Position(at)), 1 << 20).expect("is there");
        assert_eq!((found.changes.len(), found.joined.len()), (1, 1), "from {at}");
    }
    let behind = reader.changes(Cursor::after(joined), 1 << 20).expect("is there");
    assert_eq!((behind.changes.len(), behind.joined.len()), (1, 0));
}

#[test]
fn the_shift_is_in_what_lasts_and_what_replicas_have() {
    let (pair, _, joined) = leapt();
    // Filled by a snapshot.
    let other = fed::empty_shard();
    let (_, chunks) = snapshot::take(&pair.left.shard).expect("is whole");
    snapshot::install(&other, &mut chunks.into_iter(), |error: ShardError| error).expect("installs");
    assert_eq!(position(&other), position(&pair.left.shard));
    assert_eq!(digest_of(&other), digest_of(&pair.left.shard));
    // After a loss of power, from the log and from the superblock.
    let pair = pair.crash();
    pair.left.engine.checkpoint().expect("stores");
    let mut pair = pair.crash();
    assert_eq!(position(&pair.left.shard).0, joined.0 + 1);
    pair.left.write(vec![put(2, 2)]);
    assert_eq!(position(&pair.left.shard).0, joined.0 + 2);
}

#[test]
fn a_log_that_begins_anew_behind_a_leap_is_whole_behind_what_is_told() {
    let (mut pair, _, _) = leapt();
    let last = position(&pair.left.shard);
    let epoch = Epoch(pair.left.shard.view().epoch.0 + 1);
    pair.left
        .shard
        .take_over(&KeyRange::all(), epoch, Freeze::Lifted(0), Bytes::from_static(b"new"))
        .expect("is taken over");
    assert_eq!(position(&pair.left.shard), last);
    let reader = pair.left.shard.read().expect("reads");
    let floor = reader.changes(Cursor { position: last, given: 0 }, 1);
    assert!(matches!(floor, Err(ShardError::ChangesTrimmed { floor }) if floor == last));
    assert!(reader.changes(Cursor::after(last), 1).expect("is whole").changes.is_empty());
    pair.left.fence.term += 1;
    (pair.left.fence.chain, pair.left.fence.number) = (1, 0);
    pair.left.write(vec![put(2, 2)]);
    assert_eq!(position(&pair.left.shard).0, last.0 + 1);
}

#[test]
fn a_join_that_is_made_up_for_leaps_too() {
    let mut pair = Pair::new(1);
    let (at, child) = (key(CUT), ShardId(7));
    let split = Split { epoch: Epoch(0), range: KeyRange::all(), at, child };
    assert_eq!(pair.left.apply(&Command::Split(split)), Outcome::Applied);
    pair.left.shard.forget_unborn(child).expect("drops");
    (0..100).for_each(|_| blank(&mut pair.right));
    pair.right.write(vec![put(CUT, 2)]);
    pair.freeze(1);
    let end = position(&pair.right.shard);
    pair.adopt();
    pair.left
        .shard
        .take_over(&KeyRange::all(), Epoch(9), Freeze::Lifted(0), Bytes::from_static(b"new"))
        .expect("is taken over");
    assert!(pair.left.shard.get(&key(CUT)).expect("has the key").is_some());
    let last = position(&pair.left.shard);
    assert!(last > end, "{last:?} {end:?}");
    let changes = pair.left.shard.read().expect("reads").changes(Cursor::after(last), 1);
    assert!(changes.expect("is whole").changes.is_empty());
}
