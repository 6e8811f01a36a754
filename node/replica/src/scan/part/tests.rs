//! What a lane gives of a shard that has other keys, too.

use photondb_reql::geo::{LonLat, point_datum};
use photondb_reql::limits::INDEX_VALUE_BYTES_MAX;

use super::*;
use crate::scan::fed::{Fed, id_of, key, keys};

/// Of those that are put first; all are even.
const IDS: u64 = 600;

/// Keys of other lanes lie before these, between them in the index, and behind them.
const LANES: [(u64, u64); 4] = [(0, 300), (300, 600), (20, 24), (596, 600)];

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
        (Excluded(key("l")), Unbounded, Some((Excluded(key("l")), Excluded(key("m"))))),
    ] {
        let found = within(&KeyBounds::new(start.clone(), end.clone()), &keys);
        let found = found.map(|bounds| (bounds.start, bounds.end));
        assert_eq!(found, expected, "{start:?} {end:?}");
    }
    let whole = within(&KeyBounds::all(), &KeyRange::all()).expect("has keys");
    assert_eq!((whole.start, whole.end), (Unbounded, Unbounded));
}

/// Some are so long that a key of the index has only their beginning.
fn value(id: u64) -> String {
    match id % 5 {
        0 => format!("{}{:04}", "m".repeat(INDEX_VALUE_BYTES_MAX), 9_999 - id),
        _ => format!("{:04}", id * 7 % 100),
    }
}

fn fed() -> Fed {
    let mut fed = Fed::new(false);
    fed.put((0..IDS).step_by(2).map(|id| (id, Datum::from(value(id)))));
    fed
}

fn look(direction: Direction, ordered: bool) -> Look {
    Look { index: Some("a".into()), cells: None, direction, ordered }
}

/// Reads a lane to its end. Where the next look is to begin right behind the last row, something is put there.
fn read(fed: &mut Fed, look: &Look, keys: &KeyRange, want: usize) -> (Vec<(String, u64)>, usize) {
    let (mut part, mut given, mut put) = (Part::of(KeyBounds::all(), None), Vec::new(), 0);
    loop {
        let reader = fed.shard.read().expect("reads");
        let found = look.by_index("a", &reader, keys, &mut part, want, &mut GeoScan::default()).expect("reads");
        let value = |row: &IndexRow| row.value.as_string().expect("a text").to_string();
        given.extend(found.rows.iter().map(|row| (value(row), id_of(row))));
        if !found.more {
            return (given, put);
        }
        let Some(last) = found.rows.last().filter(|last| part.goes_on_behind(last, look.direction)) else { continue };
        let next = match look.direction {
            Direction::Forward => Some(id_of(last) + 1),
            Direction::Backward => id_of(last).checked_sub(1),
        };
        if let Some(next) = next.filter(|id| id % 2 == 1 && keys.contains(&key(*id))) {
            fed.put([(next, last.value.clone())]);
            put += 1;
        }
    }
}

#[test]
fn a_lane_gives_its_own_keys_in_order_and_what_comes_behind_the_last_row() {
    for (direction, ordered, want) in [
        (Direction::Forward, true, 1),
        (Direction::Forward, true, 20),
        (Direction::Backward, true, 7),
        (Direction::Backward, true, 20),
        (Direction::Forward, false, 7),
        (Direction::Forward, false, 1_000),
    ] {
        for (from, to) in LANES {
            let (mut fed, keys) = (fed(), keys(from, to));
            let (given, put) = read(&mut fed, &look(direction, ordered), &keys, want);
            let all = fed.shard.read().expect("reads").all_documents().expect("reads");
            let own = all.into_iter().filter(|(key, _)| keys.contains(key));
            let entry = |(_, document): (Bytes, Bytes)| {
                let document = Datum::decode(document).expect("decodes");
                let field = |name: &str| document.field(name).expect("has it");
                (
                    field("a").as_string().expect("a text").to_string(),
                    field("id").as_integer().expect("a number") as u64,
                )
            };
            let mut expected: Vec<_> = own.map(entry).collect();
            expected.sort();
            let mut given_sorted = given.clone();
            given_sorted.sort();
            assert_eq!(given_sorted, expected, "{from} {direction:?} {ordered} {want}");
            assert!(put > 0 || want > 100 || to - from < 10, "{from} {direction:?} {ordered} {want}");
            if direction == Direction::Backward {
                expected.reverse();
            }
            assert!(!ordered || given == expected, "{from} {direction:?} {want}");
        }
    }
}

#[test]
fn a_look_that_finds_only_entries_of_others_goes_on() {
    let (fed, keys) = (fed(), keys(IDS, IDS + 10));
    let (mut part, look, mut looks) = (Part::of(KeyBounds::all(), None), look(Direction::Forward, true), 0);
    loop {
        let reader = fed.shard.read().expect("reads");
        let found = look.by_index("a", &reader, &keys, &mut part, 50, &mut GeoScan::default()).expect("reads");
        assert!(found.rows.is_empty());
        looks += 1;
        if !found.more {
            break;
        }
    }
    assert!(looks > 3, "{looks}");
}

#[test]
fn a_lane_finds_its_own_geometries() {
    let mut fed = Fed::new(true);
    let point = |id: u64| {
        point_datum(LonLat { longitude: id as f64 * 7.0 % 100.0, latitude: id as f64 % 50.0 }).expect("finite numbers")
    };
    fed.put((0..IDS).step_by(2).map(|id| (id, point(id))));
    let cells = CellRanges::of(vec![(0, u64::MAX)]).expect("ascend");
    let look = Look { cells: Some(Arc::new(cells)), ..look(Direction::Forward, false) };
    for (from, to) in LANES {
        let (mut part, mut given, mut geo) = (Part::of(KeyBounds::all(), None), Vec::new(), GeoScan::default());
        loop {
            let (reader, keys) = (fed.shard.read().expect("reads"), keys(from, to));
            let found = look.by_index("a", &reader, &keys, &mut part, 13, &mut geo).expect("reads");
            given.extend(found.rows.iter().map(id_of));
            if !found.more {
                break;
            }
        }
        given.sort_unstable();
        assert_eq!(given, (from..to).step_by(2).collect::<Vec<_>>());
    }
}

#[test]
fn by_the_primary_key_a_part_has_the_bounds_of_its_lane() {
    let fed = fed();
    let look = Look { index: None, ..look(Direction::Forward, true) };
    for (from, to) in LANES {
        let mut part = Part::of(KeyBounds::all(), None).of_keys(&keys(from, to), false).expect("has keys");
        let reader = fed.shard.read().expect("reads");
        let found = look.documents(&reader, &mut part, 1_000, |_| false).expect("reads");
        let expected: Vec<_> = (from..to).step_by(2).map(key).collect();
        assert_eq!(found.rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
    }
    assert!(Part::of(KeyBounds::after(key(30)), None).of_keys(&keys(10, 20), false).is_none());
}
