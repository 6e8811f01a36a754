//! Fresh seeds, within a budget of time, and every run that ever failed.
//!
//! `PHOTONDB_SEED` gives one seed instead; `PHOTONDB_TESTS=full` gives minutes, and asks that every rare path was taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use photondb_simulation::probe;
use photondb_simulation::scenario;
use photondb_simulation::{Plan, Report, run};

/// What the seeds may take in the test command.
const BUDGET: Duration = Duration::from_secs(25);
/// What they may take under `PHOTONDB_TESTS=full`.
const BUDGET_FULL: Duration = Duration::from_secs(600);

/// Virtual seconds of a run.
const RUN: Duration = Duration::from_secs(4);

fn assert_holds(report: &Report) {
    let Report { plan, violations, .. } = report;
    assert!(violations.is_empty(), "seed {}: {violations:?}\nrepeat: {}", plan.seed, report.repeat_command());
}

#[test]
fn fresh_seeds_pass() {
    let full = std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full");
    let given: Option<u64> = std::env::var("PHOTONDB_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    // Short to type, and hardly ever drawn twice.
    let first = given.unwrap_or(now % 1_000_000_000 * 1_000);
    let began = Instant::now();
    let budget = if full { BUDGET_FULL } else { BUDGET };
    let (mut runs, mut lives, mut operations) = (0, 0, 0);
    let mut reached: BTreeMap<_, _> = probe::ALL.into_iter().map(|name| (name, 0)).collect();
    while runs == 0 || (given.is_none() && began.elapsed() < budget) {
        let report = run(&Plan::draw(first + runs, None, RUN), false);
        assert_holds(&report);
        runs += 1;
        lives += report.lives;
        operations += report.operations;
        for (name, times) in report.reached {
            *reached.entry(name).or_default() += times;
        }
    }
    println!("seeds {first}..{}: {runs} runs, {lives} lives, {operations} operations; {reached:?}", first + runs);
    if full && given.is_none() {
        for (name, times) in reached {
            assert!(times > 0, "no run came by: {name}");
        }
    }
}

#[test]
fn what_failed_once_passes() {
    for scenario in scenario::ALL {
        println!("{}: {}", scenario.name, scenario.story);
        assert_holds(&run(&scenario.plan(), false));
    }
}
