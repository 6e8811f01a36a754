//! Seeds of clusters on madsim, where a seed also picks which of the tasks that are ready runs next; and the same seed gives
//! the same trace in another process there too.
//!
//! They need a build of their own, so that they run under `PHOTONDB_TESTS=full` alone; `PHOTONDB_SEED` asks for one seed, with it
//! or without, and `PHOTONDB_SIMULATION_SECONDS` gives another budget.

use std::path::{Path, PathBuf};
use std::time::Duration;

use photondb_simulation::cluster::scenario;
use photondb_simulation::command::{Length, Sweeping, fresh_seed, one, sweep};
use photondb_simulation::on_madsim;

/// What fresh seeds may take.
const BUDGET: Duration = Duration::from_secs(1200);

/// Virtual time of the load of a run.
const LOAD: Duration = Duration::from_secs(15);

/// More than the budget lets begin.
const SEEDS_MAX: u64 = 1_000_000;

/// Seeds that are run twice.
const TWICE: std::ops::Range<u64> = 500..512;

/// This program.
const THIS: &str = env!("CARGO_BIN_EXE_simulation");

fn all_are_asked_for() -> bool {
    std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full")
}

/// The seed that is asked for.
fn given() -> Option<u64> {
    std::env::var("PHOTONDB_SEED").ok()?.parse().ok()
}

/// The program on madsim; `None`: this was not asked for.
fn program(is_asked_for: bool) -> Option<PathBuf> {
    if !is_asked_for {
        println!("left out: it needs a build of its own, which PHOTONDB_TESTS=full asks for");
    }
    is_asked_for.then(|| on_madsim::build(Path::new(THIS)).expect("it can be built"))
}

#[test]
fn what_stands_in_the_place_of_tokio_does_what_is_relied_on() {
    if all_are_asked_for() {
        on_madsim::test_stand_in(Path::new(THIS)).unwrap();
    }
}

#[test]
fn seeds_of_clusters_pass_whatever_the_order_of_tasks() {
    let given = given();
    let Some(program) = program(all_are_asked_for() || given.is_some()) else { return };
    let seconds = std::env::var("PHOTONDB_SIMULATION_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let budget = seconds.map_or(BUDGET, Duration::from_secs);
    let (first, count) = given.map_or_else(|| (fresh_seed(), SEEDS_MAX), |seed| (seed, 1));
    let seeds = (0..count).map(|number| first.wrapping_add(number)).collect();
    let sweeping = Sweeping { program, seeds, jobs: 2, budget: Some(budget), out: None };
    let summary = sweep(&sweeping, &Length { duration: LOAD, ..Length::default() }).unwrap();
    println!("seeds from {first}, on madsim: {summary}");
    assert!(summary.failed.is_empty() && summary.disagreeing.is_empty(), "see above");
    assert!(summary.runs > 0 && summary.operations.values().sum::<u64>() > 0, "nothing was done");
}

#[test]
fn runs_that_failed_once_pass() {
    let Some(program) = program(all_are_asked_for()) else { return };
    for scenario in scenario::ON_MADSIM {
        let record = one(&program, scenario.seed, &scenario.length()).unwrap();
        assert!(record.violations.is_empty(), "{}: {:?}", scenario.name, record.violations);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_in_another_process() {
    let Some(program) = program(all_are_asked_for()) else { return };
    let length = Length { duration: Duration::from_secs(6), ..Length::default() };
    let mut hashes = Vec::new();
    for seed in TWICE {
        let (record, again) = (one(&program, seed, &length).unwrap(), one(&program, seed, &length).unwrap());
        assert!(record.violations.is_empty(), "seed {seed}: {:?}", record.violations);
        assert!(record.events > 100, "seed {seed} did almost nothing");
        assert_eq!(again.trace_hash, record.trace_hash, "seed {seed} of {}", record.scenario);
        assert_eq!((again.events, again.virtual_us), (record.events, record.virtual_us));
        hashes.push(record.trace_hash);
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len() as u64, TWICE.end - TWICE.start, "another seed gives another trace");
}
