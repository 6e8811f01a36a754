//! The change log as a feed reads it that was interrupted: whole from a place on, or a clear word that it is not.

use bytes::Bytes;
use photondb_proto::{Epoch, KeyRange, ShardId};
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;
use photondb_shard::format::encode_command;
use photondb_shard::{
    Command, Cursor, DocumentChange, Effect, Entry, EntryNumber, Fence, Outcome, Position, Shard, ShardError, Split,
    digest, snapshot,
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
        let fence = self.fence();
        self.apply(&Command::Write { fence, effects });
    }

    /// Of the next entry, which is in a chain of its own.
    fn fence(&self) -> Fence {
        Fence { term: 1, chain: self.1 + 1, number: 1, schema: self.0.view().version, ..Fence::default() }
    }

    fn hold(&mut self, bytes_max: u64) {
        self.apply(&Command::SetChangeLog { bytes_max });
    }

    fn apply(&mut self, command: &Command) {
        self.1 += 1;
        let entry = entry(self.1, command);
        assert_eq!(self.0.apply(&[entry], Bytes::new()).expect("applies"), [Outcome::Applied]);
    }
}

fn entry(position: u64, command: &Command) -> Entry {
    Entry { position: EntryNumber(position), term: 1, command: Some(encode_command(command)) }
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
    written.hold(4 << 20);
    for version in 0..11 {
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

/// The first entry of which all is there.
fn whole_from(shard: &Shard) -> u64 {
    match changes(shard, at(0, 0), 1 << 20) {
        Err(ShardError::ChangesTrimmed { floor }) => floor.0 + 1,
        all => panic!("position 0 is before every entry: {all:?}"),
    }
}

#[test]
fn a_shard_that_was_told_nothing_keeps_16_mib() {
    let mut written = Written(empty_shard(), 0);
    for version in 0..20 {
        written.write(vec![put(1, version, 2 << 20)]);
    }
    let from = whole_from(&written.0);
    // The first change has nothing before it; the others take 4 MiB, and a few bytes.
    assert_eq!(from, 20 - 3 + 1);
    assert_eq!(changes(&written.0, at(from, 0), usize::MAX).expect("is whole").len(), 3);
}

#[test]
fn a_log_that_may_hold_more_keeps_what_it_has_and_one_that_may_hold_less_keeps_the_newest() {
    let mut written = Written(empty_shard(), 0);
    let from = |written: &Written| whole_from(&written.0);
    written.hold(1 << 20);
    for version in 0..20 {
        written.write(vec![put(i32::from(version), version, 100 << 10)]);
    }
    let small = from(&written);
    assert_eq!(small, 21 - 10 + 1, "ten changes of 100 KiB");
    written.hold(3 << 20);
    for version in 0..20 {
        written.write(vec![put(100 + i32::from(version), version, 100 << 10)]);
    }
    assert_eq!(from(&written), small, "thirty changes of 100 KiB");
    written.write(vec![put(200, 1, 100 << 10), put(201, 1, 100 << 10)]);
    assert!(from(&written) > small);

    let before = changes(&written.0, at(from(&written), 0), usize::MAX).expect("is whole");
    written.hold(512 << 10);
    let after = changes(&written.0, at(from(&written), 0), usize::MAX).expect("is whole");
    assert_eq!(after.len(), 5);
    assert_eq!(after, before[before.len() - after.len()..], "the newest stay");
    // It goes on, and may become larger again.
    written.hold(1 << 20);
    for version in 0..20 {
        written.write(vec![put(300 + i32::from(version), version, 100 << 10)]);
    }
    assert_eq!(changes(&written.0, at(from(&written), 0), usize::MAX).expect("is whole").len(), 10);
    // One that may hold nothing is empty, and says so.
    written.hold(0);
    assert_eq!(from(&written), written.1, "the entry that said so has no changes");
    written.write(vec![put(1, 1, 10)]);
    assert_eq!(from(&written), written.1 + 1);
}

#[test]
fn what_is_kept_is_the_same_wherever_an_apply_begins_and_ends() {
    for seed in 0..20u64 {
        // An xorshift: the test needs no more of chance.
        let mut numbers = seed + 1;
        let mut below = |end: u64| {
            numbers ^= numbers << 13;
            numbers ^= numbers >> 7;
            numbers ^= numbers << 17;
            numbers % end
        };
        let mut alone = Written(empty_shard(), 0);
        let mut entries = Vec::new();
        for _ in 0..150 {
            let command = match below(12) {
                0 => Command::SetChangeLog { bytes_max: below(60 << 10) },
                _ => {
                    let effects = (0..=below(3)).map(|_| {
                        put(
                            below(20) as i32,
                            below(20) as u8,
                            if below(20) == 0 { 40 << 10 } else { below(3000) as usize },
                        )
                    });
                    Command::Write { fence: alone.fence(), effects: effects.collect() }
                }
            };
            alone.apply(&command);
            entries.push(entry(alone.1, &command));
        }
        let together = empty_shard();
        let mut rest = &entries[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + below(20) as usize).min(rest.len()));
            together.apply(now, Bytes::new()).expect("applies");
            rest = later;
        }
        let digest_of = |shard: &Shard| digest::of(&shard.tree_set().snapshot()).expect("reads");
        assert_eq!(digest_of(&together), digest_of(&alone.0), "seed {seed}");
        assert_eq!(whole_from(&together), whole_from(&alone.0), "seed {seed}");
    }
}

#[test]
fn how_much_is_kept_lasts_and_goes_along_with_snapshots_and_with_what_is_cut_off() {
    let engine = Engine::in_memory(EngineOptions::default());
    let set = engine.create_tree_set(TreeSetId(1)).expect("a new tree set");
    let mut written = Written(Shard::open(set).expect("opens"), 0);
    written.hold(300);
    let opened = Shard::open(engine.tree_set(TreeSetId(1)).expect("is there")).expect("opens");
    let other = empty_shard();
    let (_, chunks) = snapshot::take(&written.0).expect("pins");
    snapshot::install(&other, &mut chunks.into_iter(), |error: ShardError| error).expect("installs");
    let (range, child) = (KeyRange::all(), ShardId(7));
    written.apply(&Command::Split(Split { epoch: Epoch(0), range, at: key(5), child }));
    let set = engine.create_tree_set(TreeSetId(2)).expect("a new tree set");
    assert!(written.0.bear(child, &engine, set.id(), Bytes::new()).expect("is born"));
    let child = Shard::open(set).expect("opens");
    for shard in [&opened, &other, &written.0, &child] {
        assert_eq!(shard.view().schema.change_log_bytes(), 300);
    }
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
