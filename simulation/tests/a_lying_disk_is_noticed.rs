//! The checkers look: on a disk that does not sync what it says it synced, runs fail.

use std::time::Duration;

use photondb_simulation::disk::Honesty;
use photondb_simulation::{Plan, Workload, run};

#[test]
fn lost_syncs_are_noticed() {
    let mut noticed = 0;
    for seed in 0..8 {
        let mut plan = Plan::draw(seed, Some(Workload::Register), Duration::from_secs(2));
        plan.honesty = Honesty::Lying;
        let report = run(&plan, false);
        for violation in &report.violations {
            println!("seed {seed}: {violation}");
        }
        noticed += u64::from(!report.violations.is_empty());
    }
    assert!(noticed >= 4, "only {noticed} of 8 runs noticed");
}
