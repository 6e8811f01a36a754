//! The change log as a feed reads it that was interrupted: whole from a place on, or a clear word that it is not.

use bytes::Bytes;
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;
use photondb_shard::format::encode_command;
use photondb_shard::{
    Command, Cursor, DocumentChange, Effect, Entry, EntryNumber, Fence, Outcome, Position, Shard, ShardError, snapshot,
};
use photondb_storage::{Engine, EngineOptions, TreeSetId};

fn empty_shard() -> Shard {
    let engine = Engine::in_memory(EngineOptions::default());
    Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens")
}

fn key(id: i32) -> Bytes {
    PrimaryKey::new(&Datum::from(id)).expect("a number can be a key").bytes()
}

/// A document of about so many bytes.
fn put(id: i32, version: u8, bytes: usize) -> Effect {
    let text = Datum::from(char::from(b'a' + version).to_string().repeat(bytes));
    Effect::Put { key: key(id), document: Bytes::from(text.to_encoded()) }
}

/// A shard and the number of its last entry.
struct Written(Shard, u64);

impl Written {
    fn write(&mut self, effects: Vec<Effect>) {
        self.1 += 1;
        let fence = Fence { term: 1, chain: 1, number: self.1, ..Fence::default() };
        let command = Some(encode_command(&Command::Write { fence, effects }));
        let entry = Entry { position: EntryNumber(self.1), term: 1, command };
        assert_eq!(self.0.apply(&[entry], Bytes::new()).expect("applies"), [Outcome::Applied]);
    }
}

type Logged = (Position, u32, DocumentChange);

/// Everything behind a place, read in pieces of about so many bytes.
fn changes(shard: &Shard, mut cursor: Cursor, bytes: usize) -> Result<Vec<Logged>, ShardError> {
    let reader = shard.read().expect("reads");
    let mut all = Vec::new();
    loop {
        let found = reader.changes(cursor, bytes)?;
        if let Some((position, number, _)) = found.changes.last() {
            cursor = Cursor { position: *position, given: number + 1 };
        }
        all.extend(found.changes);
        if !found.more {
            return Ok(all);
        }
    }
}

fn at(position: u64, given: u32) -> Cursor {
    Cursor { position: Position(position), given }
}

#[test]
fn they_are_those_that_a_listener_was_given() {
    let mut written = Written(empty_shard(), 0);
    let listener = written.0.listen(Box::new(|| ()));
    for round in 0..30 {
        let effects = (0..=round % 4).map(|of| put(round % 7 + of, (round % 20) as u8, 50));
        written.write(effects.collect());
    }
    let batches = listener.take().expect("keeps up");
    let given: Vec<Logged> = batches
        .iter()
        .flat_map(|batch| {
            (0u32..).zip(batch.changes.iter()).map(|(number, change)| (batch.position, number, change.clone()))
        })
        .collect();
    assert_eq!(given.len(), 73);
    for bytes in [1, 200, usize::MAX] {
        for (place, (position, number, _)) in given.iter().enumerate() {
            let from = changes(&written.0, at(position.0, *number), bytes).expect("nothing is trimmed");
            assert_eq!(from, given[place..], "from {position:?}, {number}");
        }
        assert_eq!(changes(&written.0, at(1, 0), bytes).expect("nothing is trimmed"), given);
        assert_eq!(changes(&written.0, Cursor::after(Position(30)), bytes).expect("nothing is trimmed"), []);
    }
}

#[test]
fn what_is_trimmed_is_missed_by_those_alone_who_stand_before_it() {
    let mut written = Written(empty_shard(), 0);
    for version in 0..12 {
        // With what was before it, a change takes a megabyte.
        written.write(vec![put(1, version, 512 << 10)]);
    }
    let Err(ShardError::ChangesTrimmed { floor }) = changes(&written.0, at(1, 0), 1) else { panic!("it is trimmed") };
    assert!((7..=9).contains(&floor.0), "{floor:?}");
    assert!(matches!(changes(&written.0, at(floor.0, 1), 1), Err(ShardError::ChangesTrimmed { .. })));
    let rest = changes(&written.0, Cursor::after(floor), 1).expect("is whole");
    let positions: Vec<u64> = rest.iter().map(|(position, _, _)| position.0).collect();
    assert_eq!(positions, (floor.0 + 1..=12).collect::<Vec<_>>());

    // A change that no log can hold.
    written.write(vec![put(1, 20, 5 << 20), put(2, 0, 10)]);
    written.write(vec![put(2, 1, 10)]);
    assert!(matches!(changes(&written.0, at(13, 0), 1), Err(ShardError::ChangesTrimmed { floor: Position(13) })));
    assert_eq!(changes(&written.0, at(14, 0), 1).expect("is whole").len(), 1);
}

#[test]
fn who_listens_to_a_shard_that_a_snapshot_replaces_is_told_and_finds_it_in_the_log() {
    let mut written = Written(empty_shard(), 0);
    for version in 0..6 {
        written.write(vec![put(1, version, 10)]);
    }
    let other = empty_shard();
    let listener = other.listen(Box::new(|| ()));
    let (_, chunks) = snapshot::take(&written.0).expect("pins");
    snapshot::install(&other, &mut chunks.into_iter(), |error| error).expect("installs");
    assert!(matches!(listener.take(), Err(ShardError::Replaced)));
    assert!(listener.take().expect("told once").is_empty());
    let all = changes(&other, at(1, 0), usize::MAX).expect("the log came with it");
    assert_eq!(all, changes(&written.0, at(1, 0), usize::MAX).expect("nothing is trimmed"));
    assert_eq!(all.len(), 6);
}
