//! What becomes of lanes and of what is left of them.

use std::ops::Bound;

use bytes::Bytes;
use photondb_proto::{Epoch, ShardId, TableId};
use photondb_query::table::{Access, DatumRange, Keys, Order, Position, ReadMode, ShardNumber};
use photondb_reql::datum::Datum;
use photondb_shard::read::KeyBounds;

use super::*;
use crate::scan::Part;
use crate::scan::fed::{key, keys};

/// A shard, its epoch, and its keys from one number to another.
type Has = (u64, u64, (u64, u64));

fn routes(shards: &[Has]) -> Arc<TableRoutes> {
    let route = |&(id, epoch, (from, to)): &Has| {
        let (table, id, epoch, range) = (TableId(1), ShardId(id), Epoch(epoch), keys(from, to));
        Arc::new(Route { table, id, range, epoch, rescued: None, members: Vec::new(), here: None })
    };
    TableRoutes::of(shards.iter().map(route).collect())
}

fn scan(shards: &[Has], index: Option<&str>, order: Order) -> TableScan {
    let access = Access { index: index.map(Into::into), keys: Keys::Range(DatumRange::all()), order };
    TableScan::new("t".into(), routes(shards), &access, ReadMode::Single).expect("a range")
}

impl TableScan {
    /// The shard of a lane says that its keys have moved, and these have them.
    fn finds(&mut self, lane: usize, shards: &[Has]) {
        self.routes = routes(shards);
        self.moved(lane).expect("is known already");
    }

    /// A look at a lane that ended at this key.
    fn was_read_up_to(&mut self, lane: usize, last: Option<u64>, index: u64) {
        let shard = self.lanes[lane].route.number();
        self.progress[lane].looks(Position { shard, index });
        let Some(last) = last else { return };
        self.progress[lane].finds(true);
        let of_lane = |stage: &&mut Stage| matches!(stage, Stage::Part(of, _) if *of == lane);
        if let Some(Stage::Part(_, part)) = self.stages.iter_mut().find(of_lane) {
            part.bounds.start = Bound::Excluded(key(last));
        }
    }

    /// The shard of each lane, its keys, and whether it has ended.
    fn lanes(&self) -> Vec<(u64, KeyRange, bool)> {
        let lane = |(lane, progress): (&Lane, &Progress)| {
            assert_eq!(lane.route.range, progress.keys, "it asks for its own keys, and for all of them");
            assert_eq!(lane.left == 0, progress.ended);
            (lane.route.id.0, progress.keys.clone(), progress.ended)
        };
        self.lanes.iter().zip(&self.progress).map(lane).collect()
    }

    /// What is left, in the order in which it is read.
    fn left(&self) -> Vec<(usize, Bound<Bytes>, Bound<Bytes>)> {
        let part = |stage: &Stage| match stage {
            Stage::Part(lane, Part { bounds: KeyBounds { start, end }, .. }) => (*lane, start.clone(), end.clone()),
            Stage::Merge(_) => panic!("nothing is merged"),
        };
        self.stages.iter().rev().map(part).collect()
    }
}

fn included(id: u64) -> Bound<Bytes> {
    Bound::Included(key(id))
}

fn excluded(id: u64) -> Bound<Bytes> {
    Bound::Excluded(key(id))
}

#[test]
fn by_the_primary_key_what_is_left_is_divided() {
    for (last, left) in [
        (30, vec![(0, excluded(30), excluded(50)), (1, included(50), excluded(90))]),
        (60, vec![(1, excluded(60), excluded(90))]),
    ] {
        let mut scan = scan(&[(1, 1, (0, 90))], None, Order::Any);
        scan.was_read_up_to(0, Some(last), 7);
        scan.finds(0, &[(1, 2, (0, 50)), (2, 1, (50, 90))]);
        assert_eq!(scan.lanes(), [(1, keys(0, 50), last == 60), (2, keys(50, 90), false)]);
        assert_eq!(scan.left(), left);
        let [old, new] = &scan.progress[..] else { panic!("two lanes") };
        let expected = Progress { keys: keys(50, 90), of: Some(0), ended: false, ..old.clone() };
        assert_eq!(*new, expected, "what was read of the one was read of the other");
    }
}

#[test]
fn backward_the_highest_keys_come_first() {
    let mut scan = scan(&[(1, 1, (0, 90))], None, Order::Descending);
    scan.finds(0, &[(1, 2, (0, 50)), (2, 1, (50, 90))]);
    assert_eq!(scan.left().iter().map(|(lane, ..)| *lane).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn by_an_index_each_has_the_whole_rest() {
    let mut scan = scan(&[(1, 1, (0, 90))], Some("a"), Order::AscendingInShards);
    scan.was_read_up_to(0, Some(30), 7);
    scan.finds(0, &[(1, 3, (0, 50)), (3, 1, (50, 60)), (2, 1, (60, 90))]);
    assert_eq!(scan.lanes(), [(1, keys(0, 50), false), (3, keys(50, 60), false), (2, keys(60, 90), false)]);
    let rest = |lane: usize| (lane, excluded(30), Bound::Unbounded);
    assert_eq!(scan.left(), [rest(0), rest(1), rest(2)]);
}

#[test]
fn a_lane_of_a_shard_that_was_joined_goes_on_at_the_other_one_with_its_own_keys() {
    for index in [None, Some("a")] {
        let mut scan = scan(&[(1, 1, (0, 50)), (2, 1, (50, 90))], index, Order::Any);
        scan.was_read_up_to(1, Some(60), 7);
        let left = scan.left();
        scan.finds(1, &[(1, 2, (0, 90))]);
        assert_eq!(scan.lanes(), [(1, keys(0, 50), false), (1, keys(50, 90), false)]);
        assert_eq!(scan.left(), left);
        assert_eq!(scan.lanes[1].route.epoch, Epoch(2), "only of who has them");
        assert_eq!(scan.progress[1].shard, ShardNumber(2), "of which it was read last");
        scan.finds(0, &[(1, 2, (0, 90))]);
        assert_eq!(scan.lanes(), [(1, keys(0, 50), false), (1, keys(50, 90), false)]);
    }
}

#[test]
fn boundaries_may_be_others_behind_a_join_and_a_split() {
    let mut scan = scan(&[(1, 1, (0, 50)), (2, 1, (50, 90))], None, Order::Any);
    scan.finds(1, &[(1, 3, (0, 60)), (3, 1, (60, 90))]);
    assert_eq!(scan.lanes(), [(1, keys(0, 50), false), (1, keys(50, 60), false), (3, keys(60, 90), false)]);
    assert_eq!(scan.progress[2].of, Some(1));
}

#[test]
fn a_shard_that_was_thawed_is_read_again() {
    let mut scan = scan(&[(1, 1, (0, 50)), (2, 1, (50, 90))], None, Order::Any);
    scan.finds(1, &[(1, 1, (0, 50)), (2, 2, (50, 90))]);
    assert_eq!(scan.lanes(), [(1, keys(0, 50), false), (2, keys(50, 90), false)]);
    assert_eq!(scan.lanes[1].route.epoch, Epoch(2));
}

#[test]
fn nothing_goes_on_before_something_else_is_known() {
    let mut scan = scan(&[(1, 1, (0, 50)), (2, 1, (50, 90))], None, Order::Any);
    // Nobody is there who could tell.
    assert!(matches!(scan.moved(1), Err(ReplicaError::Shard(ShardError::Moved))));
    scan.routes = routes(&[(1, 2, (0, 50)), (2, 1, (50, 90))]);
    assert!(matches!(scan.moved(1), Err(ReplicaError::Shard(ShardError::Moved))), "it is another shard that changed");
}

#[test]
fn where_order_matters_the_parts_are_merged() {
    let mut scan = scan(&[(1, 1, (0, 90))], Some("a"), Order::Ascending);
    scan.finds(0, &[(1, 2, (0, 50)), (2, 1, (50, 90))]);
    let lanes = |scan: &TableScan| match &scan.stages[..] {
        [Stage::Merge(merge)] => merge.runs.iter().map(|run| run.from.lane).collect::<Vec<_>>(),
        _ => panic!("one range is read"),
    };
    assert_eq!(lanes(&scan), [0, 1]);
    scan.finds(1, &[(1, 3, (0, 60)), (3, 1, (60, 90))]);
    assert_eq!(lanes(&scan), [0, 1, 2]);
    assert_eq!(scan.lanes(), [(1, keys(0, 50), false), (1, keys(50, 60), false), (3, keys(60, 90), false)]);
}

#[test]
fn a_lane_of_which_nothing_is_wanted_has_ended() {
    let range = DatumRange { left: Datum::from(60), ..DatumRange::all() };
    let access = Access { index: None, keys: Keys::Range(range), order: Order::Any };
    let shards = routes(&[(1, 1, (0, 50)), (2, 1, (50, 90))]);
    let scan = TableScan::new("t".into(), shards, &access, ReadMode::Single).expect("a range");
    assert_eq!(scan.lanes(), [(1, keys(0, 50), true), (2, keys(50, 90), false)]);
    assert_eq!(scan.left(), [(1, included(60), excluded(90))]);
}
