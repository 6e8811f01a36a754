//! What becomes of a freeze when a shard goes on in another group: it is lifted, or stays with what was adopted.

#[path = "fed/fed.rs"]
mod fed;
#[path = "pair/pair.rs"]
mod pair;

use bytes::Bytes;
use fed::{Fed, documents, held, key};
use pair::{CUT, IDS, Pair, put, ranges};
use photondb_proto::{Epoch, KeyRange};
use photondb_shard::{Command, Freeze, Outcome, ShardError, Skipped};

/// Two shards with documents and whole indexes, the right one frozen by its third attempt.
fn frozen() -> Pair {
    let mut pair = Pair::with_indexes(1);
    for id in 0..IDS {
        let fed = if id < CUT { &mut pair.left } else { &mut pair.right };
        fed.write(vec![put(id, id % 7)]);
    }
    pair.freeze(3);
    pair
}

fn take_over(fed: &Fed, range: &KeyRange, epoch: u64, freeze: Freeze) -> Result<(), ShardError> {
    fed.shard.take_over(range, Epoch(epoch), freeze, Bytes::from_static(b"new"))
}

#[test]
fn a_freeze_that_is_lifted_comes_no_more() {
    let [_, range] = ranges();
    for _ in 0..2 {
        let mut pair = frozen();
        assert_eq!(pair.right.shard.view().epoch, Epoch(1));
        take_over(&pair.right, &range, 3, Freeze::Lifted(3)).expect("is taken over");
        let view = pair.right.shard.view();
        assert_eq!((view.frozen, view.epoch), (None, Epoch(3)));
        assert!(pair.right.shard.get(&key(CUT)).expect("answers").is_some());
        for attempt in 1..=3 {
            let late = Command::Freeze { attempt };
            assert_eq!(pair.right.apply(&late), Outcome::Skipped(Skipped::Epoch));
        }
        pair.freeze(4);
        assert_eq!(pair.right.shard.view().frozen, Some(4));
    }
}

#[test]
fn a_freeze_that_had_not_come_yet_is_lifted_as_well() {
    let mut fed = Pair::with_indexes(1).right;
    take_over(&fed, &KeyRange::all(), 3, Freeze::Lifted(2)).expect("is taken over");
    assert_eq!(fed.apply(&Command::Freeze { attempt: 2 }), Outcome::Skipped(Skipped::Epoch));
    assert_eq!(fed.apply(&Command::Freeze { attempt: 3 }), Outcome::Applied);
}

#[test]
fn indexes_stay_whole_where_no_cut_was_missed() {
    let [range, _] = ranges();
    let pair = frozen();
    let before = held(&pair.left.shard, "age");
    // So far behind it is because of a freeze that never came here.
    take_over(&pair.left, &range, 3, Freeze::Lifted(3)).expect("is taken over");
    assert!(pair.left.shard.view().schema.indexes.values().all(|index| index.is_usable()));
    assert_eq!(held(&pair.left.shard, "age"), before);
    assert_eq!(pair.left.shard.view().range, Some(range));
    assert!(pair.left.shard.unborn().is_empty());
}

#[test]
fn a_freeze_that_stays_goes_on_with_the_join() {
    let [left, right] = ranges();
    for (adopted_before, seed) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
        let mut pair = frozen();
        let (position, epoch) = (pair.right.shard.position(), pair.right.shard.view().epoch);
        if adopted_before {
            pair.adopt();
        }
        take_over(&pair.right, &right, 0, Freeze::Stays).expect("is taken over");
        take_over(&pair.left, &left, 1, Freeze::Lifted(0)).expect("is taken over");
        if seed == 2 {
            pair.left.engine.checkpoint().expect("stores");
            pair = pair.crash();
        }
        let view = pair.right.shard.view();
        assert_eq!((view.frozen, view.epoch, pair.right.shard.position()), (Some(3), epoch, position));
        if !adopted_before {
            pair.adopt();
        }
        let join = pair.join();
        assert_eq!((join.end, join.right_epoch), (position, epoch), "the entry that froze it is the one that is known");
        assert_eq!(pair.left.apply(&Command::Join(join)), Outcome::Applied);
        assert_eq!(documents(&pair.left.shard).len() as u64, IDS);
        assert_eq!(pair.left.shard.view().range, Some(KeyRange::all()));
    }
}

#[test]
fn what_was_adopted_has_no_way_back() {
    let [_, range] = ranges();
    let pair = frozen();
    pair.adopt();
    let refused = take_over(&pair.right, &range, 3, Freeze::Lifted(3));
    assert!(matches!(refused, Err(ShardError::Hollow)), "{refused:?}");
    assert_eq!(pair.right.shard.view().frozen, Some(3), "nothing is half done");
}
