//! A run is a function of its seed: the same one twice, with others in between, gives the same trace.

use std::time::Duration;

use photondb_simulation::{Plan, Workload, run};

#[test]
fn the_same_seed_gives_the_same_trace_whatever_ran_before() {
    let plans: Vec<_> = Workload::ALL
        .into_iter()
        .zip(100..)
        .map(|(workload, seed)| Plan::draw(seed, Some(workload), Duration::from_secs(2)))
        .collect();
    let first: Vec<_> = plans.iter().map(|plan| run(plan, false)).collect();
    // In another order, so that what a process counts over all runs differs.
    for (plan, before) in plans.iter().zip(&first).rev() {
        let again = run(plan, false);
        assert!(before.events > 100, "seed {} did almost nothing", plan.seed);
        assert_eq!(again.hash, before.hash, "seed {} under {}", plan.seed, plan.workload);
        assert_eq!(again.operations, before.operations);
    }
}

#[test]
fn another_seed_gives_another_trace() {
    let hash = |seed| run(&Plan::draw(seed, Some(Workload::Counter), Duration::from_secs(1)), false).hash;
    assert_ne!(hash(1), hash(2));
}
