//! The power goes at each disk operation in turn, of a machine alone and of one among three: what was acknowledged is there.
//!
//! `PHOTONDB_TESTS=full` tries every operation, otherwise a sample of them.

use std::time::Duration;

use photondb_simulation::cluster::fault::{Fault, Timed};
use photondb_simulation::cluster::plan::ClusterPlan;
use photondb_simulation::cluster::run::run;

const LOAD: Duration = Duration::from_millis(1_500);

/// Runs that a sample has.
const SAMPLE: u64 = 16;

fn plan(seed: u64, workload: &str, machines: usize, operation: Option<u64>) -> ClusterPlan {
    let mut plan = ClusterPlan::draw(seed, Some(workload), Some(machines), LOAD);
    plan.quiet_start = false;
    // Busy, whatever the seed says: what does nothing has nothing to lose.
    plan.clients = 4;
    plan.think_ms = 0..=5;
    // From the very first call on: opening a directory is where half-made things are found.
    let power_loss = |operation| Timed {
        at: Duration::ZERO,
        lasts: Duration::from_millis(200),
        fault: Fault::PowerLossAtOperation { at: 0, operation },
    };
    plan.faults = operation.map(power_loss).into_iter().collect();
    plan
}

fn the_power_goes_at_each(seed: u64, workload: &str, machines: usize) {
    let whole = run(&plan(seed, workload, machines, None), false);
    assert!(whole.violations.is_empty(), "without any fault: {:?}", whole.violations);
    let calls = whole.operations["calls that change a disk"] / machines as u64;
    assert!(calls > 100, "a run that does almost nothing");
    let full = std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full");
    let step = if full { 1 } else { calls.div_ceil(SAMPLE) };
    // Another sample for each way of running it.
    let first = seed % step;
    for operation in (first..calls).step_by(usize::try_from(step).expect("a step is small")) {
        let record = run(&plan(seed, workload, machines, Some(operation)), false);
        assert!(record.violations.is_empty(), "{workload}, seed {seed}, call {operation}: {:?}", record.violations);
    }
}

#[test]
fn of_a_machine_alone() {
    the_power_goes_at_each(1, "register", 1);
    the_power_goes_at_each(2, "index_moves", 1);
}

#[test]
fn of_one_machine_among_three() {
    the_power_goes_at_each(3, "list_append", 3);
}
