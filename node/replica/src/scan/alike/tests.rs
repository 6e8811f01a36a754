//! Entries that are alike, in a shard of their own.
use photondb_proto::KeyRange;
use photondb_reql::limits::INDEX_VALUE_BYTES_MAX;

use super::*;
use crate::scan::fed::{Fed, id_of};

const ENTRIES: u64 = 3_000;

impl Fed {
    fn put_all(&mut self, rows: impl IntoIterator<Item = (u64, String)>) {
        self.put(rows.into_iter().map(|(id, value)| (id, Datum::from(value))));
    }

    fn alike(&self) -> Alike {
        let reader = self.shard.read().unwrap();
        let (entries, _) = reader.index_entries("a", &KeyBounds::all(), Direction::Forward, 1).unwrap();
        Alike::to(&entries[0].entry, &KeyBounds::all()).unwrap()
    }

    /// The ids of the next rows.
    fn next(&self, alike: &mut Alike, direction: Direction, want: usize) -> (Vec<u64>, bool) {
        let reader = self.shard.read().unwrap();
        let wanted = Wanted { keys: &KeyRange::all(), exact: None };
        let (rows, more) = alike.next(&reader, "a", direction, &wanted, want).unwrap();
        (rows.iter().map(id_of).collect(), more)
    }
}

/// Longer than what a key keeps; the higher the number the lower the value.
fn value(id: u64) -> String {
    format!("{}{:08}", "x".repeat(INDEX_VALUE_BYTES_MAX), 10_000_000 - id)
}

fn remembered_rows(alike: &Alike) -> usize {
    alike.ahead.as_ref().map_or(0, |ahead| ahead.places.len())
}

#[test]
fn one_walk_serves_many_batches() {
    let mut fed = Fed::new(false);
    fed.put_all((0..ENTRIES).map(|id| (id, value(id))));
    for direction in [Direction::Forward, Direction::Backward] {
        let mut alike = fed.alike();
        let mut given = Vec::new();
        loop {
            let (ids, more) = fed.next(&mut alike, direction, 7);
            given.extend(ids);
            assert_eq!(remembered_rows(&alike), ENTRIES as usize - given.len(), "nothing is looked at twice");
            if !more {
                break;
            }
        }
        if direction == Direction::Forward {
            given.reverse();
        }
        assert_eq!(given, (0..ENTRIES).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_written_between_two_batches_is_in_the_next_one() {
    let mut fed = Fed::new(false);
    fed.put_all((0..100).map(|id| (2 * id, value(2 * id))));
    let mut alike = fed.alike();
    assert_eq!(fed.next(&mut alike, Direction::Backward, 3).0, [0, 2, 4]);
    fed.put_all([(5, value(5)), (1, value(1)), (6, "elsewhere".to_owned())]);
    assert_eq!(fed.next(&mut alike, Direction::Backward, 3), (vec![5, 8, 10], true));
    fed.put_all([(12, value(199))]);
    assert_eq!(fed.next(&mut alike, Direction::Backward, 2).0, [14, 16]);
    let (rest, more) = fed.next(&mut alike, Direction::Backward, 1_000);
    assert_eq!((rest.len(), rest.last(), more), (92, Some(&12), false));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut fed = Fed::new(false);
    let long = |id: u64| value(id) + &"y".repeat(100_000);
    for id in 0..200 {
        fed.put_all([(id, long(id))]);
    }
    let mut alike = fed.alike();
    let (mut given, mut walked) = (Vec::new(), 0);
    loop {
        let before = remembered_rows(&alike);
        let (ids, more) = fed.next(&mut alike, Direction::Forward, 10);
        given.extend(ids);
        walked += usize::from(before == 0);
        assert!(remembered_rows(&alike) * 100_000 <= ALIKE_AHEAD_BYTES);
        if !more {
            break;
        }
    }
    given.reverse();
    assert_eq!(given, (0..200).collect::<Vec<_>>());
    assert!((2..6).contains(&walked), "{walked}");
}
