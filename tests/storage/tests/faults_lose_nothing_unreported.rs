//! Fresh seeds, within a budget of time, and every run that ever failed: what was acknowledged is there or the damage is
//! reported, no answer is wrong, and every directory opens again.
//!
//! `PHOTONDB_SEED` says with which seed to begin. `PHOTONDB_TESTS=full` gives 12,000 seeds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use photondb_test_storage::campaign::{Budget, campaign, hush_runs};
use photondb_test_storage::plan::STEPS;
use photondb_test_storage::{Plan, Report, run, scenario};

/// What the seeds may take in the test command.
const TIME: Duration = Duration::from_secs(30);

/// Runs of the full version.
const RUNS_FULL: u64 = 12_000;

/// From so many runs on, every fault strikes and every kind of bytes rots in some of them.
const RUNS_OF_ALL_KINDS: u64 = 1_000;

fn assert_holds(report: &Report) {
    let Some(violation) = &report.violation else { return };
    report.trace.iter().for_each(|line| println!("{line}"));
    panic!("seed {}: {violation}\nrepeat: {}", report.plan.seed, report.repeat_command());
}

#[test]
fn fresh_seeds_hold() {
    hush_runs();
    let full = std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full");
    let given: Option<u64> = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    // Short to type, and hardly ever drawn twice.
    let first = given.unwrap_or(now % 1_000_000_000 * 1_000);
    println!("seeds from {first} on; PHOTONDB_SEED={first} repeats");
    let runs_min = if full { RUNS_FULL } else { 1 };
    let budget = Budget { runs_min, runs_max: u64::MAX, time: TIME, threads: 2 };
    let outcome = campaign(first, STEPS, budget, false);
    println!("{}", outcome.sums);
    outcome.failed.iter().for_each(assert_holds);
    if outcome.sums.runs >= RUNS_OF_ALL_KINDS {
        let missing = outcome.sums.missing();
        assert!(missing.is_empty(), "{} runs without: {missing:?}", outcome.sums.runs);
    }
}

#[test]
fn what_failed_once_holds() {
    for scenario in scenario::ALL {
        println!("{}: {}", scenario.name, scenario.story);
        assert_holds(&run(&scenario.plan(), false));
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 1..=40 {
        let plan = Plan::draw(seed, STEPS);
        let (once, again) = (run(&plan, false), run(&plan, false));
        assert_eq!(once.hash, again.hash, "seed {seed} gave two runs");
        assert_eq!((once.lives, once.reported), (again.lives, again.reported), "seed {seed}");
    }
}
