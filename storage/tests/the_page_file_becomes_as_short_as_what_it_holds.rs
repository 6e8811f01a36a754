//! Compaction moves what is there out of sparse extents and from the end of the file, while everything goes on: nothing
//! is lost, nothing changes, and the file is cut. The power may go at any moment of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use harness::{Random, assert_clean, plain_options, seeds};
use photondb_storage::disk::simulated::{SimulatedDisk, SimulatedOptions};
use photondb_storage::{
    Compression, Direction, Engine, EngineOptions, KeyRange, Result, Snapshot, TreeId, TreeSet, TreeSetId,
};

const SETS: u64 = 3;
const TREES: u32 = 2;

type Model = BTreeMap<(u64, u32), BTreeMap<Vec<u8>, Vec<u8>>>;

/// Values from nothing to several slots; a value tells who wrote it.
fn draw_value(random: &mut Random) -> Vec<u8> {
    let length = match random.below(12) {
        0 => random.below(200_000),
        1 => 3_000 + random.below(20_000),
        _ => random.below(600),
    };
    vec![random.next() as u8; length as usize]
}

fn write(set: &TreeSet, random: &mut Random, model: &mut Model, writes: u64) -> Result<()> {
    let mut transaction = set.begin();
    let mut changed = Vec::new();
    for _ in 0..writes {
        let tree = random.below(u64::from(TREES)) as u32;
        if !transaction.has_tree(TreeId(tree)) {
            transaction.create_tree(TreeId(tree))?;
        }
        let key = (random.below(1_500) as u32).to_be_bytes().to_vec();
        if random.below(3) == 0 {
            transaction.delete(TreeId(tree), &key)?;
            changed.push((tree, key, None));
        } else {
            let value = draw_value(random);
            transaction.put(TreeId(tree), &key, &value)?;
            changed.push((tree, key, Some(value)));
        }
    }
    transaction.commit()?;
    for (tree, key, value) in changed {
        let model = model.entry((set.id().0, tree)).or_default();
        match value {
            Some(value) => drop(model.insert(key, value)),
            None => drop(model.remove(&key)),
        }
    }
    Ok(())
}

/// Removes most of what there is, so that extents become sparse.
fn thin_out(set: &TreeSet, random: &mut Random, model: &mut Model) -> Result<()> {
    let mut transaction = set.begin();
    for tree in 0..TREES {
        let Some(entries) = model.get_mut(&(set.id().0, tree)) else { continue };
        let doomed: Vec<Vec<u8>> = entries.keys().filter(|_| random.below(8) != 0).cloned().collect();
        for key in doomed {
            assert!(transaction.delete(TreeId(tree), &key)?);
            entries.remove(&key);
        }
    }
    transaction.commit()
}

fn compare(snapshot: &Snapshot, model: &Model) {
    for tree in 0..TREES {
        if !snapshot.has_tree(TreeId(tree)) {
            continue;
        }
        let mut cursor = snapshot.cursor(TreeId(tree), KeyRange::all(), Direction::Forward).unwrap();
        let empty = BTreeMap::new();
        let expected = model.get(&(snapshot.id().0, tree)).unwrap_or(&empty);
        for (key, value) in expected {
            let (found, held) = cursor.next().unwrap().expect("the tree has the model's entries");
            assert!(found == key[..] && held == value[..], "another entry than the model's");
        }
        assert!(cursor.next().unwrap().is_none(), "the tree has no more than the model");
        assert_eq!(snapshot.count(TreeId(tree), &KeyRange::all()).unwrap(), expected.len() as u64);
    }
}

fn rest(engine: &Engine) -> Result<()> {
    for _ in 0..60 {
        let mut moved = 0;
        loop {
            match engine.compact_step(64)? {
                0 => break,
                slots => moved += slots,
            }
        }
        let shortened = engine.metrics().page_file_bytes;
        engine.checkpoint()?;
        engine.checkpoint()?;
        if moved == 0 && engine.metrics().page_file_bytes == shortened {
            return Ok(());
        }
    }
    panic!("compaction does not come to an end");
}

fn open(disk: &SimulatedDisk, options: EngineOptions) -> Result<(Engine, Vec<TreeSet>)> {
    let engine = Engine::open(Arc::new(disk.clone()), options)?;
    let sets = (1..=SETS)
        .map(|id| match engine.tree_set(TreeSetId(id)) {
            Some(set) => Ok(set),
            None => engine.create_tree_set(TreeSetId(id)),
        })
        .collect::<Result<_>>()?;
    Ok((engine, sets))
}

#[test]
fn while_writers_and_readers_go_on() {
    for seed in seeds(6) {
        let disk = SimulatedDisk::new(seed);
        let mut random = Random::new(seed);
        let compression = [Compression::None, Compression::Lz4][random.below(2) as usize];
        let cache_bytes = [64 << 10, 4 << 20][random.below(2) as usize];
        let options = EngineOptions { compression, cache_bytes, ..plain_options() };
        let (engine, sets) = open(&disk, options.clone()).unwrap();
        let mut model = Model::new();
        let mut readers: Vec<(Snapshot, Model)> = Vec::new();
        for round in 0..60 {
            let set = &sets[random.below(SETS) as usize];
            match random.below(10) {
                0..4 => write(set, &mut random, &mut model, 150).unwrap(),
                4 if round % 3 == 0 => thin_out(set, &mut random, &mut model).unwrap(),
                4 | 5 => readers.push((set.snapshot(), model.clone())),
                6 => drop(engine.evict_step([20_000, usize::MAX][random.below(2) as usize]).unwrap()),
                7 => drop(engine.checkpoint().unwrap()),
                _ => {
                    for _ in 0..random.below(30) {
                        engine.compact_step(1 + random.below(100) as usize).unwrap();
                    }
                }
            }
            if readers.len() > 4 {
                let (reader, model) = readers.swap_remove(random.below(4) as usize);
                compare(&reader, &model);
            }
        }
        readers.iter().for_each(|(reader, model)| compare(reader, model));
        drop(readers);
        sets.iter().for_each(|set| thin_out(set, &mut random, &mut model).unwrap());
        rest(&engine).unwrap();
        let metrics = engine.metrics();
        // Extents of 1 MiB have headers of 4 KiB, which hold no page and are no waste.
        let headers = (metrics.page_file_bytes >> 20) * 4096;
        let wasted = metrics.page_file_bytes - headers - metrics.page_file_used_bytes;
        // The tolerance, and an extent begun of each size of slots.
        assert!(wasted <= (8 + 29) << 20, "seed {seed}: {metrics:?}");
        sets.iter().for_each(|set| compare(&set.snapshot(), &model));
        drop((sets, engine));
        assert_clean(&Arc::new(disk.clone()));
        let (_engine, sets) = open(&disk, options).unwrap();
        sets.iter().for_each(|set| compare(&set.snapshot(), &model));
    }
}

/// A file of which little is left becomes little, and what is left is what it was.
#[test]
fn offline_to_the_last_extent() {
    let disk = SimulatedDisk::new(1);
    let mut random = Random::new(1);
    let (engine, sets) = open(&disk, plain_options()).unwrap();
    let mut model = Model::new();
    for _ in 0..8 {
        for set in &sets {
            write(set, &mut random, &mut model, 400).unwrap();
        }
        engine.checkpoint().unwrap();
    }
    let full = engine.metrics().page_file_bytes;
    sets.iter().for_each(|set| thin_out(set, &mut random, &mut model).unwrap());
    engine.checkpoint().unwrap();
    drop(sets);
    engine.close().unwrap();

    let (engine, sets) = open(&disk, plain_options()).unwrap();
    let mut sizes = Vec::new();
    let report = engine.compact(&mut |bytes| sizes.push(bytes)).unwrap();
    let metrics = engine.metrics();
    assert_eq!((report.slots_found, report.headers_found), (0, 0));
    assert_eq!(report.bytes_after, metrics.page_file_bytes);
    assert!(report.slots_moved > 0 && report.bytes_after < report.bytes_before && report.bytes_before <= full);
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    let extents_begun = 29 << 20;
    assert!(report.bytes_after <= metrics.page_file_used_bytes + extents_begun, "{metrics:?}");
    sets.iter().for_each(|set| compare(&set.snapshot(), &model));
    let again = engine.compact(&mut |_| {}).unwrap();
    assert_eq!((again.slots_moved, again.bytes_after), (0, report.bytes_after), "there is nothing more to win");
    drop(sets);
    engine.close().unwrap();
    assert_clean(&Arc::new(disk));
}

/// What a reader holds stays readable, and is not waited for.
#[test]
fn but_not_under_a_reader() {
    let disk = SimulatedDisk::new(1);
    let mut random = Random::new(1);
    let (engine, sets) = open(&disk, plain_options()).unwrap();
    let mut model = Model::new();
    for _ in 0..5 {
        write(&sets[0], &mut random, &mut model, 400).unwrap();
        engine.checkpoint().unwrap();
    }
    let (reader, then) = (sets[0].snapshot(), model.clone());
    thin_out(&sets[0], &mut random, &mut model).unwrap();
    rest(&engine).unwrap();
    let held = engine.metrics().page_file_bytes;
    compare(&reader, &then);
    drop(reader);
    for _ in 0..20 {
        // A commit takes note that the reader is gone.
        write(&sets[0], &mut random, &mut model, 1).unwrap();
        rest(&engine).unwrap();
    }
    assert!(engine.metrics().page_file_bytes < held, "{:?} after {held}", engine.metrics());
    compare(&sets[0].snapshot(), &model);
    drop((sets, engine));
    assert_clean(&Arc::new(disk));
}

/// The power goes at each operation of a compaction in turn. The trees have no log here: what a checkpoint covered is
/// there, and nothing else is.
#[test]
fn wherever_the_power_goes() {
    let mut states = 0;
    for seed in seeds(2) {
        let mut crash_at = 0;
        while crash_once(seed, crash_at) {
            crash_at += 1 + u64::from(!harness::full()) * 3;
            states += 1;
        }
    }
    println!("{states} states");
}

fn crash_once(seed: u64, crash_at: u64) -> bool {
    let disk_options = SimulatedOptions { torn_sectors: seed.is_multiple_of(2), ..SimulatedOptions::default() };
    let disk = SimulatedDisk::with_options(seed ^ crash_at << 20, disk_options);
    let mut random = Random::new(seed);
    let (engine, sets) = open(&disk, plain_options()).unwrap();
    let mut model = Model::new();
    for set in &sets {
        write(set, &mut random, &mut model, 200).unwrap();
        thin_out(set, &mut random, &mut model).unwrap();
        let mut transaction = set.begin();
        transaction.set_meta(Bytes::from_static(b"kept")).unwrap();
        transaction.commit().unwrap();
    }
    (0..2).for_each(|_| assert!(engine.checkpoint().is_ok()));
    disk.crash_at(crash_at);
    let compacted = engine.compact(&mut |_| {});
    let reached = disk.is_crashed();
    assert_eq!(compacted.is_ok(), !reached, "seed {seed}, operation {crash_at}: {compacted:?}");
    drop((sets, engine));
    disk.restart();
    let (engine, sets) = open(&disk, plain_options()).unwrap();
    for set in &sets {
        assert_eq!(set.meta(), b"kept"[..]);
        compare(&set.snapshot(), &model);
    }
    engine.compact(&mut |_| {}).unwrap();
    sets.iter().for_each(|set| compare(&set.snapshot(), &model));
    drop((sets, engine));
    assert_clean(&Arc::new(disk));
    reached
}
