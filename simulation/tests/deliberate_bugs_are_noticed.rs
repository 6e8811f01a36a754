//! Runs of clusters notice deliberate bugs of the product (`simulation/src/mutant.rs`).
//!
//! The test command tries some that show quickly, the same seeds each time. `PHOTONDB_TESTS=full` looks for
//! every one from fresh seeds on, which takes hours, and prints how many seeds each took and what noticed it.

use std::path::PathBuf;
use std::time::Duration;

use photondb_simulation::command::mutants::{Hunt, hunt};
use photondb_simulation::command::{Length, fresh_seed};
use photondb_simulation::mutant;

/// Virtual time of the load of a run.
const LOAD: Duration = Duration::from_secs(15);

/// A bug that so many seeds do not show is not found.
const SEEDS_MAX: u64 = 2_000;

/// Bugs that about every second seed shows, of each part of the product one or two.
const QUICK: [&str; 8] = [
    "answer-taken-for-vote",
    "lease-too-long",
    "index-not-maintained",
    "overlay-ignored",
    "skipped-taken-for-applied",
    "request-taken-twice",
    "feed-without-position",
    "ddl-acknowledged-by-one",
];

/// Seeds that each of those is looked for in.
const QUICK_SEEDS: u64 = 40;

fn search(first: u64, seeds_max: u64) -> Hunt {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_simulation"));
    let length = Length { duration: LOAD, ..Length::default() };
    Hunt { program, first, seeds_max, jobs: 2, unpinned: false, length }
}

#[test]
fn some_within_a_few_seeds() {
    let search = search(1, QUICK_SEEDS);
    for name in QUICK {
        let mutant = mutant::named(name).expect("it is in the list");
        let hunted = hunt(&search, &mutant).unwrap();
        print!("{hunted}");
        assert!(hunted.found.is_some(), "nothing notices {name}");
    }
}

#[test]
fn every_one_in_the_full_run() {
    if !std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full") {
        return;
    }
    let given: Option<u64> = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = given.unwrap_or_else(fresh_seed);
    let search = search(first, SEEDS_MAX);
    println!("seeds from {first} on; PHOTONDB_SEED={first} repeats");
    let mut survived = Vec::new();
    for mutant in mutant::all() {
        let hunted = hunt(&search, &mutant).unwrap();
        print!("{hunted}");
        if hunted.found.is_none() {
            survived.push(mutant.name);
        }
    }
    let of = mutant::all().len();
    println!("{} of {of} deliberate bugs were found", of - survived.len());
    assert!(survived.is_empty(), "nothing notices {survived:?}");
}
