//! Power is lost at every single call that changes the disk, in recorded runs of log, transactions and checkpoints
//! together; and again while recovering. No acknowledged entry is lost, none is half there, the check finds nothing.
//!
//! The owner's protocol: append an entry to the stream, apply it to the tree set with its index as `meta`, acknowledge
//! it when the log says so; after a crash re-apply the entries above `meta`; purge behind `durable_meta`. Now and then the
//! owner moves everything to a second set, in two trees, `meta` with it; each crash leaves it in one of the two.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use harness::{Random, full, options, seeds};
use parking_lot::Mutex;
use photondb_storage::disk::simulated::{SimulatedDisk, SimulatedOptions};
use photondb_storage::wal::{Record, StreamId};
use photondb_storage::{
    Direction, Engine, EngineOptions, KeyRange, Moved, MovedMetas, Result, StorageError, Tolerance, TreeId, TreeSet,
    TreeSetId,
};

const TREE: TreeId = TreeId(1);
/// What was cut off for a move.
const CUT: TreeId = TreeId(2);
const GROUPS: u64 = 2;

/// What one entry does, drawn from the run's seed: put (some) or delete (none).
type Effects = Vec<(Vec<u8>, Option<Vec<u8>>)>;
type State = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct Group {
    /// Every entry proposed, from index 1.
    proposed: Vec<Effects>,
    acknowledged: Arc<Mutex<u64>>,
}

impl Group {
    fn state_after(&self, entries: u64) -> State {
        let mut state = State::new();
        for effects in &self.proposed[..entries as usize] {
            for (key, value) in effects {
                match value {
                    Some(value) => state.insert(key.clone(), value.clone()),
                    None => state.remove(key),
                };
            }
        }
        state
    }
}

fn draw_effects(random: &mut Random) -> Effects {
    let effect = |random: &mut Random, first: bool| {
        let key = format!("{:03}", random.below(120)).into_bytes();
        let length = match random.below(30) {
            // Two of them and more would pass the largest record of these small segments.
            0 if first => 90_000,
            0 => 20_000,
            1 => 4_000,
            _ => random.below(400) as usize,
        };
        let value = (random.below(4) != 0).then(|| vec![random.next() as u8; length]);
        (key, value)
    };
    (0..=random.below(4)).map(|number| effect(random, number == 0)).collect()
}

fn encode(effects: &Effects) -> Bytes {
    let mut out = Vec::new();
    for (key, value) in effects {
        out.extend((key.len() as u32).to_le_bytes());
        out.extend(value.as_ref().map_or(u32::MAX, |value| value.len() as u32).to_le_bytes());
        out.extend(key);
        out.extend(value.iter().flatten());
    }
    out.into()
}

fn decode(mut bytes: &[u8]) -> Effects {
    let mut effects = Vec::new();
    while !bytes.is_empty() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (key, value) = (word(0) as usize, word(4));
        let length = if value == u32::MAX { 0 } else { value as usize };
        let found = (value != u32::MAX).then(|| bytes[8 + key..8 + key + length].to_vec());
        effects.push((bytes[8..8 + key].to_vec(), found));
        bytes = &bytes[8 + key + length..];
    }
    effects
}

fn index_of(meta: &[u8]) -> u64 {
    meta.try_into().map_or(0, u64::from_le_bytes)
}

fn apply(set: &TreeSet, index: u64, effects: &Effects) -> Result<()> {
    let mut transaction = set.begin();
    assert_eq!(index_of(&transaction.meta()) + 1, index);
    if !transaction.has_tree(TREE) {
        transaction.create_tree(TREE)?;
    }
    for (key, value) in effects {
        match value {
            Some(value) => transaction.put(TREE, key, value)?,
            None => transaction.delete(TREE, key)?,
        };
    }
    transaction.set_meta(Bytes::copy_from_slice(&index.to_le_bytes()))?;
    transaction.commit()
}

/// The set that has the group's data: one of two.
fn set_of(engine: &Engine, group: u64) -> Result<TreeSet> {
    let sets = [group, group + GROUPS].map(|id| engine.tree_set(TreeSetId(id)));
    let (mut with_data, without): (Vec<TreeSet>, Vec<TreeSet>) =
        sets.into_iter().flatten().partition(|set| !set.meta().is_empty());
    assert!(with_data.len() <= 1 && without.iter().all(|set| set.snapshot().trees().is_empty()), "T5: in one set");
    match with_data.pop().or_else(|| engine.tree_set(TreeSetId(group))) {
        Some(set) => Ok(set),
        None => engine.create_tree_set(TreeSetId(group)),
    }
}

fn join_what_was_cut(set: &TreeSet) -> Result<()> {
    let mut transaction = set.begin();
    if transaction.has_tree(CUT) {
        transaction.join_trees(TREE, CUT)?;
    }
    transaction.commit()
}

/// Moves a group's data to its other set.
fn change_sets(engine: &Engine, group: u64, random: &mut Random) -> Result<()> {
    let from = set_of(engine, group)?;
    let meta = from.meta();
    if meta.is_empty() {
        return Ok(());
    }
    let to = TreeSetId(if from.id().0 == group { group + GROUPS } else { group });
    if engine.tree_set(to).is_none() {
        engine.create_tree_set(to)?;
    }
    let mut transaction = from.begin();
    transaction.split_tree(TREE, format!("{:03}", random.below(120)).as_bytes(), CUT)?;
    transaction.commit()?;
    let metas = MovedMetas { from: Some(Bytes::new()), to: Some(meta) };
    let moved = engine.checkpoint_and_move_trees(from.id(), to, &[(TREE, TREE), (CUT, CUT)], metas)?;
    assert_eq!(moved, Moved::Done);
    if random.below(2) == 0 {
        engine.checkpoint()?;
    }
    join_what_was_cut(&set_of(engine, group)?)
}

/// Opens and re-applies. Returns the engine and, per group, how many entries there are.
fn recover(disk: &SimulatedDisk) -> Result<(Engine, Vec<u64>)> {
    // So little memory that nodes are written between checkpoints, and every waste is worth compacting.
    let options = EngineOptions { cache_bytes: 40 << 10, compaction: Tolerance::NONE, ..options() };
    let engine = Engine::open(Arc::new(disk.clone()), options)?;
    let mut entries = Vec::new();
    for group in 0..GROUPS {
        let stream = engine.recovered_streams().remove(&StreamId(group)).unwrap_or_default();
        assert!(!stream.suspect, "a crash makes no stream suspect");
        let set = set_of(&engine, group)?;
        join_what_was_cut(&set)?;
        let applied = index_of(&set.meta());
        let purged = stream.purged.map_or(0, |(index, _)| index);
        assert!(purged <= applied, "the log was purged only behind a durable checkpoint");
        let last = stream.last_index.unwrap_or(purged);
        // What is applied but not in the log would be an entry invented by the trees.
        assert!(applied <= last, "applied {applied}, but the log ends at {last}");
        let mut next = applied + 1;
        while next <= last {
            let read = engine.wal().read(StreamId(group), next, last + 1, 64 << 10)?;
            for entry in read {
                assert_eq!(entry.index, next);
                apply(&set, next, &decode(&entry.payload))?;
                next += 1;
            }
        }
        entries.push(last);
    }
    Ok((engine, entries))
}

/// A run until it ends or the power goes.
fn run(engine: &Engine, random: &mut Random, groups: &mut [Group], steps: u64) -> Result<()> {
    for _ in 0..steps {
        let group = random.below(GROUPS);
        let stream = StreamId(group);
        let set = set_of(engine, group)?;
        match random.below(20) {
            0..=11 => {
                for _ in 0..=random.below(3) {
                    let group = &mut groups[group as usize];
                    let effects = draw_effects(random);
                    let index = group.proposed.len() as u64 + 1;
                    let (acknowledged, payload) = (Arc::clone(&group.acknowledged), encode(&effects));
                    group.proposed.push(effects.clone());
                    let entry = Record::Entry { index, term: 1, payload };
                    let completion = move |result: Result<(), StorageError>| match result {
                        Ok(()) => *acknowledged.lock() = index,
                        Err(error) => assert!(
                            !matches!(error, StorageError::TooLarge { .. } | StorageError::LogOrder { .. }),
                            "{error}"
                        ),
                    };
                    engine.wal().submit(stream, vec![entry], Some(Box::new(completion)));
                    apply(&set, index, &effects)?;
                }
            }
            12..=16 => while engine.wal().step()? {},
            17 => {
                engine.checkpoint()?;
            }
            18 if random.below(2) == 0 => drop(engine.compact_step([1, 1_000][random.below(2) as usize])?),
            19 if random.below(3) == 0 => change_sets(engine, group, random)?,
            18 => drop(engine.evict_step([20_000, usize::MAX][random.below(2) as usize])?),
            _ => {
                let upto = set.durable_meta().map_or(0, |meta| index_of(&meta));
                if upto > 0 {
                    engine.wal().submit(stream, vec![Record::Purge { upto, payload: Bytes::new() }], None);
                }
            }
        }
    }
    Ok(())
}

fn check_state(engine: &Engine, groups: &[Group], entries: &[u64]) {
    for (number, group) in (0u64..).zip(groups) {
        let last = entries[number as usize];
        let acknowledged = *group.acknowledged.lock();
        assert!(last >= acknowledged, "group {number}: entry {acknowledged} was acknowledged, the log ends at {last}");
        assert!(last <= group.proposed.len() as u64);
        let snapshot = set_of(engine, number).unwrap().snapshot();
        let mut found = State::new();
        if snapshot.has_tree(TREE) {
            let mut cursor = snapshot.cursor(TREE, KeyRange::all(), Direction::Forward).unwrap();
            while let Some((key, value)) = cursor.next().unwrap() {
                found.insert(key.to_vec(), value.to_vec());
            }
            assert_eq!(snapshot.count(TREE, &KeyRange::all()).unwrap(), found.len() as u64);
        }
        assert!(found == group.state_after(last), "group {number} after {last} entries");
    }
}

/// The power goes at every single operation of a recovery, and what it leaves is recovered again. Returns how many
/// operations that were.
fn crash_in_recovery(disk: &SimulatedDisk, groups: &[Group]) -> u64 {
    for operation in 0.. {
        let disk = disk.fork(operation);
        disk.crash_at(operation);
        let _ = recover(&disk);
        if !disk.is_crashed() {
            return operation;
        }
        disk.restart();
        let (engine, entries) = recover(&disk).unwrap_or_else(|error| panic!("operation {operation}: {error}"));
        check_state(&engine, groups, &entries);
        drop(engine);
        harness::assert_clean(&Arc::new(disk));
    }
    unreachable!("a recovery ends")
}

/// One run with the power lost at operation `crash_at`, recovery with the power lost again, and more life after it.
/// Returns whether the run reached that operation, and how many states a crash left.
fn crash_once(seed: u64, crash_at: u64) -> (bool, u64) {
    let disk_options = SimulatedOptions { torn_sectors: seed.is_multiple_of(2), ..SimulatedOptions::default() };
    let disk = SimulatedDisk::with_options(seed ^ crash_at << 20, disk_options);
    let mut random = Random::new(seed);
    let mut groups: Vec<Group> = (0..GROUPS).map(|_| Group::default()).collect();
    disk.crash_at(crash_at);
    let mut boot = 0;
    if let Ok((engine, _)) = recover(&disk) {
        boot = engine.identity().boot;
        let _ = run(&engine, &mut random, &mut groups, 40);
    }
    let (reached, mut states) = (disk.is_crashed(), 1);
    disk.restart();
    // A sample of the crashes is followed by crashes at each operation of the recovery.
    if (seed + crash_at).is_multiple_of(if full() { 16 } else { 128 }) {
        states += crash_in_recovery(&disk, &groups);
    }
    // The power goes again somewhere in recovery, a few times over.
    let mut nested = Random::new(seed ^ crash_at);
    for _ in 0..nested.below(3) {
        disk.crash_at(nested.below(12));
        let _ = recover(&disk);
        disk.restart();
        states += 1;
    }
    let (engine, entries) = recover(&disk).unwrap_or_else(|error| panic!("{error}"));
    assert!(engine.identity().boot > boot, "a boot counter is never used twice");
    check_state(&engine, &groups, &entries);
    drop(engine);
    harness::assert_clean(&Arc::new(disk.clone()));
    // What recovery made of it carries more writes and ends well.
    for (group, entries) in groups.iter_mut().zip(entries) {
        group.proposed.truncate(entries as usize);
    }
    let (engine, _) = recover(&disk).unwrap();
    run(&engine, &mut random, &mut groups, 10).unwrap();
    let stepped = (0..).map(|_| engine.wal().step().unwrap()).take_while(|worked| *worked).count();
    assert!(stepped < 1_000);
    engine.close().unwrap();
    harness::assert_clean(&Arc::new(disk.clone()));
    let (engine, entries) = recover(&disk).unwrap();
    assert!(entries.iter().zip(&groups).all(|(entries, group)| *entries == group.proposed.len() as u64));
    check_state(&engine, &groups, &entries);
    (reached, states)
}

#[test]
fn nothing_acknowledged_is_lost() {
    let mut states = 0;
    for seed in seeds(8) {
        let mut crash_at = 0;
        loop {
            let outcome = std::panic::catch_unwind(|| crash_once(seed, crash_at));
            let Ok((reached, crashed)) = outcome else { panic!("seed {seed}, power lost at operation {crash_at}") };
            states += crashed;
            crash_at += 1;
            if !reached {
                break;
            }
        }
    }
    println!("{states} crashed states");
}
