//! Seeds of whole clusters, within a budget of time, and every run that ever failed.
//!
//! The test command runs other seeds for each commit, and the same ones for everybody who tests that commit: what fails for one
//! fails for all. `PHOTONDB_TESTS=full` draws fresh ones for an hour, and asks that every rare path was taken. `PHOTONDB_SEED`
//! gives one seed instead, `PHOTONDB_SIMULATION_SECONDS` another budget.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use photondb_simulation::cluster::scenario;
use photondb_simulation::command::{Length, Sweeping, fresh_seed, one, sweep};

/// How many seeds the test command runs.
const COUNT: u64 = 240;

/// What they may take.
const BUDGET: Duration = Duration::from_secs(480);
/// What they may take under `PHOTONDB_TESTS=full`.
const BUDGET_FULL: Duration = Duration::from_secs(3600);

/// Virtual time of the load of a run.
const LOAD: Duration = Duration::from_secs(15);

/// More than any budget lets begin.
const SEEDS_MAX: u64 = 1_000_000;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_simulation"))
}

/// A number that the commit gives which the working tree stands on; a fresh one without a commit.
fn seed_of_commit() -> u64 {
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let name = head.ok().filter(|head| head.status.success()).and_then(|head| String::from_utf8(head.stdout).ok());
    // Few enough digits to be said aloud.
    let digits = name.as_deref().and_then(|name| name.get(..8));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_else(fresh_seed)
}

#[test]
fn seeds_of_clusters_pass() {
    let full = std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full");
    let given: Option<u64> = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok());
    let seconds = std::env::var("PHOTONDB_SIMULATION_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let budget = seconds.map(Duration::from_secs).unwrap_or(if full { BUDGET_FULL } else { BUDGET });
    let (first, count) = match given {
        Some(seed) => (seed, 1),
        None if full => (fresh_seed(), SEEDS_MAX),
        None => (seed_of_commit(), COUNT),
    };
    let seeds = (0..count).map(|number| first.wrapping_add(number)).collect();
    let sweeping = Sweeping { program: program(), seeds, jobs: 2, budget: Some(budget), out: None };
    let summary = sweep(&sweeping, &Length { duration: LOAD, ..Length::default() }).unwrap();
    println!("seeds from {first}: {summary}");
    assert!(summary.failed.is_empty() && summary.disagreeing.is_empty(), "see above");
    assert!(summary.runs > 0 && summary.operations.values().sum::<u64>() > 0, "nothing was done");
    assert!(!full || given.is_some() || summary.is_good(), "a path that must be taken never was");
}

#[test]
fn clusters_that_failed_once_pass() {
    for scenario in scenario::ALL {
        println!("{}: {}", scenario.name, scenario.story);
        let record = one(&program(), scenario.seed, &scenario.length()).unwrap();
        assert!(record.violations.is_empty(), "{}: {:?}", scenario.name, record.violations);
    }
}
