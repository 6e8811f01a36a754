//! Whatever the moment of a power loss, and whatever the drive kept of what was not synced: everything acknowledged is
//! there, nothing truncated or purged returns, and of the rest a prefix is there, each record whole.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "model/wal.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod model;

use model::{History, Model, full, open, seed};
use photondb_storage::StorageError;
use photondb_storage::disk::simulated::{SimulatedDisk, SimulatedOptions};

const ACTIONS: usize = 240;

/// Works until the actions are done or the power goes.
fn work(disk: &SimulatedDisk, history: &mut History, actions: usize) -> Result<(), StorageError> {
    let wal = open(disk)?;
    for _ in 0..actions {
        history.act(&wal)?;
    }
    Ok(())
}

fn check(history: &History, found: &Model, what: &str) {
    if !history.allows(found) {
        let expected = history.acknowledged.clone().known();
        let found = found.clone().known();
        for (id, stream) in &expected.streams {
            let other = found.streams.get(id);
            let states = (&stream.state, other.map(|other| &other.state));
            println!("stream {id}: acknowledged {:?}\n found {:?}", states.0, states.1);
        }
        panic!("{what}: what was recovered is no state the log may be in");
    }
}

/// The power goes at every single call of a recovery, and what it leaves is recovered again. Returns how many calls.
fn crash_in_recovery(disk: &SimulatedDisk, history: &History, what: &str) -> u64 {
    for call in 0.. {
        let disk = disk.fork(call);
        disk.crash_at(call);
        drop(open(&disk));
        if !disk.is_crashed() {
            return call;
        }
        disk.restart();
        let what = format!("{what}, and at call {call} of the recovery");
        let wal = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(wal.damage().is_empty(), "{what}: a torn tail was taken for damage: {:?}", wal.damage());
        check(history, &Model::of(&wal), &what);
    }
    unreachable!("a recovery ends")
}

fn sweep(seed: u64, torn_sectors: bool, stride: u64) -> u64 {
    let options = SimulatedOptions { torn_sectors, ..SimulatedOptions::default() };
    let disk = SimulatedDisk::with_options(seed, options);
    work(&disk, &mut History::new(seed), ACTIONS).expect("nothing fails on a good disk");
    let operations = disk.operations();
    assert!(operations > 100, "{operations}");
    let mut states = 0;
    let mut boundary = seed % stride;
    while boundary < operations {
        let what = format!("seed {seed}, power lost at call {boundary}");
        let disk = SimulatedDisk::with_options(seed ^ (boundary << 32), options);
        let mut history = History::new(seed);
        disk.crash_at(boundary);
        let outcome = work(&disk, &mut history, ACTIONS);
        assert!(outcome.is_err() || !disk.is_crashed(), "{what}: nobody noticed");
        // What the caller was told before the power went counts, also in the step that failed.
        history.acknowledge();
        disk.restart();
        if (seed + boundary).is_multiple_of(if full() { 8 } else { 64 }) {
            states += crash_in_recovery(&disk, &history, &what);
        }
        // Power is lost again while the log recovers, once or twice.
        for again in 0..boundary % 3 {
            disk.crash_at(boundary.wrapping_mul(7).wrapping_add(again) % 6);
            if let Ok(wal) = open(&disk) {
                check(&history, &Model::of(&wal), &format!("{what}, recovered before the {again}. next loss"));
            }
            disk.restart();
            states += 1;
        }
        let wal = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = Model::of(&wal);
        assert!(wal.damage().is_empty(), "{what}: a torn tail was taken for damage: {:?}", wal.damage());
        check(&history, &found, &what);
        // What was recovered is durable, goes on, and survives another loss together with what came after.
        history.settle(found);
        for _ in 0..15 {
            history.act(&wal).unwrap_or_else(|error| panic!("{what}, going on: {error}"));
        }
        drop(wal);
        disk.crash();
        let wal = open(&disk).unwrap_or_else(|error| panic!("{what}, second time: {error}"));
        check(&history, &Model::of(&wal), &format!("{what}, second time"));
        states += 2;
        boundary += stride;
    }
    states
}

#[test]
fn every_boundary_of_recorded_runs() {
    let first = seed(1);
    let seeds = if full() { 200 } else { 6 };
    let mut states = 0;
    for run in 0..seeds {
        states += sweep(first + run, run % 3 == 2, 1);
    }
    println!("{states} crashed states");
    assert!(states > 1000, "{states}");
}

#[test]
fn many_runs_with_some_boundaries_each() {
    let first = seed(1000);
    let seeds = if full() { 3000 } else { 60 };
    let states: u64 = (0..seeds).map(|run| sweep(first + run, run % 3 == 0, 23)).sum();
    println!("{states} crashed states");
}
