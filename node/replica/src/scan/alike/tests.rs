//! Entries that are alike, in a shard of their own.
use photondb_proto::IndexId;
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::key::PrimaryKey;
use photondb_reql::limits::INDEX_VALUE_BYTES_MAX;
use photondb_reql::term;
use photondb_shard::format::encode_command;
use photondb_shard::{Command, Effect, Entry, EntryNumber, Fence, Outcome, Shard};
use photondb_storage::{Engine, EngineOptions, TreeSetId};

use super::*;

const ENTRIES: u64 = 3_000;

/// A shard with an index on `a`.
struct Fed {
    shard: Shard,
    fence: Fence,
    position: u64,
}

impl Fed {
    fn new() -> Fed {
        let engine = Engine::in_memory(EngineOptions::default());
        let shard = Shard::open(engine.create_tree_set(TreeSetId(1)).unwrap()).unwrap();
        let mut fed = Fed { shard, fence: Fence { term: 1, chain: 1, ..Fence::default() }, position: 0 };
        let Ok(term::Message::Start(start)) = term::parse(br#"[1,[69,[[2,[1]],[170,[[10,[1]],"a"]]]]]"#) else {
            panic!("a query")
        };
        let definition = encode_function(&compile_term(&start.term).unwrap(), &Cx::pure()).unwrap();
        let (id, definition) = (IndexId(1), Bytes::from(definition));
        fed.apply(&Command::CreateIndex { id, name: "a".into(), multi: false, geo: false, definition });
        while !fed.shard.built_not_ready().contains(&id) {
            fed.shard.build_step(7).unwrap();
        }
        fed.apply(&Command::IndexReady { id });
        fed
    }

    fn apply(&mut self, command: &Command) {
        self.position += 1;
        let position = EntryNumber(self.position);
        let entry = Entry { position, term: 1, command: Some(encode_command(command)) };
        let outcomes = self.shard.apply(&[entry], Bytes::from(self.position.to_le_bytes().to_vec())).unwrap();
        assert_eq!(outcomes[0], Outcome::Applied);
    }

    fn put(&mut self, rows: impl IntoIterator<Item = (u64, String)>) {
        self.fence.number += 1;
        self.fence.schema = self.shard.view().version;
        let effect = |(id, value): (u64, String)| {
            let document = Datum::Object([("id", Datum::from(id)), ("a", Datum::from(value))].into());
            let key = PrimaryKey::new(&Datum::from(id)).unwrap().bytes();
            Effect::Put { key, document: Bytes::from(document.to_encoded()) }
        };
        let effects = rows.into_iter().map(effect).collect();
        self.apply(&Command::Write { fence: self.fence, effects });
    }

    fn alike(&self) -> Alike {
        let reader = self.shard.read().unwrap();
        let (entries, _) = reader.index_entries("a", &KeyBounds::all(), Direction::Forward, 1).unwrap();
        Alike::to(&entries[0].entry, &KeyBounds::all()).unwrap()
    }

    /// The ids of the next rows.
    fn next(&self, alike: &mut Alike, direction: Direction, want: usize) -> (Vec<u64>, bool) {
        let reader = self.shard.read().unwrap();
        let (rows, more) = alike.next(&reader, "a", direction, None, want).unwrap();
        let id = |row: IndexRow| Datum::decode(row.document).unwrap().field("id").unwrap().as_integer().unwrap();
        (rows.into_iter().map(|row| id(row).try_into().unwrap()).collect(), more)
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
    let mut fed = Fed::new();
    fed.put((0..ENTRIES).map(|id| (id, value(id))));
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
    let mut fed = Fed::new();
    fed.put((0..100).map(|id| (2 * id, value(2 * id))));
    let mut alike = fed.alike();
    assert_eq!(fed.next(&mut alike, Direction::Backward, 3).0, [0, 2, 4]);
    fed.put([(5, value(5)), (1, value(1)), (6, "elsewhere".to_owned())]);
    assert_eq!(fed.next(&mut alike, Direction::Backward, 3), (vec![5, 8, 10], true));
    fed.put([(12, value(199))]);
    assert_eq!(fed.next(&mut alike, Direction::Backward, 2).0, [14, 16]);
    let (rest, more) = fed.next(&mut alike, Direction::Backward, 1_000);
    assert_eq!((rest.len(), rest.last(), more), (92, Some(&12), false));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut fed = Fed::new();
    let long = |id: u64| value(id) + &"y".repeat(100_000);
    for id in 0..200 {
        fed.put([(id, long(id))]);
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
